"""The picture of a sweep: what has to be fetched for it, and what its grid points are called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.client import pictures
from service.client.arrays import Curve
from service.client.drawn import Drawn
from service.client.errors import NothingToDraw
from service.client.figures import references_of
from service.client.models import SweepJob
from service.client.pictures import PointCurves, Reference

if TYPE_CHECKING:
    from service.client.client import Client

METRICS = ("loss", "accuracy")
LONGEST_LABEL = 44


def draw_sweep(client: Client, sweep_id: str, metrics: Sequence[str] = (), split: str = "validation") -> Drawn:
    """How the jobs of a sweep learned: a panel a metric, a line a grid point. Raises `NothingToDraw`.

    Jobs that have recorded nothing yet are left out.
    """
    sweep = client.sweep(sweep_id)
    jobs = [job for job in sweep.jobs if job.role == "point"]
    varied = _varied([job.point for job in jobs])
    by_label: dict[str, list[Curve]] = {}
    for job in jobs:
        by_label.setdefault(_label(job.point, varied), []).extend(_curves(client, job, metrics or METRICS, split))
    points = [PointCurves(label, curves) for label, curves in by_label.items()]
    drawn = {curve.name for point in points for curve in point.curves}
    if missing := [name for name in metrics if name not in drawn] or ([] if drawn else list(METRICS)):
        names = " and ".join(map(repr, missing))
        raise NothingToDraw(
            f"no job of {sweep_id}, which is {sweep.state}, has a curve of {names} of the split {split!r}"
        )
    title = f"{sweep.name or sweep.preset or sweep.id}: how its jobs learned"
    heading = varied[0].rpartition(".")[2] if len(varied) == 1 else ""
    figure = pictures.sweep_curves(points, title, _references(client, jobs), varied=heading)
    return Drawn("sweep", title, figure)


def _curves(client: Client, job: SweepJob, metrics: Sequence[str], split: str) -> list[Curve]:
    recorded = {(series.name, series.split) for series in client.metrics(job.id)}
    return [client.curve(job.id, name, split) for name in metrics if (name, split) in recorded]


def _references(client: Client, jobs: Sequence[SweepJob]) -> list[Reference]:
    """Those that are the same for all jobs that succeeded."""
    found = [references_of(client, client.job(job.id)) for job in jobs if job.state == "succeeded"]
    return [reference for reference in found[0] if all(reference in one for one in found)] if found else []


def _varied(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """The paths whose values are not the same in all points."""
    keys = dict.fromkeys(key for point in points for key in point)
    return [key for key in keys if len({json.dumps(point.get(key), sort_keys=True) for point in points}) > 1]


def _label(point: Mapping[str, Any], varied: Sequence[str]) -> str:
    """`fast_sigmoid, width 0.5`, and with the names of the fields where several differ, `epochs 5, strength 50`."""
    names = [key.rpartition(".")[2] for key in varied]
    parts = []
    for key, name in zip(varied, names, strict=True):
        value = _text(point.get(key))
        parts.append(value if len(varied) == 1 else f"{name if names.count(name) == 1 else key} {value}")
    text = "; ".join(parts) or "all jobs"
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def _text(value: Any) -> str:
    """A value as people say it: of a part its kind, and then what it sets."""
    if isinstance(value, Mapping):
        rest = [f"{name} {_text(inner)}" for name, inner in value.items() if name != "kind"]
        return ", ".join([str(value["kind"]), *rest] if "kind" in value else rest)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
