"""The states of a job, the ways between them, and the one function that takes them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store import events
from service.store.errors import IllegalTransition, JobNotFound
from service.store.tables import Job
from service.store.types import utcnow

State: TypeAlias = Literal["queued", "running", "pausing", "paused", "cancelling", "cancelled", "succeeded", "failed"]

TRANSITIONS: dict[State, frozenset[State]] = {
    "queued": frozenset({"running", "cancelled", "paused"}),
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

    `values` are columns that change with it. What a state implies for times, lease and error is set here, so that
    no two callers can differ about it.
    """
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
