"""The routes under /v1/jobs/{id}/metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from service.answers import ARROW, CSV, JSON, Tag, bytes_answer, json_answer, negotiate, not_modified
from service.auth import Reader
from service.dependencies import DatabaseDep, JobDep, StrictRoute, Text, known_query_only
from service.metrics.formats import as_arrow, as_csv
from service.metrics.schemas import Curve, Series, series_of
from service.paging import Limit, Page, capped, cursor_of, decode, encode
from service.problems import Problem, printable, problems
from service.store import metrics
from service.store.tables import MetricSeries
from service.store.transitions import TERMINAL

router = APIRouter(
    prefix="/v1/jobs/{job_id}/metrics",
    tags=["metrics"],
    route_class=StrictRoute,
    dependencies=[Depends(known_query_only)],
)

FORMATS = {"json": JSON, "csv": CSV, "arrow": ARROW}
SPLITS = ("train", "validation", "test")
Step = Annotated[int | None, Query(ge=0, le=2**63 - 1)]


@router.get("", response_model=Page[Series], responses=problems(404, 422))
def list_series(
    caller: Reader,
    request: Request,
    job: JobDep,
    database: DatabaseDep,
    limit: Limit = 50,
    cursor: Annotated[str | None, cursor_of("m")] = None,
) -> Response:
    """The curves of a job in figures, by name and split."""
    key = decode(cursor)
    limit = capped(limit)
    with database.read() as session:
        after = None if key is None else (key[0], key[1] if len(key) > 1 else "")
        found = metrics.list_series(session, job.id, after=after, limit=limit + 1)
    page = [series_of(row) for row in found[:limit]]
    more = encode("m", page[-1].name, page[-1].split) if len(found) > limit else None
    return json_answer(request, Page[Series](items=page, next_cursor=more), final=job.state in TERMINAL)


@router.get(
    "/{name:path}",
    response_model=Curve,
    responses=problems(404, 406, 416, 422, also={200: {"content": {CSV: {"schema": {"type": "string"}}, ARROW: {}}}}),
)
def show_curve(
    caller: Reader,
    request: Request,
    job: JobDep,
    name: str,
    database: DatabaseDep,
    split: Annotated[
        Text | None, Query(description="Left out: the first of train, validation and test that has the series.")
    ] = None,
    first: Annotated[Step, Query(alias="from", description="First step.")] = None,
    last: Annotated[Step, Query(alias="to", description="Last step.")] = None,
    max_points: Annotated[
        int | None,
        Query(ge=1, description="Thin out to so many: first, last, and the extremes of equal parts in between."),
    ] = None,
    format: Annotated[Literal["json", "csv", "arrow"] | None, Query(description="Instead of `Accept`.")] = None,
) -> Response:
    """One curve."""
    media_type = negotiate(request, list(FORMATS.values()), FORMATS[format] if format else None)
    with database.read() as session:
        series = _one(name, split, [row for row in metrics.list_series(session, job.id) if row.name == name])
        tag = Tag.of(job.id, job.finished_at, series.id, first, last, max_points, media_type, final=_final(job.state))
        if unchanged := not_modified(request, tag):
            return unchanged
        points = metrics.points(session, series.id, start=first, stop=last)
    if max_points is not None:
        points = metrics.downsample(points, max_points)
    curve = Curve(
        name=series.name,
        split=series.split,
        unit=series.unit,
        step=[point.step for point in points],
        value=[point.value for point in points],
        time=[point.at for point in points],
    )
    if media_type == JSON:
        return bytes_answer(request, curve.model_dump_json().encode(), JSON, tag)
    body = as_csv(curve) if media_type == CSV else as_arrow(curve)
    return bytes_answer(request, body, media_type, tag)


def _final(state: str) -> bool:
    return state in TERMINAL


def _one(name: str, split: str | None, found: list[MetricSeries]) -> MetricSeries:
    """The series of that name and split; without a split that of the first one that has it."""
    if split is not None:
        found = [row for row in found if row.split == split]
    if not found:
        of_split = f" of the split {printable(split)!r}" if split is not None else ""
        raise Problem(404, "series_not_found", f"The job has no series {printable(name)!r}{of_split}.")
    return min(found, key=lambda row: (SPLITS.index(row.split) if row.split in SPLITS else len(SPLITS), row.split))
