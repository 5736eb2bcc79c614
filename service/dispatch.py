"""The doorbell: tells the workers that a job waits. The row is the truth, so ringing may fail, or happen twice."""

from __future__ import annotations

import logging
from typing import Self

from celery import Celery
from kombu.exceptions import OperationalError

from service.broker import TASK_NAME, make_celery
from service.store import queue
from service.store.engine import Database
from service.store.errors import StoreUnavailable

logger = logging.getLogger(__name__)


class Doorbell:
    """Publishes job ids on the broker and stamps the rows it rang for."""

    def __init__(self, database: Database, broker_url: str | None) -> None:
        self._database = database
        self._app: Celery | None = None if broker_url is None else make_celery(broker_url)
        if self._app is not None:
            # Who rings is answering a request: one try. A consumer waits for its broker instead.
            self._app.conf.broker_transport_options |= {"max_retries": 0, "interval_start": 0, "interval_max": 0}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections to the broker."""
        if self._app is not None:
            self._app.close()

    def ring(self, job_id: str) -> bool:
        """False if the broker or the store is away: the row stays as it is, and housekeeping rings again.

        A job that waits for another one is left in peace.
        """
        if self._app is None:
            return False
        try:
            if queue.waits(self._database, job_id):
                return True
            self._app.send_task(TASK_NAME, args=[job_id])
            queue.mark_dispatched(self._database, job_id)
        except (OperationalError, OSError, StoreUnavailable) as error:
            logger.warning("could not ring for a job, housekeeping will: %s", error, extra={"job": job_id})
            return False
        return True

    def ring_sweep(self, sweep_id: str) -> None:
        """Ring for the jobs of a sweep that it has room for. The others get their turn when one of them ends."""
        try:
            waiting = queue.unrung_of_sweep(self._database, sweep_id)
        except StoreUnavailable as error:
            logger.warning("could not ring for a sweep, housekeeping will: %s", error, extra={"sweep": sweep_id})
            return
        for job_id in waiting:
            if not self.ring(job_id):
                return

    def ring_freed(self, job_id: str) -> None:
        """Ring for the jobs that waited for one that has succeeded."""
        try:
            freed = queue.freed_by(self._database, job_id)
        except StoreUnavailable as error:
            logger.warning("could not look for jobs that waited, housekeeping will: %s", error, extra={"job": job_id})
            return
        for one in freed:
            self.ring(one)
