"""Learning curves: narrow points, with a summary of each series that is kept up at write time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Insert, Table, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.ids import new_id
from service.store.rows import MetricRow
from service.store.tables import MetricPoint, MetricSeries
from service.store.types import clean_text, finite, utcnow


@dataclass(frozen=True, slots=True)
class Point:
    step: int
    epoch: int
    value: float | None
    at: datetime


def upsert_points(session: Session, job_id: str, rows: Sequence[MetricRow]) -> None:
    """Write points and bring the summaries of their series up to date. A step written again replaces itself.

    A fixed number of statements, however many series the points belong to: this runs beside the training.
    """
    if not rows:
        return
    groups: dict[tuple[str, str], dict[int, MetricRow]] = {}
    for row in rows:
        groups.setdefault((clean_text(row.name), row.split), {})[row.step] = row
    all_series = _series(session, job_id, groups)
    now = utcnow()
    points = [
        {"series_id": all_series[key].id, "step": step, "epoch": row.epoch, "value": finite(row.value), "at": now}
        for key, by_step in groups.items()
        for step, row in by_step.items()
    ]
    session.execute(_upsert(session), points)
    for key, by_step in groups.items():
        series, ordered = all_series[key], [by_step[step] for step in sorted(by_step)]
        if series.last_step is not None and ordered[0].step <= series.last_step:
            summary = _summary_of_all(session, series)
        else:
            summary = _summary_with(series, ordered)
        for column, value in summary.items():
            setattr(series, column, value)
    session.flush()


def _series(
    session: Session, job_id: str, groups: Mapping[tuple[str, str], Mapping[int, MetricRow]]
) -> dict[tuple[str, str], MetricSeries]:
    """The series of these names and splits; those that are not there yet are made."""
    found = session.scalars(select(MetricSeries).where(MetricSeries.job_id == job_id))
    series = {(one.name, one.split): one for one in found}
    for (name, split), by_step in groups.items():
        if (name, split) not in series:
            row = next(iter(by_step.values()))
            new = MetricSeries(
                id=new_id("ser"), job_id=job_id, name=name, split=split, unit=row.unit, better=row.better, count=0
            )
            session.add(new)
            series[name, split] = new
    session.flush()
    return series


def _upsert(session: Session) -> Insert:
    """One statement for any number of points, so that it is compiled once."""
    dialect = session.get_bind().dialect.name
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(cast(Table, MetricPoint.__table__))
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["series_id", "step"], set_={"epoch": new.epoch, "value": new.value, "at": new.at}
    )


def _summary_with(series: MetricSeries, rows: Sequence[MetricRow]) -> dict[str, Any]:
    """The summary after points behind all that were there."""
    low, high, best_step = series.min, series.max, series.best_step
    for row in rows:
        value = finite(row.value)
        if value is None:
            continue
        if (series.better == "min" and (low is None or value < low)) or (
            series.better == "max" and (high is None or value > high)
        ):
            best_step = row.step
        low = value if low is None else min(low, value)
        high = value if high is None else max(high, value)
    return {
        "count": series.count + len(rows),
        "last": finite(rows[-1].value),
        "last_step": rows[-1].step,
        "min": low,
        "max": high,
        "best_step": best_step,
    }


def _summary_of_all(session: Session, series: MetricSeries) -> dict[str, Any]:
    """The summary from all points: for a run that went back to its checkpoint and wrote some of them again."""
    mine = MetricPoint.series_id == series.id
    count, low, high, last_step = session.execute(
        select(
            func.count(), func.min(MetricPoint.value), func.max(MetricPoint.value), func.max(MetricPoint.step)
        ).where(mine)
    ).one()
    last = session.scalar(select(MetricPoint.value).where(mine, MetricPoint.step == last_step))
    best_step = None
    if series.better is not None and low is not None:
        best = low if series.better == "min" else high
        best_step = session.scalar(select(func.min(MetricPoint.step)).where(mine, MetricPoint.value == best))
    return {"count": count, "last": last, "last_step": last_step, "min": low, "max": high, "best_step": best_step}


def list_series(
    session: Session, job_id: str, *, after: tuple[str, str] | None = None, limit: int | None = None
) -> list[MetricSeries]:
    """The series of a job by name and split, from behind `after`."""
    query = select(MetricSeries).where(MetricSeries.job_id == job_id)
    if after is not None:
        name, split = after
        query = query.where(or_(MetricSeries.name > name, and_(MetricSeries.name == name, MetricSeries.split > split)))
    return list(session.scalars(query.order_by(MetricSeries.name, MetricSeries.split).limit(limit)))


def series_of_jobs(session: Session, job_ids: Sequence[str]) -> dict[str, list[MetricSeries]]:
    """The series of many jobs in one query."""
    found: dict[str, list[MetricSeries]] = {job_id: [] for job_id in job_ids}
    query = select(MetricSeries).where(MetricSeries.job_id.in_(job_ids))
    for series in session.scalars(query.order_by(MetricSeries.name, MetricSeries.split)):
        found[series.job_id].append(series)
    return found


def points(session: Session, series_id: str, *, start: int | None = None, stop: int | None = None) -> list[Point]:
    """The points with `start <= step <= stop`, by step."""
    query = select(MetricPoint.step, MetricPoint.epoch, MetricPoint.value, MetricPoint.at).where(
        MetricPoint.series_id == series_id
    )
    if start is not None:
        query = query.where(MetricPoint.step >= start)
    if stop is not None:
        query = query.where(MetricPoint.step <= stop)
    return [Point(*row) for row in session.execute(query.order_by(MetricPoint.step))]


def downsample(rows: Sequence[Point], max_points: int) -> list[Point]:
    """At most `max_points` of the points: first, last, and the least and greatest of equal buckets in between.

    Deterministic, and no extreme of the range is ever lost. Points without a value stay only where a bucket
    has nothing else.
    """
    if len(rows) <= max_points:
        return list(rows)
    if max_points < 4:
        return _extremes(rows, max_points)
    inner = rows[1:-1]
    buckets = (max_points - 2) // 2
    kept = [rows[0]]
    for index in range(buckets):
        bucket = inner[index * len(inner) // buckets : (index + 1) * len(inner) // buckets]
        kept += _extremes(bucket, 2)
    return [*kept, rows[-1]]


def _extremes(rows: Sequence[Point], most: int) -> list[Point]:
    """The least and the greatest of the points (the greatest alone if there is room for one), by step."""
    valued = [(row.value, index) for index, row in enumerate(rows) if row.value is not None]
    if not valued:
        return list(rows[:1])
    greatest = max(valued, key=lambda item: (item[0], -item[1]))[1]
    if most == 1:
        return [rows[greatest]]
    return [rows[index] for index in sorted({min(valued)[1], greatest})]
