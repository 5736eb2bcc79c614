from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from service.store import checkpoints, events, jobs, metrics, queue, rasters, workers
from service.store.attempt import Attempt, claim, reap_expired
from service.store.engine import Database
from service.store.errors import AttemptSuperseded, IllegalTransition, JobNotFound
from service.store.rows import CheckpointRow, LogRow, MetricRow, RasterRow, RecordBatch
from service.store.tables import Base, Job
from service.store.types import utcnow


def submit(db: Database, **values: Any) -> str:
    with db.write() as session:
        return jobs.create(session, spec={"seed": 7}, labels={"a": "1"}, **values).id


def start(db: Database, job_id: str | None = None) -> Attempt:
    job_id = job_id or submit(db)
    held = claim(db, job_id, "wrk_1", lease_s=60)
    assert held is not None
    return Attempt(db, job_id, held.attempt)


def job_of(attempt: Attempt) -> Job:
    with attempt.db.read() as session:
        return jobs.get(session, attempt.job_id)


def events_of(attempt: Attempt) -> list[events.StoredEvent]:
    with attempt.db.read() as session:
        return events.after(session, attempt.job_id, 0, 1000)


def full_batch(step: int = 10) -> RecordBatch:
    spikes = np.zeros((20, 5), dtype=np.bool_)
    spikes[3, 2] = True
    return RecordBatch(
        metrics=[
            MetricRow("loss", "train", step, 1, 0.5, better="min"),
            MetricRow("accuracy", "test", step, 1, 0.9, better="max"),
        ],
        rasters=[RasterRow(1, step, "test", "hidden", 0, 4, 4, 1.0, spikes)],
        checkpoints=[CheckpointRow("last", 1, step, b"weights"), CheckpointRow("best", 1, step, b"best weights")],
        logs=[LogRow("info", "half way\0")],
        progress={"epoch": 1, "epochs": 2, "fraction": 0.5, "eta_s": 3.0, "samples_per_s": 100.0},
        warnings=["layer hidden is silent"],
    )


def test_a_claim_starts_a_job_once(database: Database) -> None:
    job_id = submit(database)
    held = claim(database, job_id, "wrk_1", lease_s=60)
    assert held is not None
    assert (held.attempt, held.spec) == (1, {"seed": 7})
    assert claim(database, job_id, "wrk_2", lease_s=60) is None
    assert claim(database, "job_none", "wrk_2", lease_s=60) is None
    job = job_of(Attempt(database, job_id, 1))
    assert (job.state, job.lease_owner) == ("running", "wrk_1")
    assert job.started_at is not None
    assert job.lease_expires_at is not None
    assert job.lease_expires_at > utcnow()


def test_one_record_writes_everything_with_numbered_events(database: Database) -> None:
    attempt = start(database)
    assert attempt.record(full_batch()) == "running"
    assert [event.seq for event in events_of(attempt)] == list(range(1, 9))
    assert [event.type for event in events_of(attempt)] == [
        "state",
        "state",
        "log",
        "metric",
        "raster",
        "checkpoint",
        "checkpoint",
        "progress",
    ]
    metric = next(event for event in events_of(attempt) if event.type == "metric")
    assert metric.data["step"] == 10
    assert [point["name"] for point in metric.data["points"]] == ["loss", "accuracy"]
    log = next(event for event in events_of(attempt) if event.type == "log")
    assert log.data == {"level": "info", "message": "half way\ufffd"}
    job = job_of(attempt)
    assert job.warnings == ["layer hidden is silent"]
    assert job.progress is not None
    assert job.progress["fraction"] == 0.5
    with database.read() as session:
        assert [series.name for series in metrics.list_series(session, attempt.job_id)] == ["accuracy", "loss"]
        assert len(rasters.list_rasters(session, attempt.job_id, filters={}, before=None, limit=9)) == 1
        assert len(checkpoints.list_checkpoints(session, attempt.job_id, before=None, limit=9)) == 2
    assert attempt.load() == ({"seed": 7}, b"weights")


def test_an_empty_batch_only_asks_for_the_state(database: Database) -> None:
    attempt = start(database)
    before = len(events_of(attempt))
    assert attempt.record(RecordBatch()) == "running"
    assert len(events_of(attempt)) == before


def test_warnings_are_kept_once(database: Database) -> None:
    attempt = start(database)
    attempt.record(RecordBatch(warnings=["a", "a", "b"]))
    attempt.record(RecordBatch(warnings=["b", "c"]))
    assert job_of(attempt).warnings == ["a", "b", "c"]


def test_a_batch_that_cannot_be_written_leaves_nothing(database: Database) -> None:
    attempt = start(database)
    bad = full_batch()
    bad.rasters.append(RasterRow(1, 1, "test", "hidden", 1, None, None, 1.0, np.zeros(3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        attempt.record(bad)
    with database.read() as session:
        assert metrics.list_series(session, attempt.job_id) == []
    assert len(events_of(attempt)) == 2


def test_every_write_of_a_superseded_attempt_is_refused(database: Database) -> None:
    old = start(database)
    assert reap_expired(database, utcnow() + timedelta(seconds=61)) == [old.job_id]
    new = start(database, old.job_id)
    assert new.attempt == 2
    for call in (
        old.load,
        old.state,
        lambda: old.record(full_batch()),
        lambda: old.record(RecordBatch()),
        lambda: old.renew_lease("wrk_1", 60),
        lambda: old.succeed(RecordBatch(), {}),
        lambda: old.fail("diverged", "no"),
        lambda: old.stopped("shutdown", RecordBatch()),
        lambda: old.abandon("gone"),
    ):
        with pytest.raises(AttemptSuperseded):
            call()
    assert new.state() == "running"


@pytest.mark.parametrize("ending", ["queued", "paused", "cancelled", "succeeded", "failed", "deleted"])
def test_writes_to_a_job_that_is_not_being_run_are_refused(database: Database, ending: str) -> None:
    attempt = start(database)
    with database.write() as session:
        job = jobs.get(session, attempt.job_id)
        if ending == "deleted":
            session.delete(job)
        else:
            job.state = ending
    with pytest.raises(AttemptSuperseded):
        attempt.record(full_batch())
    with pytest.raises(AttemptSuperseded):
        attempt.state()


@pytest.mark.parametrize("state", ["cancelling", "pausing"])
def test_a_job_asked_to_stop_still_takes_its_last_checkpoint(database: Database, state: str) -> None:
    attempt = start(database)
    with database.write() as session:
        (jobs.cancel if state == "cancelling" else jobs.pause)(session, attempt.job_id)
    assert attempt.state() == state
    assert attempt.record(full_batch()) == state
    assert attempt.renew_lease("wrk_1", 60) == state
    assert attempt.load()[1] == b"weights"


@pytest.mark.parametrize(
    ("asked", "reason", "after"),
    [
        ("cancel", "cancel", "cancelled"),
        ("cancel", "shutdown", "cancelled"),
        ("cancel", "pause", "cancelled"),
        ("pause", "pause", "paused"),
        ("pause", "shutdown", "paused"),
        (None, "shutdown", "queued"),
    ],
)
def test_stopping_goes_where_the_row_says(database: Database, asked: str | None, reason: Any, after: str) -> None:
    attempt = start(database)
    if asked:
        with database.write() as session:
            (jobs.cancel if asked == "cancel" else jobs.pause)(session, attempt.job_id)
    assert attempt.stopped(reason, full_batch()) == after
    job = job_of(attempt)
    assert (job.state, job.lease_owner, job.lease_expires_at, job.dispatched_at) == (after, None, None, None)
    assert job.stop_requested_at is None
    assert events_of(attempt)[-1].data["state"] == after
    with database.read() as session:
        assert checkpoints.by_kind(session, attempt.job_id, "last") is not None
    assert attempt.stopped(reason, full_batch()) == after  # a repeated call after a lost answer is no error


def test_a_run_that_nobody_stopped_cannot_claim_to_be_cancelled(database: Database) -> None:
    attempt = start(database)
    with pytest.raises(IllegalTransition):
        attempt.stopped("cancel", full_batch())
    assert job_of(attempt).state == "running"


def test_success_comes_with_its_last_batch_and_may_be_repeated(database: Database) -> None:
    attempt = start(database)
    attempt.succeed(full_batch(), {"metrics": {"test": {"accuracy": 0.9}}, "nan": float("nan")})
    attempt.succeed(full_batch(), {"other": 1})
    job = job_of(attempt)
    assert job.state == "succeeded"
    assert job.result == {"metrics": {"test": {"accuracy": 0.9}}, "nan": None}
    assert job.finished_at is not None
    assert [event.type for event in events_of(attempt)].count("metric") == 1


def test_success_wins_over_a_cancel_that_came_too_late(database: Database) -> None:
    attempt = start(database)
    with database.write() as session:
        jobs.cancel(session, attempt.job_id)
    attempt.succeed(RecordBatch(), {})
    assert job_of(attempt).state == "succeeded"


def test_failure_says_why(database: Database) -> None:
    attempt = start(database)
    attempt.fail("diverged", "the loss is not finite at step 3", full_batch())
    job = job_of(attempt)
    assert (job.state, job.error_code, job.error_detail) == ("failed", "diverged", "the loss is not finite at step 3")
    assert events_of(attempt)[-1].data["error"] == {"code": "diverged", "detail": "the loss is not finite at step 3"}


def test_a_job_that_keeps_crashing_fails_at_the_cap(database: Database) -> None:
    job_id = submit(database)
    outcomes = [start(database, job_id).abandon(f"signal {number}") for number in range(3)]
    assert outcomes == ["queued", "queued", "failed"]
    job = job_of(Attempt(database, job_id, 3))
    assert job.error_code == "trainer_crashed"
    assert job.error_detail is not None
    assert "signal 2" in job.error_detail


def test_a_new_checkpoint_forgives_the_crashes_before_it_and_an_old_one_does_not(database: Database) -> None:
    job_id = submit(database)
    first = start(database, job_id)
    first.record(RecordBatch(checkpoints=[CheckpointRow("last", 1, 5, b"a")]))
    first.abandon("one")
    second = start(database, job_id)
    second.record(RecordBatch(checkpoints=[CheckpointRow("last", 1, 5, b"a")]))
    assert job_of(second).crashes == 1
    second.record(RecordBatch(checkpoints=[CheckpointRow("last", 1, 6, b"b")]))
    assert job_of(second).crashes == 0


@pytest.mark.parametrize(("asked", "after"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_crash_while_stopping_ends_where_it_was_going(database: Database, asked: str, after: str) -> None:
    attempt = start(database)
    with database.write() as session:
        getattr(jobs, asked)(session, attempt.job_id)
    assert attempt.abandon("killed") == after


def test_the_reaper_takes_back_only_what_expired(database: Database) -> None:
    attempt, other = start(database), start(database)
    assert reap_expired(database, utcnow()) == []
    other.renew_lease("wrk_1", 600)
    assert reap_expired(database, utcnow() + timedelta(seconds=100)) == [attempt.job_id]
    assert job_of(attempt).state == "queued"
    assert job_of(attempt).crashes == 1
    assert other.state() == "running"


def test_the_sweep_finds_jobs_that_nobody_was_told_of(database: Database) -> None:
    first, second = submit(database), submit(database)
    now = utcnow()
    assert queue.stale_queued(database, now, grace_s=60) == []
    assert queue.stale_queued(database, now, grace_s=0) == [first, second]
    queue.mark_dispatched(database, first)
    assert queue.stale_queued(database, now + timedelta(seconds=5), grace_s=1) == [second]
    later = now + timedelta(seconds=30)
    assert queue.stale_queued(database, later, redispatch_s=15) == [first, second]
    assert queue.stale_queued(database, later, redispatch_s=15, limit=1) == [first]
    with database.read() as session:
        assert queue.oldest_queued_at(session) is not None
    start(database, first).stopped("shutdown", RecordBatch())
    assert first in queue.stale_queued(database, later, grace_s=1)


def test_deleting_a_job_removes_all_that_it_stored(database: Database) -> None:
    attempt = start(database)
    attempt.succeed(full_batch(), {})
    with database.write() as session:
        jobs.remove(session, attempt.job_id)
    with database.read() as session:
        for table in Base.metadata.sorted_tables:
            assert session.execute(table.select()).all() == [], table.name
        with pytest.raises(JobNotFound):
            jobs.get(session, attempt.job_id)


def test_workers_register_beat_and_are_forgotten(database: Database) -> None:
    worker_id = workers.register(database, hostname="h", pid=1, device="cpu", threads=2, slots=1)
    held = claim(database, submit(database), worker_id, lease_s=60)
    assert held is not None
    with database.read() as session:
        assert [worker.id for worker in workers.list_alive(session, utcnow(), 30)] == [worker_id]
        assert workers.count_alive(session, utcnow() + timedelta(seconds=31), 30) == 0
        assert workers.jobs_of_workers(session) == {worker_id: [held.job_id]}
    assert workers.heartbeat(database, worker_id)
    assert workers.forget_dead(database, utcnow() + timedelta(seconds=100), 60) == [worker_id]
    assert not workers.heartbeat(database, worker_id)
    workers.remove(database, worker_id)
