"""The states of a job, the ways between them, and the one function that takes them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.store import events, needs
from service.store.errors import IllegalTransition, JobNotFound
from service.store.tables import Job
from service.store.types import utcnow

State: TypeAlias = Literal["queued", "running", "pausing", "paused", "cancelling", "cancelled", "succeeded", "failed"]

TRANSITIONS: dict[State, frozenset[State]] = {
    "queued": frozenset({"running", "cancelled", "paused", "failed"}),
    "running": frozenset({"succeeded", "failed", "cancelling", "pausing", "queued"}),
    "pausing": frozenset({"paused", "cancelling", "succeeded", "failed"}),
    "paused": frozenset({"queued", "cancelled"}),
    "cancelling": frozenset({"cancelled", "succeeded", "failed"}),
    "cancelled": frozenset({"queued"}),
    "succeeded": frozenset(),
    "failed": frozenset({"queued"}),
}
STATES: tuple[State, ...] = tuple(TRANSITIONS)
TERMINAL: frozenset[State] = frozenset({"succeeded", "failed", "cancelled"})
GIVEN_UP: frozenset[State] = frozenset({"failed", "cancelling", "cancelled"})
"""States in which nobody should begin to wait for a job."""
ACTIVE: frozenset[State] = frozenset({"running", "pausing", "cancelling"})
"""States in which an attempt holds the job and may write."""


def lock_job(session: Session, job_id: str) -> Job:
    """The job's row, kept from other writers until the transaction ends (SQLite has one writer anyway)."""
    job = session.scalars(
        select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()
    if job is None:
        raise JobNotFound(job_id)
    return job


def move(session: Session, job: Job, to: State, **values: Any) -> None:
    """Move a job (locked by `lock_job`) to another state and append its `state` event.

    `values` are columns that change with it. What a state implies for times, lease and error, and for the jobs that
    need this one, is set here, so that no two callers can differ about it.
    """
    _move(session, job, to, values)
    if to == "succeeded":
        if freed := needs.waiting_for(
            session, job.id, only_ready=True
        ):  # from now on it is a worker that they wait for
            session.execute(update(Job).where(Job.id.in_(freed)).values(queued_at=job.finished_at))
    elif to in TERMINAL:
        _fail_dependents(session, job)


def _fail_dependents(session: Session, ended: Job) -> None:
    """Fail the queued jobs that need one that will not succeed, those that need them, and so on."""
    pending = [ended]
    while pending:
        needed = pending.pop()
        reason = f"failed ({needed.error_code})" if needed.state == "failed" else f"was {needed.state}"
        detail = f"Job {needed.id}, which this one needs, {reason}. Resume that one, and then this one."
        for job_id in needs.waiting_for(session, needed.id):
            job = lock_job(session, job_id)
            if job.state == "queued":
                _move(session, job, "failed", {"error_code": "needed_job_failed", "error_detail": detail})
                pending.append(job)


def _move(session: Session, job: Job, to: State, values: dict[str, Any]) -> None:
    if to not in TRANSITIONS[job.state]:  # type: ignore[index]
        raise IllegalTransition(job.id, job.state, to)
    now = utcnow()
    values = _implied(job, to) | values
    if to == "queued":
        values["queued_at"] = now
    elif to == "running":
        values["started_at"] = job.started_at or now
    elif to in TERMINAL:
        values["finished_at"] = now
    elif to in {"cancelling", "pausing"}:
        values["stop_requested_at"] = now
    previous = job.state
    job.state = to
    for column, value in values.items():
        setattr(job, column, value)
    session.flush()
    data: dict[str, Any] = {"state": to, "previous": previous, "attempt": job.attempt}
    if to == "failed":
        data["error"] = {"code": job.error_code, "detail": job.error_detail}
    events.append(session, job.id, [("state", data)])


def _implied(job: Job, to: State) -> dict[str, Any]:
    if to in ACTIVE:
        return {}
    values: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None, "stop_requested_at": None}
    if to == "queued":
        values |= {"dispatched_at": None, "finished_at": None, "error_code": None, "error_detail": None}
    return values
