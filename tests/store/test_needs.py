"""Jobs that need others: they wait, are freed, fail with them, and keep them from being removed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from service.store import events, jobs, needs, queue
from service.store.attempt import Attempt, claim, reap_expired
from service.store.engine import Database
from service.store.errors import JobNeeded, JobNotFound, NeededJobEnded
from service.store.needs import Needs
from service.store.rows import CheckpointRow, RecordBatch
from service.store.tables import Job, JobNeed
from service.store.transitions import lock_job, move
from service.store.types import utcnow


def submit(db: Database, *needed: str) -> str:
    with db.write() as session:
        return jobs.create(session, spec={}, needed=needed).id


def start(db: Database, job_id: str) -> Attempt:
    held = claim(db, job_id, "wrk_1", lease_s=60)
    assert held is not None
    return Attempt(db, job_id, held.attempt)


def succeed(db: Database, job_id: str) -> None:
    start(db, job_id).succeed(RecordBatch(), {})


def act(db: Database, action: Callable[..., object], job_id: str) -> None:
    with db.write() as session:
        action(session, job_id)


def row(db: Database, job_id: str) -> Job:
    with db.read() as session:
        return jobs.get(session, job_id)


def rung(db: Database) -> list[str]:
    """What a sweep would ring for."""
    return queue.stale_queued(db, utcnow() + timedelta(seconds=60))


def test_a_job_waits_until_all_that_it_needs_has_succeeded(database: Database) -> None:
    first, second = submit(database), submit(database)
    waiting = submit(database, first, second)
    assert rung(database) == [first, second]
    succeed(database, first)
    assert claim(database, waiting, "wrk_1", lease_s=60) is None
    assert queue.freed_by(database, first) == []
    assert queue.waits(database, waiting)
    succeed(database, second)
    assert queue.freed_by(database, second) == [waiting]
    assert not queue.waits(database, waiting)
    assert rung(database) == [waiting]
    assert claim(database, waiting, "wrk_1", lease_s=60) is not None


def test_a_job_that_needs_a_finished_one_can_start_at_once(database: Database) -> None:
    needed = submit(database)
    succeed(database, needed)
    waiting = submit(database, needed)
    assert rung(database) == [waiting]
    assert claim(database, waiting, "wrk_1", lease_s=60) is not None


def test_the_wait_for_another_job_is_no_wait_for_a_worker(database: Database) -> None:
    needed = submit(database)
    waiting = submit(database, needed)
    attempt = start(database, needed)
    with database.read() as session:
        assert queue.oldest_queued_at(session) is None
    attempt.succeed(RecordBatch(), {})
    assert row(database, waiting).queued_at == row(database, needed).finished_at
    with database.read() as session:
        assert queue.oldest_queued_at(session) == row(database, needed).finished_at


def fail(db: Database, job_id: str) -> None:
    start(db, job_id).fail("diverged", "the loss is nan")


def lose(db: Database, job_id: str) -> None:
    start(db, job_id)
    reap_expired(db, utcnow() + timedelta(seconds=61), max_crashes=1)


def cancel_queued(db: Database, job_id: str) -> None:
    act(db, jobs.cancel, job_id)


def cancel_running(db: Database, job_id: str) -> None:
    attempt = start(db, job_id)
    act(db, jobs.cancel, job_id)
    attempt.stopped("cancel", RecordBatch())


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (fail, "failed (diverged)"),
        (lose, "failed (worker_lost)"),
        (cancel_queued, "was cancelled"),
        (cancel_running, "was cancelled"),
    ],
)
def test_all_that_waits_for_a_job_fails_with_it(
    database: Database, end: Callable[[Database, str], None], how: str
) -> None:
    needed = submit(database)
    waiting, other = submit(database, needed), submit(database, needed)
    waiting_for_that = submit(database, waiting)
    bystander = submit(database)
    end(database, needed)
    for job_id in (waiting, other, waiting_for_that):
        job = row(database, job_id)
        assert (job.state, job.error_code) == ("failed", "needed_job_failed")
        assert job.finished_at is not None
    detail = f"Job {needed}, which this one needs, {how}. Resume that one, and then this one."
    assert row(database, waiting).error_detail == detail
    assert waiting in (row(database, waiting_for_that).error_detail or "")
    with database.read() as session:
        last = events.after(session, other, 0, 10)[-1]
    assert (last.type, last.data["state"], last.data["error"]["code"]) == ("state", "failed", "needed_job_failed")
    assert row(database, bystander).state == "queued"


def test_a_job_given_back_or_paused_keeps_others_waiting(database: Database) -> None:
    needed = submit(database)
    waiting = submit(database, needed)
    start(database, needed).stopped("shutdown", RecordBatch())
    attempt = start(database, needed)
    act(database, jobs.pause, needed)
    attempt.stopped("pause", RecordBatch())
    assert row(database, waiting).state == "queued"
    assert claim(database, waiting, "wrk_1", lease_s=60) is None


@pytest.mark.parametrize("end", [fail, cancel_queued])
def test_resuming_the_needed_job_and_then_the_other_goes_on(
    database: Database, end: Callable[[Database, str], None]
) -> None:
    needed = submit(database)
    waiting = submit(database, needed)
    end(database, needed)
    with pytest.raises(NeededJobEnded, match=needed):
        act(database, jobs.resume, waiting)
    assert row(database, waiting).state == "failed"
    act(database, jobs.resume, needed)
    act(database, jobs.resume, waiting)
    succeed(database, needed)
    succeed(database, waiting)


def test_a_paused_job_stays_paused_when_what_it_needs_fails(database: Database) -> None:
    needed = submit(database)
    waiting = submit(database, needed)
    act(database, jobs.pause, waiting)
    fail(database, needed)
    assert row(database, waiting).state == "paused"
    with pytest.raises(NeededJobEnded):
        act(database, jobs.resume, waiting)


@pytest.mark.parametrize("state", ["failed", "cancelling", "cancelled"])
def test_nobody_begins_to_wait_for_a_job_that_will_not_succeed(database: Database, state: str) -> None:
    needed = submit(database)
    with database.write() as session:
        jobs.get(session, needed).state = state
    with pytest.raises(NeededJobEnded):
        submit(database, needed)
    with database.read() as session:
        assert [job.id for job in jobs.list_jobs(session, jobs.Filters(), before=None, limit=9)] == [needed]


def test_nobody_waits_for_a_job_that_is_not_there(database: Database) -> None:
    with pytest.raises(JobNotFound):
        submit(database, "job_none")


def test_a_job_submitted_while_the_needed_one_fails_does_not_wait_for_ever(database: Database) -> None:
    needed = submit(database)
    attempt = start(database, needed)
    outcome: list[BaseException | str] = []

    def submit_meanwhile() -> None:
        try:
            outcome.append(submit(database, needed))
        except NeededJobEnded as error:
            outcome.append(error)

    submitter = threading.Thread(target=submit_meanwhile)
    with database.write() as session:
        job = lock_job(session, needed)
        submitter.start()
        submitter.join(0.3)
        assert outcome == [], "it does not decide before the needed job has"
        move(session, job, "failed", error_code="diverged", error_detail="nan")
    submitter.join(10)
    assert isinstance(outcome[0], NeededJobEnded)
    assert attempt.job_id == needed


def test_a_needed_job_is_removed_after_what_needs_it(database: Database) -> None:
    needed = submit(database)
    waiting = submit(database, needed)
    succeed(database, needed)
    succeed(database, waiting)
    with pytest.raises(JobNeeded, match=waiting):
        act(database, jobs.remove, needed)
    act(database, jobs.remove, waiting)
    act(database, jobs.remove, needed)
    with database.read() as session:
        assert session.query(JobNeed).all() == []


def test_the_database_itself_keeps_a_needed_job(database: Database) -> None:
    needed = submit(database)
    submit(database, needed)
    with pytest.raises(IntegrityError), database.write() as session:
        session.delete(jobs.get(session, needed))


def test_neighbours_and_filters(database: Database) -> None:
    needed, other = submit(database), submit(database)
    a, b = submit(database, needed, other), submit(database, needed)
    with database.read() as session:
        found = needs.of_jobs(session, [needed, other, a, b])
        listed = {
            "a": jobs.list_jobs(session, jobs.Filters(needed_by=a), before=None, limit=9),
            "needed": jobs.list_jobs(session, jobs.Filters(needs=needed), before=None, limit=9),
        }
    assert found[needed] == Needs([], [a, b])
    assert found[other] == Needs([], [a])
    assert found[a] == Needs([needed, other], [])
    assert found[b] == Needs([needed], [])
    assert [job.id for job in listed["a"]] == [other, needed]
    assert [job.id for job in listed["needed"]] == [b, a]


def test_an_attempt_reads_the_best_weights_of_other_jobs(database: Database) -> None:
    needed, without = submit(database), submit(database)
    checkpoints = [CheckpointRow("best", 1, 3, b"best"), CheckpointRow("last", 2, 6, b"last")]
    start(database, needed).succeed(RecordBatch(checkpoints=checkpoints), {})
    succeed(database, without)
    attempt = start(database, submit(database, needed, without))
    assert attempt.load_networks([needed, without]) == {needed: b"best"}
