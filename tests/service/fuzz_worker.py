"""A stand-in for workers: takes whatever is queued and finishes it at once, by the calls that a trainer uses."""

from __future__ import annotations

import threading

from service.store import jobs
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.errors import IllegalTransition, JobNotFound, StoreError
from service.store.rows import RecordBatch


class InstantWorker:
    """Ends every job soon after it was submitted, so that no event stream stays open for ever."""

    def __init__(self, database: Database, batch: RecordBatch, result: dict[str, object]) -> None:
        self._database = database
        self._batch = batch
        self._result = result
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="instant worker")

    def __enter__(self) -> InstantWorker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            with self._database.read() as session:
                waiting = jobs.list_jobs(session, jobs.Filters(states=["queued", "paused"]), before=None, limit=100)
            for job in waiting:
                try:
                    self._end(job.id, job.state)
                except (StoreError, IllegalTransition, JobNotFound):
                    continue  # a client was quicker

    def _end(self, job_id: str, state: str) -> None:
        if state == "paused":
            with self._database.write() as session:
                jobs.cancel(session, job_id)
        elif held := claim(self._database, job_id, "wrk_instant", lease_s=60):
            Attempt(self._database, job_id, held.attempt).succeed(self._batch, dict(self._result))
