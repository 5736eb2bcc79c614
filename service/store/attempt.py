"""All that a running attempt may do to its job.

Every call is one transaction that first locks the job's row and looks whether the attempt still holds it; a write of an
attempt that lost its job is refused with `AttemptSuperseded`. So a trainer that was thought dead can do no harm.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store import checkpoints, events, metrics, needs, rasters, receptive_fields, sweeps
from service.store.engine import Database
from service.store.errors import AttemptSuperseded, IllegalTransition, JobNotFound, StoreBusy
from service.store.rows import CheckpointRow, LogRow, MetricRow, RasterRow, ReceptiveFieldsRow, RecordBatch
from service.store.tables import Checkpoint, Job
from service.store.transitions import ACTIVE, State, lock_job, move
from service.store.types import clean_text, finite, utcnow

__all__ = [
    "Attempt",
    "CheckpointRow",
    "Claim",
    "LogRow",
    "MetricRow",
    "RasterRow",
    "ReceptiveFieldsRow",
    "RecordBatch",
    "claim",
    "reap_expired",
]

DEFAULT_MAX_CRASHES = 3
SLOW_LOCK_S = 1.0
StopReason = Literal["cancel", "pause", "shutdown"]


@dataclass(frozen=True, slots=True)
class Claim:
    job_id: str
    attempt: int
    spec: dict[str, Any]
    sweep: str | None


def claim(db: Database, job_id: str, worker_id: str, lease_s: float) -> Claim | None:
    """Take a queued job: queued -> running under a new attempt number.

    None if it is not (or no longer) queued, waits for a job that it needs, or its sweep runs as many jobs as it may.
    """
    with db.write() as session:
        sweep_id = session.scalar(select(Job.sweep).where(Job.id == job_id))
        has_room = sweep_id is None or sweeps.lock_room(session, sweep_id)
        try:
            job = lock_job(session, job_id)
        except JobNotFound:
            return None
        if job.state != "queued" or not needs.is_ready(session, job_id):
            return None
        if not has_room:
            job.dispatched_at = None  # this doorbell is spent; whoever makes room rings another one
            return None
        move(
            session,
            job,
            "running",
            attempt=job.attempt + 1,
            lease_owner=worker_id,
            lease_expires_at=utcnow() + timedelta(seconds=lease_s),
        )
        return Claim(job.id, job.attempt, job.spec, job.sweep)


class Attempt:
    """One attempt's hold on its job."""

    def __init__(self, db: Database, job_id: str, attempt: int) -> None:
        self.db = db
        self.job_id = job_id
        self.attempt = attempt

    def load(self) -> tuple[dict[str, Any], bytes | None]:
        """The spec, and the last checkpoint to go on from if there is one."""
        with self.db.read() as session:
            job = self._mine(session.get(Job, self.job_id))
            found = checkpoints.by_kind(session, self.job_id, "last")
            return job.spec, checkpoints.load(session, found.id) if found else None

    def load_networks(self, job_ids: Sequence[str]) -> dict[str, bytes]:
        """The best checkpoints of other jobs, of those that have one."""
        with self.db.read() as session:
            self._mine(session.get(Job, self.job_id))
            best = {job_id: checkpoints.by_kind(session, job_id, "best") for job_id in job_ids}
            return {job_id: checkpoints.load(session, found.id) for job_id, found in best.items() if found}

    def state(self) -> str:
        """The job's state: how the trainer learns of cancelling and pausing between writes."""
        with self.db.read() as session:
            row = session.execute(select(Job.state, Job.attempt).where(Job.id == self.job_id)).one_or_none()
        if row is None or row.attempt != self.attempt or row.state not in ACTIVE:
            raise AttemptSuperseded(self.job_id, self.attempt)
        return str(row.state)

    def record(self, batch: RecordBatch) -> str:
        """Write a batch and its events, all or nothing. Answers the state the job is in."""
        with self.db.write() as session:
            job = self._lock(session)
            self._write(session, job, batch)
            return job.state

    def renew_lease(self, worker_id: str, lease_s: float) -> str:
        """Put off the reaper. Answers the state the job is in."""
        with self.db.write() as session:
            job = self._lock(session)
            job.lease_owner = worker_id
            job.lease_expires_at = utcnow() + timedelta(seconds=lease_s)
            return job.state

    def succeed(self, batch: RecordBatch, result: dict[str, Any]) -> None:
        """The last batch, the result, and the end, in one transaction."""
        with self.db.write() as session:
            if not self._already(session, {"succeeded"}):
                job = self._lock(session)
                self._write(session, job, batch)
                move(session, job, "succeeded", result=result)

    def fail(self, code: str, detail: str, batch: RecordBatch | None = None) -> None:
        """The run cannot go on, and would not if it were tried again."""
        with self.db.write() as session:
            if not self._already(session, {"failed"}):
                job = self._lock(session)
                self._write(session, job, batch or RecordBatch())
                move(session, job, "failed", error_code=clean_text(code)[:64], error_detail=clean_text(detail))

    def stopped(self, reason: StopReason, batch: RecordBatch) -> str:
        """The run stopped when asked to. Answers the new state.

        What the row says counts more than the reason: a job that is being cancelled is cancelled, also when it was
        the worker's shutdown that stopped it first.
        """
        with self.db.write() as session:
            reached = self._already(session, {"cancelled", "paused", "queued"})
            if reached is not None:
                return reached
            job = self._lock(session)
            self._write(session, job, batch)
            goal = _resting_state(job.state)
            if goal == "queued" and reason != "shutdown":
                raise IllegalTransition(job.id, job.state, "cancelled" if reason == "cancel" else "paused")
            move(session, job, goal)
            return goal

    def abandon(self, detail: str, max_crashes: int = DEFAULT_MAX_CRASHES) -> str:
        """The trainer is gone without a word. Answers the new state: queued again, or failed after too many."""
        with self.db.write() as session:
            job = self._lock(session)
            return _abandon(session, job, "trainer_crashed", detail, max_crashes)

    def _mine(self, job: Job | None) -> Job:
        if job is None or job.attempt != self.attempt or job.state not in ACTIVE:
            raise AttemptSuperseded(self.job_id, self.attempt)
        return job

    def _lock(self, session: Session) -> Job:
        try:
            return self._mine(lock_job(session, self.job_id))
        except JobNotFound:
            raise AttemptSuperseded(self.job_id, self.attempt) from None

    def _already(self, session: Session, states: set[str]) -> str | None:
        """The state, if this attempt brought the job there before.

        A connection that breaks during the commit leaves open whether it happened, so final calls may be repeated.
        """
        row = session.execute(select(Job.state, Job.attempt).where(Job.id == self.job_id)).one_or_none()
        return str(row.state) if row is not None and row.attempt == self.attempt and row.state in states else None

    def _write(self, session: Session, job: Job, batch: RecordBatch) -> None:
        if not batch:
            return
        items: list[tuple[str, dict[str, Any]]] = [
            ("log", {"level": row.level, "message": clean_text(row.message)}) for row in batch.logs
        ]
        metrics.upsert_points(session, job.id, batch.metrics)
        items += _metric_events(batch.metrics)
        raster_ids = rasters.upsert_rasters(session, job.id, self.attempt, batch.rasters)
        items += [("raster", _raster_event(*stored)) for stored in zip(raster_ids, batch.rasters, strict=True)]
        field_ids = receptive_fields.upsert(session, job.id, self.attempt, batch.receptive_fields)
        fields = zip(field_ids, batch.receptive_fields, strict=True)
        items += [("receptive_fields", _fields_event(*stored)) for stored in fields]
        for checkpoint in batch.checkpoints:
            items.append(("checkpoint", self._checkpoint(session, job, checkpoint)))
        if batch.progress is not None:
            job.progress = dict(batch.progress)
            items.append(("progress", dict(batch.progress)))
        new_warnings = [text for text in map(clean_text, batch.warnings) if text not in job.warnings]
        if new_warnings:
            job.warnings = [*job.warnings, *dict.fromkeys(new_warnings)]
        session.flush()
        events.append(session, job.id, items)

    def _checkpoint(self, session: Session, job: Job, row: CheckpointRow) -> dict[str, Any]:
        if row.kind == "last":
            before = session.scalar(
                select(Checkpoint.step).where(Checkpoint.job_id == job.id, Checkpoint.kind == "last")
            )
            if before is None or row.step > before:
                job.crashes = 0  # the run got somewhere: what is lost from here on is new
        digest = checkpoints.store_checkpoint(session, job.id, self.attempt, row)
        return {"kind": row.kind, "epoch": row.epoch, "step": row.step, "size": len(row.data), "sha256": digest}


def _resting_state(state: str) -> State:
    goals: dict[str, State] = {"cancelling": "cancelled", "pausing": "paused", "running": "queued"}
    return goals[state]


def _abandon(session: Session, job: Job, code: str, detail: str, max_crashes: int) -> State:
    detail = clean_text(detail)
    job.crashes += 1
    goal = _resting_state(job.state)
    events.append(session, job.id, [("log", {"level": "warning", "message": detail})])
    if goal == "queued" and job.crashes >= max_crashes:
        detail = f"{job.crashes} attempts were lost without a new checkpoint; the last one: {detail}"
        move(session, job, "failed", error_code=code, error_detail=detail)
        return "failed"
    move(session, job, goal)
    return goal


def reap_expired(db: Database, now: datetime, max_crashes: int = DEFAULT_MAX_CRASHES) -> list[str]:
    """Take jobs back from attempts whose lease ran out. Answers the jobs that were taken back.

    Raises `StoreBusy` if it had to wait long for a job: its holder may have waited as long to renew the lease, and
    gets the chance to do so now.
    """
    expired = (Job.state.in_(ACTIVE), Job.lease_expires_at < now)
    with db.read() as session:
        candidates = list(session.scalars(select(Job.id).where(*expired)))
    reaped = []
    for job_id in candidates:
        began = time.monotonic()
        with db.write() as session:
            try:
                job = lock_job(session, job_id)
            except JobNotFound:
                continue
            if time.monotonic() - began > SLOW_LOCK_S:
                raise StoreBusy(f"job {job_id} was locked by somebody else for {time.monotonic() - began:.1f} s")
            if job.state not in ACTIVE or job.lease_expires_at is None or job.lease_expires_at >= now:
                continue
            detail = f"Worker {job.lease_owner} was not heard of until its lease on attempt {job.attempt} ran out."
            _abandon(session, job, "worker_lost", detail, max_crashes)
            reaped.append(job_id)
    return reaped


def _metric_events(rows: list[MetricRow]) -> list[tuple[str, dict[str, Any]]]:
    """One event a step, with all the points of that step."""
    by_step: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in rows:
        point = {"name": row.name, "split": row.split, "value": finite(row.value), "unit": row.unit}
        by_step.setdefault((row.step, row.epoch), []).append(point)
    return [("metric", {"step": step, "epoch": epoch, "points": points}) for (step, epoch), points in by_step.items()]


def _raster_event(raster_id: str, row: RasterRow) -> dict[str, Any]:
    n_steps, n_neurons = row.spikes.shape
    return {
        "id": raster_id,
        "epoch": row.epoch,
        "split": row.split,
        "layer": clean_text(row.layer),
        "sample": row.sample,
        "n_steps": n_steps,
        "n_neurons": n_neurons,
    }


def _fields_event(id_: str, row: ReceptiveFieldsRow) -> dict[str, Any]:
    return {
        "id": id_,
        "epoch": row.epoch,
        "step": row.step,
        "layer": clean_text(row.layer),
        "n_neurons": len(row.weights),
        "shape": None if row.shape is None else list(row.shape),
    }
