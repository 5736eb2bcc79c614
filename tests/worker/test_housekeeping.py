from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import update

from service.dispatch import Doorbell
from service.settings import Settings
from service.store import jobs, queue, workers
from service.store.attempt import SLOW_LOCK_S, Attempt, claim
from service.store.engine import Database
from service.store.errors import StoreBusy
from service.store.rows import RecordBatch
from service.store.tables import Job, Sweep, Worker
from service.store.transitions import lock_job
from service.store.types import utcnow
from worker.housekeeping import Housekeeping
from worker.registration import Registration, WorkerInfo

INFO = WorkerInfo(hostname="here", pid=1, device="cpu", threads=2, slots=2)


class CountingDoorbell(Doorbell):
    """Rings nobody, but stamps the rows as the real one does."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, None)
        self.rung: list[str] = []

    def ring(self, job_id: str) -> bool:
        self.rung.append(job_id)
        queue.mark_dispatched(self._database, job_id)
        return True


class Fixture:
    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.doorbell = CountingDoorbell(database)
        self.registration = Registration(database, INFO)
        self.busy = 0
        self.housekeeping = Housekeeping(database, settings, self.doorbell, self.registration, lambda: self.busy)

    def queued(self, n: int = 1, *, rung_s_ago: float | None = None) -> list[str]:
        now = utcnow()
        rung = None if rung_s_ago is None else now - timedelta(seconds=rung_s_ago)
        with self.database.write() as session:
            made = [jobs.create(session, spec={}).id for _ in range(n)]
            session.execute(
                update(Job).where(Job.id.in_(made)).values(queued_at=now - timedelta(seconds=30), dispatched_at=rung)
            )
        return made

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return jobs.get(session, job_id)

    def workers(self) -> list[Worker]:
        with self.database.read() as session:
            return workers.list_alive(session, utcnow(), 30.0)


@pytest.fixture
def worker(database: Database, settings: Settings) -> Fixture:
    return Fixture(database, settings.model_copy(update={"slots": 2, "redispatch_s": 15.0}))


def test_jobs_that_were_never_rung_are_rung_even_by_a_busy_worker(worker: Fixture) -> None:
    waiting = worker.queued(3)
    worker.busy = 2
    worker.housekeeping.sweep()
    assert worker.doorbell.rung == waiting
    worker.housekeeping.sweep()
    assert worker.doorbell.rung == waiting, "rung twice within a moment"


def test_an_idle_worker_rings_again_for_old_messages_one_a_free_slot(worker: Fixture) -> None:
    worker.queued(3, rung_s_ago=5)
    old = worker.queued(3, rung_s_ago=20)
    worker.busy = 2
    worker.housekeeping.sweep()
    assert worker.doorbell.rung == []
    worker.busy = 1
    worker.housekeeping.sweep()
    assert worker.doorbell.rung == old[:1]


def test_the_first_sweep_rings_for_all_that_is_queued(worker: Fixture) -> None:
    waiting = worker.queued(3, rung_s_ago=1)
    worker.housekeeping.sweep(everything=True)
    assert worker.doorbell.rung == waiting


def test_jobs_that_their_sweep_has_no_room_for_are_not_rung(worker: Fixture) -> None:
    held_back, behind = worker.queued(3), worker.queued(1)
    with worker.database.write() as session:
        session.add(Sweep(id="swp_1", labels={}, request={}, max_parallel=1))
        session.execute(update(Job).where(Job.id.in_(held_back)).values(sweep="swp_1"))
    for _ in range(2):
        worker.housekeeping.sweep()
    assert worker.doorbell.rung == [held_back[0], *behind]
    held = claim(worker.database, held_back[0], "wrk_1", lease_s=60.0)
    assert held is not None
    worker.housekeeping.sweep(everything=True)
    assert worker.doorbell.rung[2:] == behind
    Attempt(worker.database, held_back[0], held.attempt).succeed(RecordBatch(), {})
    worker.housekeeping.sweep()
    assert worker.doorbell.rung[3:] == [held_back[1]]


def test_a_job_of_a_dead_worker_goes_back_to_the_queue(worker: Fixture) -> None:
    (dead,), (alive,) = worker.queued(), worker.queued()
    claim(worker.database, dead, "wrk_dead", lease_s=0.001)
    claim(worker.database, alive, "wrk_alive", lease_s=60.0)
    time.sleep(0.01)
    worker.housekeeping.reap()
    assert (worker.job(dead).state, worker.job(dead).crashes) == ("queued", 1)
    assert worker.job(alive).state == "running"


def test_after_a_heartbeat_that_had_to_wait_leases_get_time_to_be_renewed(worker: Fixture) -> None:
    (job_id,) = worker.queued()
    claim(worker.database, job_id, "wrk_slow", lease_s=0.001)
    locked = threading.Event()

    def lock() -> None:
        with worker.database.write() as session:
            session.execute(update(Worker).values(threads=3))
            locked.set()
            time.sleep(SLOW_LOCK_S + 0.3)

    locker = threading.Thread(target=lock)
    locker.start()
    assert locked.wait(10)
    worker.housekeeping.beat()
    locker.join()
    worker.housekeeping.reap()
    assert worker.job(job_id).state == "running"


def test_a_lease_that_could_not_be_renewed_for_a_lock_is_not_taken_for_dead(worker: Fixture) -> None:
    (job_id,) = worker.queued()
    claim(worker.database, job_id, "wrk_blocked", lease_s=0.001)
    locked = threading.Event()

    def lock() -> None:
        with worker.database.write() as session:
            lock_job(session, job_id)
            locked.set()
            time.sleep(SLOW_LOCK_S + 0.3)

    locker = threading.Thread(target=lock)
    locker.start()
    assert locked.wait(10)
    with pytest.raises(StoreBusy):
        worker.housekeeping.reap()
    locker.join()
    assert worker.job(job_id).state == "running"
    worker.housekeeping.reap()
    assert worker.job(job_id).state == "queued", "it had its chance"


def test_a_worker_is_listed_while_it_runs(worker: Fixture) -> None:
    (row,) = worker.workers()
    assert (row.hostname, row.pid, row.device, row.threads, row.slots) == ("here", 1, "cpu", 2, 2)
    worker.registration.sign_off()
    assert worker.workers() == []


def test_a_worker_that_was_taken_for_dead_signs_on_again(worker: Fixture) -> None:
    before = worker.registration.id
    workers.remove(worker.database, before)
    worker.registration.beat()
    assert [row.id for row in worker.workers()] == [worker.registration.id] != [before]


def test_the_thread_beats_and_sweeps_until_it_is_stopped(worker: Fixture) -> None:
    (job_id,) = worker.queued()
    rung = threading.Event()
    ring = worker.doorbell.ring

    def ring_and_tell(job_id: str) -> bool:
        rung.set()
        return ring(job_id)

    worker.doorbell.ring = ring_and_tell  # type: ignore[method-assign]
    worker.housekeeping.start()
    assert rung.wait(10)
    worker.housekeeping.stop()
    assert worker.doorbell.rung == [job_id]
