"""Pictures of a job: what has to be fetched for each kind, and which kind says most about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from service.client import pictures
from service.client.drawn import Drawn
from service.client.errors import NothingToDraw
from service.client.models import Job, RasterInfo, Reading
from service.client.outcome_figures import OF_TRAINING, OUTCOMES
from service.client.pictures import Reference, Sample

if TYPE_CHECKING:
    from service.client.client import Client

FigureKind: TypeAlias = Literal[
    "auto",
    "learning",
    "rates",
    "recall",
    "sequence",
    "every_step",
    "fields",
    "confusion",
    "reaction_times",
    "conversion",
]

SERIES = [(name, split) for name in ("loss", "accuracy") for split in ("train", "validation", "test")]


def draw(
    client: Client,
    job_id: str,
    kind: FigureKind = "auto",
    *,
    split: str = "test",
    sample: int | None = None,
    epoch: int | None = None,
) -> Drawn:
    """The picture of a kind; `auto` takes the one that goes with the task or the training. Raises `NothingToDraw`."""
    job = client.job(job_id)
    name = job.name or job.preset or job.id
    if kind == "learning":
        return _learning(client, job, name)
    if kind in OUTCOMES:
        return OUTCOMES[kind](client, job, name, epoch)
    if kind == "auto" and sample is None and (own := _of_training(client, job, name, epoch)) is not None:
        return own
    infos = _recorded(client.rasters(job_id, split=split, sample=sample, epoch=epoch))
    reading = next((info.reading for info in infos if info.reading is not None), None)
    if kind == "auto":
        kind = "learning" if reading is None else _kind_for(job, reading)
        if kind == "learning":
            return _learning(client, job, name)
    if reading is None:
        raise NothingToDraw(
            f"{job_id} has no recorded sample of the split {split!r} with what was read out of it; "
            "`recording` in the spec chooses what is recorded, and another --split, --sample or --epoch may have one"
        )
    if kind == "sequence" and reading.input is None:
        raise NothingToDraw(f"{job_id} has no single analog input over time, so there is no sequence to draw")
    if kind == "every_step" and not _is_at_every_step(reading):
        raise NothingToDraw(f"{job_id} was not read at every time step, which a readout of the kind 'every_step' is")
    shown = Sample([(info, client.spikes(job_id, info.id)) for info in infos], reading)
    title = f"{name}: sample {infos[0].sample} of the {split} split, epoch {infos[0].epoch}"
    drawing = {
        "rates": pictures.rates,
        "recall": pictures.recall,
        "sequence": pictures.sequence,
        "every_step": pictures.every_step,
    }[kind]
    return Drawn(kind, title, drawing(shown, title))


def _of_training(client: Client, job: Job, name: str, epoch: int | None) -> Drawn | None:
    """The picture that goes with the way of learning, where there is one."""
    kind = OF_TRAINING.get(job.spec.get("training", {}).get("kind"))
    try:
        return None if kind is None else OUTCOMES[kind](client, job, name, epoch)
    except NothingToDraw:
        return None


def _kind_for(job: Job, reading: Reading) -> FigureKind:
    match job.spec.get("task", {}).get("kind"):
        case "softmax" | "k_winners":
            return "rates"
        case "recall":
            return "recall"
        case _:
            if _is_at_every_step(reading):
                return "every_step"
            return "learning" if reading.input is None else "sequence"


def _is_at_every_step(reading: Reading) -> bool:
    """Whether one question was asked of the sample, and many windows tell of it."""
    return len(reading.windows_ms) > len(reading.labels) == 1


def _recorded(infos: Sequence[RasterInfo]) -> list[RasterInfo]:
    """The layers of one sample in the order of the network: of the last epoch, and of its first sample."""
    if not infos:
        return []
    epoch, sample = max((info.epoch, -info.sample) for info in infos)
    # Lists come newest first, and the layers of a sample are recorded from the input on.
    return [info for info in infos if (info.epoch, -info.sample) == (epoch, sample)][::-1]


def _learning(client: Client, job: Job, name: str) -> Drawn:
    recorded = {(series.name, series.split) for series in client.metrics(job.id)}
    curves = [client.curve(job.id, *series) for series in SERIES if series in recorded]
    if not curves:
        raise NothingToDraw(f"{job.id} is {job.state} and has no learning curve yet")
    title = f"{name}: how it learned"
    return Drawn("learning", title, pictures.learning_curves(curves, title, references_of(client, job)))


def references_of(client: Client, job: Job) -> list[Reference]:
    """The published number and the ceiling; one that the job measured comes before the stated one."""
    if not job.is_terminal:
        return []
    result = client.result(job.id)
    reference: dict[str, Any] = result.get("reference") or {}
    found = []
    if reference:
        found.append(Reference(reference["metric"], "published", reference["published"]))
    measured = ((result.get("metrics") or {}).get("test") or {}).get("ceiling_accuracy")
    if measured is not None:
        found.append(Reference("accuracy", "ceiling", measured))
    elif reference.get("ceiling") is not None:
        found.append(Reference(reference["metric"], "ceiling", reference["ceiling"]))
    return found
