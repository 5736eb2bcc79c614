from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select, update

from service.store import events, jobs, receptive_fields, recorded
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.errors import DamagedChunk
from service.store.rows import ReceptiveFieldsRow, RecordBatch
from service.store.tables import ReceptiveField, ReceptiveFieldChunk

SHAPES = [(1, 1), (7, 3), (400, 784), (3, 200_000)]


def random_weights(shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def row(weights: NDArray[np.float32], step: int = 10, layer: str = "excitatory", **more: Any) -> ReceptiveFieldsRow:
    return ReceptiveFieldsRow(1, step, layer, None, weights, **more)


def store(db: Database, *rows: ReceptiveFieldsRow) -> list[ReceptiveField]:
    with db.write() as session:
        job_id = jobs.create(session, spec={}).id
        ids = receptive_fields.upsert(session, job_id, 1, rows)
    with db.read() as session:
        found = [recorded.find(session, ReceptiveField, job_id, id_) for id_ in ids]
    return [fields for fields in found if fields is not None]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_weight_comes_back_to_the_bit(database: Database, shape: tuple[int, int]) -> None:
    weights = random_weights(shape)
    (fields,) = store(database, row(weights))
    with database.read() as session:
        assert np.array_equal(receptive_fields.read_neurons(session, fields, [(0, shape[0])]), weights)
    assert (fields.n_neurons, fields.n_features) == shape
    assert (fields.low, fields.high) == (weights.min(), weights.max())


@pytest.mark.parametrize("ranges", [[(0, 3), (160, 175), (399, 400)], [(5, 6)], [], [(0, 170), (300, 400)]])
def test_some_neurons_are_what_slicing_the_array_holds(database: Database, ranges: list[tuple[int, int]]) -> None:
    weights = random_weights((400, 784))
    (fields,) = store(database, row(weights))
    with database.read() as session:
        found = receptive_fields.read_neurons(session, fields, ranges)
    assert np.array_equal(found, weights[[neuron for first, last in ranges for neuron in range(first, last)]])


def test_weights_of_which_most_are_0_take_less_than_half_the_room(database: Database) -> None:
    weights = (random_weights((400, 784)) - 0.5).clip(0)
    (fields,) = store(database, row(weights))
    with database.read() as session:
        size = select(func.sum(func.length(ReceptiveFieldChunk.data)), func.count())
        stored, chunks = session.execute(size.where(ReceptiveFieldChunk.receptive_field_id == fields.id)).one()
    assert stored < weights.nbytes / 2
    assert chunks == 3


def test_what_is_not_finite_comes_back_and_is_left_out_of_the_scale(database: Database) -> None:
    weights = np.array([[1, np.nan, -2], [np.inf, 3, 0]], np.float32)
    fields, lost = store(database, row(weights), row(np.full((1, 2), np.nan, np.float32), step=11))
    assert (fields.low, fields.high) == (-2, 3)
    assert (lost.low, lost.high) == (None, None)
    with database.read() as session:
        found = receptive_fields.read_neurons(session, fields, [(0, 2)])
    assert np.array_equal(found, weights, equal_nan=True)


def test_the_same_step_and_layer_again_replace_themselves_under_their_id(database: Database) -> None:
    with database.write() as session:
        job_id = jobs.create(session, spec={}).id
        for attempt, labels in ((1, None), (2, [3, None, 3, 3])):
            weights = np.full((4, 6), attempt, np.float32)
            rows = [row(weights, labels=labels), row(weights, 20, labels=labels), row(weights, layer="other")]
            ids = receptive_fields.upsert(session, job_id, attempt, rows)
    with database.read() as session:
        found = recorded.newest(session, ReceptiveField, job_id, filters={}, before=None, limit=9)
        assert {fields.id for fields in found} == set(ids)
        assert len(ids) == 3
        assert all((fields.attempt, fields.low) == (2, 2) for fields in found)
        assert found[1].labels == [3, None, 3, 3]
        assert (receptive_fields.read_neurons(session, found[1], [(0, 4)]) == 2).all()
        assert session.scalar(select(func.count()).select_from(ReceptiveFieldChunk)) == 3


def test_an_attempt_records_them_with_an_event_and_they_go_with_the_job(database: Database) -> None:
    with database.write() as session:
        job_id = jobs.create(session, spec={}).id
    held = claim(database, job_id, "wrk_1", lease_s=60)
    assert held is not None
    fields = ReceptiveFieldsRow(2, 30, "excitatory", (2, 3, 1), random_weights((4, 6)))
    Attempt(database, job_id, held.attempt).succeed(RecordBatch(receptive_fields=[fields]), {})
    with database.read() as session:
        (stored,) = recorded.newest(session, ReceptiveField, job_id, filters={"step": 30}, before=None, limit=9)
    told = {"id": stored.id, "epoch": 2, "step": 30, "layer": "excitatory", "n_neurons": 4, "shape": [2, 3, 1]}
    with database.read() as session:
        assert [event.data for event in events.after(session, job_id, 0, 99, "receptive_fields")] == [told]
    with database.write() as session:
        jobs.remove(session, job_id)
    with database.read() as session:
        for table in (ReceptiveField, ReceptiveFieldChunk):
            assert session.scalar(select(func.count()).select_from(table)) == 0


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.zeros(4, np.float32), np.zeros((0, 4), np.float32)])
def test_what_are_no_receptive_fields_is_refused(database: Database, wrong: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"float32 \[n_neurons, n_features\]"):
        store(database, row(wrong))


def test_a_damaged_chunk_is_noticed(database: Database) -> None:
    (fields,) = store(database, row(random_weights((4, 6))))
    with database.write() as session:
        session.execute(update(ReceptiveFieldChunk).values(data=b"\0" * 10))
    with database.read() as session, pytest.raises(DamagedChunk, match="receptive fields at neuron 0"):
        receptive_fields.read_neurons(session, fields, [(0, 4)])
