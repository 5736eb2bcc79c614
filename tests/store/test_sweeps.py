from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from service.dispatch import Doorbell
from service.store import events, jobs, queue, sweeps
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.errors import SweepNotFinished, SweepNotFound
from service.store.jobs import NewJob
from service.store.rows import RecordBatch
from service.store.sweeps import NewMember
from service.store.transitions import lock_job, move
from service.store.types import utcnow


def make(db: Database, n: int, max_parallel: int | None = None) -> tuple[str, list[str]]:
    """A sweep of so many jobs: its id and theirs."""
    sweep_id = sweeps.new_sweep_id()
    members = [NewMember(NewJob(spec={"seed": k}, sweep=sweep_id), "point", k, {"k": k}, k) for k in range(n)]
    with db.write() as session:
        sweeps.create(session, members, sweep_id=sweep_id, request={}, max_parallel=max_parallel)
    with db.read() as session:
        return sweep_id, [member.job_id for member in sweeps.members(session, sweep_id)]


def start(db: Database, job_id: str) -> Attempt:
    held = claim(db, job_id, "wrk_1", lease_s=60)
    assert held is not None
    return Attempt(db, job_id, held.attempt)


def stale(db: Database, **options: float) -> list[str]:
    return queue.stale_queued(db, utcnow(), grace_s=0, **options)  # type: ignore[arg-type]


def test_a_sweep_runs_no_more_jobs_than_it_may(database: Database) -> None:
    _, (first, second, third) = make(database, 3, max_parallel=2)
    running = start(database, first)
    start(database, second)
    assert claim(database, third, "wrk_2", lease_s=60) is None
    with database.read() as session:
        assert jobs.state_of(session, third) == "queued"
    running.succeed(RecordBatch(), {})
    start(database, third)


@pytest.mark.parametrize("ask", [jobs.cancel, jobs.pause])
def test_a_job_that_is_stopping_still_takes_its_place(database: Database, ask: object) -> None:
    _, (first, second) = make(database, 2, max_parallel=1)
    running = start(database, first)
    with database.write() as session:
        ask(session, first)  # type: ignore[operator]
    assert claim(database, second, "wrk_2", lease_s=60) is None
    running.stopped("cancel" if ask is jobs.cancel else "pause", RecordBatch())
    start(database, second)


def test_a_full_sweep_stands_in_nobodys_way(database: Database) -> None:
    _, held_back = make(database, 3, max_parallel=1)
    start(database, held_back[0])
    with database.write() as session:
        behind = jobs.create(session, spec={}).id
    _, others = make(database, 2)
    assert stale(database) == [behind, *others]
    for job_id in (behind, *others):
        start(database, job_id)


def test_many_workers_at_once_get_no_more_places_than_there_are(database: Database) -> None:
    _, job_ids = make(database, 12, max_parallel=3)
    together = threading.Barrier(6)

    def grab(worker: int) -> int:
        together.wait()
        return sum(claim(database, job_id, f"wrk_{worker}", lease_s=60) is not None for job_id in job_ids)

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(grab, range(6)))
    assert sum(taken) == 3
    with database.read() as session:
        assert jobs.count_by_state(session) == {"running": 3, "queued": 9}


def test_who_wants_the_last_place_waits_for_whoever_is_taking_it(database: Database) -> None:
    sweep_id, (first, second) = make(database, 2, max_parallel=1)
    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            assert sweeps.lock_room(session, sweep_id)
            move(session, lock_job(session, first), "running", attempt=1)
            other = pool.submit(claim, database, second, "wrk_2", 60.0)
            assert wait([other], timeout=0.5).done == set()
        assert other.result() is None


def test_only_as_many_doorbells_are_due_as_there_is_room(database: Database) -> None:
    sweep_id, job_ids = make(database, 5, max_parallel=2)
    assert stale(database) == queue.unrung_of_sweep(database, sweep_id) == job_ids[:2]
    queue.mark_dispatched(database, job_ids[1])
    assert queue.unrung_of_sweep(database, sweep_id) == job_ids[:1], "a message that is under way takes a place"
    queue.mark_dispatched(database, job_ids[0])
    assert queue.unrung_of_sweep(database, sweep_id) == []
    running = start(database, job_ids[0])
    assert queue.unrung_of_sweep(database, sweep_id) == []
    running.succeed(RecordBatch(), {})
    assert queue.unrung_of_sweep(database, sweep_id) == [job_ids[2]]


def test_a_lost_message_of_a_sweep_is_sent_again_and_held_back_jobs_are_left_alone(database: Database) -> None:
    _, job_ids = make(database, 3, max_parallel=1)
    queue.mark_dispatched(database, job_ids[0])
    assert stale(database) == []
    assert stale(database, redispatch_s=0.0) == job_ids[:1]
    start(database, job_ids[0])
    assert stale(database, redispatch_s=0.0) == []


def test_a_message_that_came_to_a_full_sweep_is_spent(database: Database) -> None:
    sweep_id, (first, second) = make(database, 2, max_parallel=1)
    running = start(database, first)
    queue.mark_dispatched(database, second)  # somebody resumed it, say
    assert claim(database, second, "wrk_2", lease_s=60) is None
    running.fail("diverged", "nan")
    assert queue.unrung_of_sweep(database, sweep_id) == [second]


def test_without_a_limit_all_jobs_are_due(database: Database) -> None:
    sweep_id, job_ids = make(database, 3)
    assert queue.unrung_of_sweep(database, sweep_id) == job_ids
    for job_id in job_ids:
        start(database, job_id)


def test_a_doorbell_without_a_broker_rings_for_no_job_of_a_sweep(database: Database) -> None:
    sweep_id, job_ids = make(database, 2)
    Doorbell(database, None).ring_sweep(sweep_id)
    assert queue.unrung_of_sweep(database, sweep_id) == job_ids


def test_a_sweep_is_counted_as_a_whole(database: Database) -> None:
    sweep_id, job_ids = make(database, 3)

    def tally() -> sweeps.Tally:
        with database.read() as session:
            return sweeps.tallies(session, [sweep_id])[sweep_id]

    assert (tally().state, tally().started_at, tally().finished_at) == ("queued", None, None)
    running = start(database, job_ids[0])
    assert tally().state == "running"
    running.stopped("shutdown", RecordBatch())
    assert tally().state == "running", "it has begun, though all its jobs wait"
    start(database, job_ids[0]).succeed(RecordBatch(), {})
    with database.write() as session:
        jobs.pause(session, job_ids[1])
        jobs.cancel(session, job_ids[2])
    assert (tally().state, tally().finished_at) == ("running", None), "one is paused"
    sweeps.cancel(database, sweep_id)
    assert tally().state == "finished"
    assert tally().finished_at is not None


def test_many_jobs_are_made_with_their_labels_and_first_events(database: Database) -> None:
    with database.write() as session:
        made = jobs.create_many(session, [NewJob(spec={"k": k}, labels={"k": str(k)}) for k in range(3)])
        labels = jobs.labels_of(session, [job.id for job in made])
    assert [labels[job.id] for job in made] == [{"k": "0"}, {"k": "1"}, {"k": "2"}]
    assert [job.id for job in made] == sorted(job.id for job in made)
    running = start(database, made[1].id)
    with database.read() as session:
        found = events.after(session, running.job_id, 0, 10)
    assert [(event.seq, event.data["state"]) for event in found] == [(1, "queued"), (2, "running")]


def test_a_sweep_is_not_removed_under_a_running_job(database: Database) -> None:
    sweep_id, (job_id,) = make(database, 1)
    start(database, job_id)
    with pytest.raises(SweepNotFinished), database.write() as session:
        sweeps.remove(session, sweep_id)
    with pytest.raises(SweepNotFound), database.write() as session:
        sweeps.remove(session, sweeps.new_sweep_id())


def test_a_large_sweep_is_cancelled_and_resumed_in_portions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "PORTION", 2)
    sweep_id, job_ids = make(database, 5)
    start(database, job_ids[1]).succeed(RecordBatch(), {})
    sweeps.cancel(database, sweep_id)
    with database.read() as session:
        assert jobs.count_by_state(session) == {"succeeded": 1, "cancelled": 4}
    sweeps.resume(database, sweep_id)
    with database.read() as session:
        assert jobs.count_by_state(session) == {"succeeded": 1, "queued": 4}
