"""One job from its claim to its end: a trainer process, its lease, its stopping, and what its death means."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from service.dispatch import Doorbell
from service.settings import Settings
from service.store.attempt import Attempt, LogRow, RecordBatch, claim
from service.store.engine import Database, retrying
from service.store.errors import AttemptSuperseded, StoreUnavailable
from snncore.spec import SpecError, parse_job_spec, useful_threads
from worker.process import TrainerProcess, describe_exit
from worker.registration import Registration
from worker.resources import thread_environment

logger = logging.getLogger(__name__)
T = TypeVar("T")

STATE_POLL_S = 1.0
"""How often the row is read while a trainer runs, to notice one that does not do as it is asked."""


@dataclass
class StopClock:
    """How long ago a trainer was first asked to stop, and how far the means went since."""

    asked_at: float
    terminated_at: float | None = None
    killed: bool = False


class Supervisor:
    """Runs jobs, each in the thread that calls `run`."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        doorbell: Doorbell,
        registration: Registration,
        threads: int,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._settings = settings
        self._doorbell = doorbell
        self._registration = registration
        self._threads = threads
        self._stopping = stopping
        self._busy: set[str] = set()

    @property
    def busy_slots(self) -> int:
        """Jobs that are being run."""
        return len(self._busy)

    def run(self, job_id: str) -> bool:
        """Claim the job and see its attempt through. False if there was nothing to claim."""
        if self._stopping.is_set():
            return False
        settings = self._settings
        claimed = self._patiently(lambda: claim(self._database, job_id, self._registration.id, settings.lease_s))
        if claimed is None:
            logger.debug("nothing to claim", extra={"job": job_id})
            return False
        logger.info("claimed", extra={"job": job_id, "attempt": claimed.attempt})
        self._busy.add(job_id)
        try:
            self._see_through(Attempt(self._database, job_id, claimed.attempt), self._threads_for(claimed.spec))
        finally:
            self._busy.discard(job_id)
        self._doorbell.ring_freed(job_id)
        if claimed.sweep is not None and not self._stopping.is_set():
            self._doorbell.ring_sweep(claimed.sweep)
        return True

    def _threads_for(self, spec: dict[str, Any]) -> int:
        """What was set for the trainers of this worker, or else as many of its share of the cores as help the job."""
        if self._settings.threads is not None:
            return self._settings.threads
        try:
            return useful_threads(parse_job_spec(spec), self._threads)
        except SpecError:
            return self._threads  # the trainer says what is wrong with it, where the researcher sees it

    def _see_through(self, attempt: Attempt, threads: int) -> None:
        process = TrainerProcess(attempt.job_id, attempt.attempt, thread_environment(threads))
        current = True
        try:
            current = self._watch(process, attempt)
        finally:
            returncode = process.wait(0)
            tail = process.close()
            if current:
                self._settle(attempt, returncode, tail)

    def _watch(self, process: TrainerProcess, attempt: Attempt) -> bool:
        """Until the trainer has ended. False if another attempt has taken over meanwhile."""
        settings = self._settings
        now = time.monotonic()
        renewed_at = polled_at = now
        stop: StopClock | None = None
        grace_s = settings.stop_grace_s
        while process.wait(settings.supervise_s) is None:
            now = time.monotonic()
            try:
                if now - renewed_at >= settings.lease_renew_s:
                    state = attempt.renew_lease(self._registration.id, settings.lease_s)
                    renewed_at = polled_at = now
                elif now - polled_at >= STATE_POLL_S:
                    state = attempt.state()
                    polled_at = now
                else:
                    state = None
            except AttemptSuperseded:
                # Either the trainer has just written its end and goes, or the lease was lost to another attempt.
                if process.wait(settings.kill_grace_s) is None:
                    logger.warning("not its attempt any more, ending the trainer", extra={"job": attempt.job_id})
                return False
            except StoreUnavailable as error:
                logger.warning("the store does not answer, trying again: %s", error)
                state = None
            if stop is None and state in ("cancelling", "pausing"):
                stop = StopClock(asked_at=now)
            if self._stopping.is_set() and (stop is None or stop.terminated_at is None):
                stop = stop or StopClock(asked_at=now)
                process.ask_to_stop()
                stop.terminated_at = now
                grace_s = settings.shutdown_grace_s
            if stop is not None:
                self._insist(process, stop, now, grace_s)
        return True

    def _insist(self, process: TrainerProcess, stop: StopClock, now: float, grace_s: float) -> None:
        """First the row asks, then SIGTERM, then SIGKILL."""
        if stop.terminated_at is None:
            if now - stop.asked_at >= grace_s:
                logger.warning("trainer did not stop, sending SIGTERM", extra={"pid": process.pid, "after_s": grace_s})
                process.ask_to_stop()
                stop.terminated_at = now
        elif not stop.killed:
            patience = grace_s if self._stopping.is_set() else self._settings.kill_grace_s
            if now - stop.terminated_at >= patience:
                logger.warning("trainer ignores SIGTERM, killing it", extra={"pid": process.pid, "after_s": patience})
                process.kill()
                stop.killed = True

    def _settle(self, attempt: Attempt, returncode: int | None, tail: list[str]) -> None:
        """If the trainer died before it wrote how its attempt ended, write it for it."""
        detail = describe_exit(returncode if returncode is not None else -9)
        lines = [LogRow("error", line) for line in tail]
        try:
            self._patiently(lambda: attempt.record(RecordBatch(logs=[*lines, LogRow("error", detail)])))
            self._patiently(lambda: attempt.abandon(detail, self._settings.max_crashes))
        except AttemptSuperseded:
            return  # the usual case: it ended properly
        logger.warning("attempt lost: %s", detail, extra={"job": attempt.job_id, "attempt": attempt.attempt})
        if not self._stopping.is_set():
            self._doorbell.ring(attempt.job_id)

    def _patiently(self, call: Callable[[], T]) -> T:
        return retrying(call, self._settings.store_patience_s)
