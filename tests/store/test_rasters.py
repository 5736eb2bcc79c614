from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select, update

from service.store import jobs, rasters
from service.store.engine import Database
from service.store.errors import DamagedChunk
from service.store.rows import RasterRow
from service.store.tables import Raster, RasterChunk

SHAPES = [(1, 1), (7, 3), (100, 64), (1000, 9), (1, 9000), (300, 20_000), (70_000, 20)]


def random_spikes(shape: tuple[int, int], rate: float = 0.03) -> NDArray[np.bool_]:
    return np.random.default_rng(sum(shape)).random(shape) < rate


def store(db: Database, spikes: NDArray[np.bool_], **changes: object) -> Raster:
    with db.write() as session:
        job_id = jobs.create(session, spec={}).id
        raster_id = rasters.upsert_rasters(
            session, job_id, 1, [RasterRow(1, 10, "test", "hidden", 0, 3, None, 0.5, spikes)]
        )[0]
    with db.read() as session:
        raster = rasters.get_raster(session, job_id, raster_id)
        assert raster is not None
        return raster


@pytest.mark.parametrize("shape", SHAPES)
def test_chunks_hold_every_spike_and_tile_the_raster(shape: tuple[int, int]) -> None:
    spikes = random_spikes(shape)
    again = np.zeros_like(spikes)
    covered = np.zeros(shape, dtype=np.int8)
    for chunk in rasters.encode(spikes):
        again[chunk.t_start : chunk.t_stop, chunk.n_start : chunk.n_stop] = rasters.decode(chunk)
        covered[chunk.t_start : chunk.t_stop, chunk.n_start : chunk.n_stop] += 1
    assert np.array_equal(again, spikes)
    assert (covered == 1).all()


@pytest.mark.parametrize("rate", [0.002, 0.02, 0.1])
def test_chunks_of_a_large_raster_are_neither_tiny_nor_huge(rate: float) -> None:
    chunks = rasters.encode(random_spikes((4000, 2000), rate))
    sizes = [len(chunk.data) for chunk in chunks[:-1]]
    assert min(sizes) >= 4 * 1024
    assert max(sizes) <= 128 * 1024


def test_a_raster_without_steps_or_neurons_is_empty() -> None:
    assert rasters.encode(np.zeros((0, 5), dtype=np.bool_)) == []
    assert rasters.encode(np.zeros((5, 0), dtype=np.bool_)) == []


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.zeros(4, dtype=np.bool_)])
def test_what_is_no_raster_is_refused(wrong: NDArray[np.bool_]) -> None:
    with pytest.raises(ValueError, match=r"bool \[T, N\]"):
        rasters.encode(wrong)


@pytest.mark.parametrize("shape", [(100, 64), (300, 20_000), (70_000, 20)])
@pytest.mark.parametrize("window", ["all", "time", "neurons", "both", "nothing"])
def test_a_window_holds_what_slicing_the_array_holds(database: Database, shape: tuple[int, int], window: str) -> None:
    spikes = random_spikes(shape)
    raster = store(database, spikes)
    n_steps, n_neurons = shape
    start, stop = (n_steps // 3, n_steps // 2) if window in {"time", "both"} else (0, None)
    ranges = None
    if window in {"neurons", "both"}:
        ranges = [(0, 2), (n_neurons // 2, n_neurons // 2 + 5), (n_neurons - 1, n_neurons)]
    if window == "nothing":
        start, stop = n_steps, n_steps + 10
    with database.read() as session:
        found = rasters.read_window(session, raster, start=start, stop=stop, neurons=ranges)
    mask = np.zeros_like(spikes)
    for first, last in ranges or [(0, n_neurons)]:
        mask[start:stop, first:last] = True
    steps, neurons = np.nonzero(spikes & mask)
    assert np.array_equal(found.steps, steps)
    assert np.array_equal(found.neurons, neurons)
    assert found.neurons.dtype == np.uint32


def test_a_window_loads_only_the_chunks_that_it_touches(database: Database) -> None:
    raster = store(database, random_spikes((70_000, 20)))
    with database.read() as session:
        total = session.scalar(select(func.count()).where(RasterChunk.raster_id == raster.id))
        assert total is not None
        assert total > 1
        assert len(rasters.load_chunks(session, raster.id, 0, 10, [(0, 20)])) == 1
        assert rasters.load_chunks(session, raster.id, 10, 10, [(0, 20)]) == []
        assert len(rasters.load_chunks(session, raster.id, 0, 70_000, [(3, 4)])) == total


def test_the_description_counts_spikes(database: Database) -> None:
    spikes = random_spikes((50, 30))
    raster = store(database, spikes)
    assert (raster.n_steps, raster.n_neurons, raster.n_spikes) == (50, 30, int(spikes.sum()))
    assert (raster.label, raster.prediction, raster.dt_ms) == (3, None, 0.5)


def test_the_same_raster_again_replaces_itself_under_its_id(database: Database) -> None:
    with database.write() as session:
        job_id = jobs.create(session, spec={}).id
        ids = {
            rasters.upsert_rasters(
                session,
                job_id,
                attempt,
                [RasterRow(1, 10, "test", "hidden", 0, 3, 3, 1.0, np.full((4, 4), attempt == 2))],
            )[0]
            for attempt in (1, 2)
        }
    assert len(ids) == 1
    with database.read() as session:
        raster = rasters.get_raster(session, job_id, ids.pop())
        assert raster is not None
        assert (raster.attempt, raster.n_spikes) == (2, 16)
        assert len(rasters.read_window(session, raster).steps) == 16


def test_a_damaged_chunk_is_noticed(database: Database) -> None:
    raster = store(database, random_spikes((100, 64)))
    with database.write() as session:
        session.execute(update(RasterChunk).values(data=b"\0" * 10))
    with database.read() as session, pytest.raises(DamagedChunk):
        rasters.read_window(session, raster)
