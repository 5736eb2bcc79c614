"""Pictures of what a job came to: what has to be fetched for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from service.client import pictures
from service.client.drawn import Drawn
from service.client.errors import NothingToDraw
from service.client.models import Job
from service.client.pictures.conversion import PARAMETERS

if TYPE_CHECKING:
    from service.client.client import Client

Draw = Callable[["Client", Job, str, int | None], Drawn]


def fields(client: Client, job: Job, name: str, epoch: int | None) -> Drawn:
    """The newest receptive fields, or those of an epoch."""
    found = client.receptive_fields(job.id, epoch=epoch)
    when = "" if epoch is None else f" of epoch {epoch}"
    if not found:
        raise NothingToDraw(
            f"{job.id} has recorded no receptive fields{when}; `recording.receptive_fields` asks for them"
        )
    info = found[0]
    if info.shape is None:
        raise NothingToDraw(f"the {info.n_features} features of layer {info.layer!r} of {job.id} are no picture")
    title = f"{name}: receptive fields, epoch {info.epoch}"
    return Drawn("fields", title, pictures.receptive_fields(info, client.fields(job.id, info.id), title))


def confusion(client: Client, job: Job, name: str, epoch: int | None) -> Drawn:
    result = _result(client, job, "confusion_matrix", "confusion matrix")
    title = f"{name}: which classes it confuses"
    drawn = pictures.confusion(result["confusion_matrix"], result.get("most_confused") or [], title)
    return Drawn("confusion", title, drawn)


def reaction_times(client: Client, job: Job, name: str, epoch: int | None) -> Drawn:
    result = _result(client, job, "decisions", "reaction times")
    title = f"{name}: how long it took to decide"
    return Drawn("reaction_times", title, pictures.reaction_times(result["decisions"], title))


def conversion(client: Client, job: Job, name: str, epoch: int | None) -> Drawn:
    result = _result(client, job, "conversion", "conversion")
    series = [one for one in client.metrics(job.id) if one.name.partition(".")[0] in PARAMETERS]
    curves = [client.curve(job.id, one.name, one.split) for one in series]
    title = f"{name}: before, converted and fine-tuned"
    return Drawn("conversion", title, pictures.conversion(result["conversion"], curves, title))


def _result(client: Client, job: Job, key: str, what: str) -> dict[str, Any]:
    """The result of a job that has `key`."""
    if not job.is_terminal:
        raise NothingToDraw(f"{job.id} is {job.state}; its {what} is there when it has ended")
    result = client.result(job.id)
    if result.get(key) is None:
        raise NothingToDraw(f"the result of {job.id} has no {what}")
    return result


OUTCOMES: dict[str, Draw] = {
    "fields": fields,
    "confusion": confusion,
    "reaction_times": reaction_times,
    "conversion": conversion,
}
OF_TRAINING = {"stdp": "fields", "teacher_stdp": "reaction_times", "diet": "conversion"}
"""What says most about a job that was trained so."""
