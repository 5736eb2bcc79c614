from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from service.store import jobs, metrics
from service.store.engine import Database
from service.store.metrics import Point, downsample
from service.store.rows import MetricRow
from service.store.tables import MetricSeries


def make_job(db: Database) -> str:
    with db.write() as session:
        return jobs.create(session, spec={}).id


def write(db: Database, job_id: str, values: dict[int, float], better: str | None = "min") -> MetricSeries:
    with db.write() as session:
        rows = [MetricRow("loss", "train", step, 1, value, "nat", better) for step, value in values.items()]  # type: ignore[arg-type]
        metrics.upsert_points(session, job_id, rows)
    with db.read() as session:
        (series,) = metrics.list_series(session, job_id)
        return series


def read(db: Database, series: MetricSeries, start: int | None = None, stop: int | None = None) -> dict[int, float]:
    with db.read() as session:
        return {point.step: point.value for point in metrics.points(session, series.id, start=start, stop=stop)}  # type: ignore[misc]


def test_the_summary_follows_the_points(database: Database) -> None:
    job_id = make_job(database)
    write(database, job_id, {1: 3.0, 2: 1.0})
    series = write(database, job_id, {3: 2.0, 4: 1.0})
    assert (series.count, series.last, series.last_step, series.min, series.max) == (4, 1.0, 4, 1.0, 3.0)
    assert series.best_step == 2  # the first of equals
    assert (series.unit, series.better) == ("nat", "min")


def test_the_best_of_a_series_to_maximise_is_its_greatest(database: Database) -> None:
    assert write(database, make_job(database), {1: 0.1, 2: 0.9, 3: 0.5}, better="max").best_step == 2


def test_a_series_without_a_direction_has_no_best(database: Database) -> None:
    assert write(database, make_job(database), {1: 0.1, 2: 0.9}, better=None).best_step is None


def test_a_rewound_run_replaces_its_points_and_the_summary_is_as_if_it_had_run_through(database: Database) -> None:
    straight, rewound = make_job(database), make_job(database)
    values = {step: math.sin(step) for step in range(1, 21)}
    expected = write(database, straight, values)
    write(database, rewound, {step: value for step, value in values.items() if step <= 12})
    write(database, rewound, {step: value for step, value in values.items() if 8 <= step <= 10})
    series = write(database, rewound, {step: value for step, value in values.items() if step > 10})
    for column in ("count", "last", "last_step", "min", "max", "best_step"):
        assert getattr(series, column) == getattr(expected, column), column
    assert read(database, series) == values


def test_a_rewrite_with_other_values_forgets_the_old_extremes(database: Database) -> None:
    job_id = make_job(database)
    write(database, job_id, {1: 5.0, 2: -9.0})
    series = write(database, job_id, {2: 4.0})
    assert (series.count, series.min, series.max, series.last, series.best_step) == (2, 4.0, 5.0, 4.0, 2)


def test_values_that_are_not_finite_are_null_and_no_extremes(database: Database) -> None:
    job_id = make_job(database)
    series = write(database, job_id, {1: 2.0, 2: math.inf, 3: math.nan})
    assert read(database, series) == {1: 2.0, 2: None, 3: None}
    assert (series.count, series.min, series.max, series.last, series.last_step) == (3, 2.0, 2.0, None, 3)
    assert write(database, job_id, {3: math.nan}).best_step == 1


def test_a_step_twice_in_one_batch_keeps_the_later_value(database: Database) -> None:
    job_id = make_job(database)
    with database.write() as session:
        rows = [MetricRow("loss", "train", 1, 1, value) for value in (1.0, 2.0)]
        metrics.upsert_points(session, job_id, rows)
    with database.read() as session:
        (series,) = metrics.list_series(session, job_id)
        assert (series.count, series.last) == (1, 2.0)


def test_batches_larger_than_a_statement_are_written_whole(database: Database) -> None:
    series = write(database, make_job(database), {step: float(step) for step in range(2500)})
    assert series.count == 2500
    assert len(read(database, series)) == 2500
    assert list(read(database, series, 10, 12)) == [10, 11, 12]


def test_doubles_keep_every_bit(database: Database) -> None:
    values = {step: float(value) for step, value in enumerate(np.random.default_rng(1).normal(size=50) * 1e-300)}
    assert read(database, write(database, make_job(database), values)) == values


def points_of(values: list[float | None]) -> list[Point]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [Point(step, 1, value, at) for step, value in enumerate(values)]


@pytest.mark.parametrize("max_points", [1, 2, 3, 4, 5, 10, 11, 100, 999])
@pytest.mark.parametrize("count", [1, 2, 5, 100, 1000])
def test_downsampling_keeps_ends_extremes_and_order(count: int, max_points: int) -> None:
    values = [float(value) for value in np.random.default_rng(count).normal(size=count)]
    kept = downsample(points_of(list(values)), max_points)
    assert len(kept) <= max_points
    steps = [point.step for point in kept]
    assert steps == sorted(set(steps))
    assert max(point.value for point in kept if point.value is not None) == max(values)
    if max_points >= 4:
        assert min(point.value for point in kept if point.value is not None) == min(values)
        assert (steps[0], steps[-1]) == (0, count - 1)
    if count <= max_points:
        assert len(kept) == count


def test_downsampling_is_deterministic_and_survives_missing_values() -> None:
    values: list[float | None] = [None if index % 3 else float(index) for index in range(500)]
    rows = points_of(values)
    assert downsample(rows, 50) == downsample(rows, 50)
    assert sum(point.value is None for point in downsample(rows, 50)) <= 2
    assert len(downsample(points_of([None] * 500), 50)) <= 50
