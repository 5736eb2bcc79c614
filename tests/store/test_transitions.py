from __future__ import annotations

import pytest

from service.store import events, jobs
from service.store.engine import Database
from service.store.errors import IllegalTransition, JobNotFound
from service.store.transitions import STATES, TERMINAL, TRANSITIONS, lock_job, move


def make_job_in(db: Database, state: str) -> str:
    with db.write() as session:
        job = jobs.create(session, spec={"seed": 1})
        job.state = state
        return job.id


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("wanted", STATES)
def test_a_job_moves_only_where_the_table_allows(database: Database, state: str, wanted: str) -> None:
    job_id = make_job_in(database, state)
    allowed = wanted in TRANSITIONS[state]  # type: ignore[index]
    with database.write() as session:
        job = lock_job(session, job_id)
        if allowed:
            move(session, job, wanted)  # type: ignore[arg-type]
        else:
            with pytest.raises(IllegalTransition):
                move(session, job, wanted)  # type: ignore[arg-type]
    with database.read() as session:
        assert jobs.get(session, job_id).state == (wanted if allowed else state)
        states = [event.data["state"] for event in events.after(session, job_id, 0, 10) if event.type == "state"]
        assert states == (["queued", wanted] if allowed else ["queued"])


def test_nothing_leads_out_of_success_and_every_state_but_running_can_be_left_by_a_client() -> None:
    assert TRANSITIONS["succeeded"] == frozenset()
    assert {"succeeded", "failed", "cancelled"} == TERMINAL


@pytest.mark.parametrize(
    ("state", "after"),
    [
        ("queued", "cancelled"),
        ("paused", "cancelled"),
        ("running", "cancelling"),
        ("pausing", "cancelling"),
        ("cancelling", "cancelling"),
        ("cancelled", "cancelled"),
    ],
)
def test_cancel(database: Database, state: str, after: str) -> None:
    job_id = make_job_in(database, state)
    with database.write() as session:
        assert jobs.cancel(session, job_id) == after


@pytest.mark.parametrize(
    ("state", "after"),
    [("queued", "paused"), ("running", "pausing"), ("pausing", "pausing"), ("paused", "paused")],
)
def test_pause(database: Database, state: str, after: str) -> None:
    job_id = make_job_in(database, state)
    with database.write() as session:
        assert jobs.pause(session, job_id) == after


@pytest.mark.parametrize("state", ["paused", "cancelled", "failed"])
def test_resume_queues_again_and_forgets_how_the_job_ended(database: Database, state: str) -> None:
    job_id = make_job_in(database, state)
    with database.write() as session:
        job = lock_job(session, job_id)
        job.crashes, job.error_code, job.error_detail = 3, "diverged", "loss is NaN"
    with database.write() as session:
        assert jobs.resume(session, job_id) == "queued"
    with database.read() as session:
        job = jobs.get(session, job_id)
        assert (job.crashes, job.error_code, job.error_detail, job.finished_at) == (0, None, None, None)
        assert job.dispatched_at is None


@pytest.mark.parametrize(
    ("action", "state"),
    [
        (jobs.cancel, "succeeded"),
        (jobs.cancel, "failed"),
        (jobs.pause, "succeeded"),
        (jobs.pause, "cancelling"),
        (jobs.pause, "cancelled"),
        (jobs.pause, "failed"),
        (jobs.resume, "queued"),
        (jobs.resume, "running"),
        (jobs.resume, "pausing"),
        (jobs.resume, "cancelling"),
        (jobs.resume, "succeeded"),
    ],
)
def test_what_makes_no_sense_is_refused(database: Database, action: object, state: str) -> None:
    job_id = make_job_in(database, state)
    with pytest.raises(IllegalTransition), database.write() as session:
        action(session, job_id)  # type: ignore[operator]


def test_an_unknown_job_is_not_found(database: Database) -> None:
    with pytest.raises(JobNotFound), database.write() as session:
        jobs.cancel(session, "job_none")


@pytest.mark.parametrize("state", sorted(set(STATES) - TERMINAL))
def test_a_job_that_has_not_ended_cannot_be_deleted(database: Database, state: str) -> None:
    job_id = make_job_in(database, state)
    with pytest.raises(IllegalTransition), database.write() as session:
        jobs.remove(session, job_id)
