"""What every worker does besides its jobs: say that it lives, take back the jobs of dead ones, ring lost doorbells."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from service.dispatch import Doorbell
from service.settings import Settings
from service.store import queue, workers
from service.store.attempt import SLOW_LOCK_S, reap_expired
from service.store.engine import Database
from service.store.errors import StoreUnavailable
from service.store.types import utcnow
from worker.registration import Registration

logger = logging.getLogger(__name__)

TICK_S = 0.25
FORGET_AFTER_TIMEOUTS = 10
"""A worker's row is kept for a while after it counts as gone, for people who look for it."""


class Housekeeping:
    """A thread beside the jobs. What it cannot do now, because the store is away, it does on the next round."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        doorbell: Doorbell,
        registration: Registration,
        busy_slots: Callable[[], int],
    ) -> None:
        self._database = database
        self._settings = settings
        self._doorbell = doorbell
        self._registration = registration
        self._busy_slots = busy_slots
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._trust_leases_from = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        settings = self._settings
        # Messages may have gone with a broker that kept nothing, so the first sweep rings for all that is queued.
        first_sweep = True
        beat_at = sweep_at = 0.0
        while not self._stop.wait(TICK_S):
            now = time.monotonic()
            try:
                if now >= beat_at:
                    self.beat()
                    beat_at = now + settings.heartbeat_s
                if now >= sweep_at:
                    self.reap()
                    self.sweep(everything=first_sweep)
                    first_sweep = False
                    sweep_at = now + settings.sweep_s
            except StoreUnavailable as error:
                logger.warning("the store does not answer, trying again: %s", error)
                self._distrust_leases()
            except Exception:
                logger.exception("housekeeping failed, going on")

    def beat(self) -> None:
        """Say that this worker lives."""
        began = time.monotonic()
        self._registration.beat()
        if time.monotonic() - began > SLOW_LOCK_S:
            self._distrust_leases()

    def _distrust_leases(self) -> None:
        """While the store was locked or away nobody could renew a lease: the living get time to do so first."""
        self._trust_leases_from = time.monotonic() + 2 * self._settings.lease_renew_s

    def reap(self) -> None:
        """Take jobs back from workers that are gone, and forget those."""
        settings = self._settings
        if time.monotonic() < self._trust_leases_from:
            return
        for job_id in reap_expired(self._database, utcnow(), settings.max_crashes):
            logger.warning("took a job back from a worker that was not heard of", extra={"job": job_id})
        workers.forget_dead(self._database, utcnow(), FORGET_AFTER_TIMEOUTS * settings.worker_timeout_s)

    def sweep(self, *, everything: bool = False) -> None:
        """Ring for queued jobs whose message never was, or, if this worker stands idle, may have been lost."""
        settings = self._settings
        now = utcnow()
        lost = queue.stale_queued(self._database, now)
        idle = settings.slots - self._busy_slots()
        if everything:
            lost += queue.stale_queued(self._database, now, redispatch_s=0.0)
        elif idle > 0:
            lost += queue.stale_queued(self._database, now, redispatch_s=settings.redispatch_s, limit=idle)
        for job_id in dict.fromkeys(lost):
            if not self._doorbell.ring(job_id):
                return
