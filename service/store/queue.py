"""Which queued jobs want their doorbell rung. The rows are the queue; messages only wake workers up."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from service.store import needs
from service.store.engine import Database
from service.store.tables import Job
from service.store.types import utcnow


def mark_dispatched(db: Database, job_id: str) -> None:
    """The doorbell was rung."""
    with db.write() as session:
        session.execute(update(Job).where(Job.id == job_id, Job.state == "queued").values(dispatched_at=utcnow()))


def stale_queued(
    db: Database, now: datetime, *, grace_s: float = 1.0, redispatch_s: float | None = None, limit: int = 100
) -> list[str]:
    """Queued jobs that could start, longest waiting first, and that nobody has been told of.

    Never rung for `grace_s`; with `redispatch_s` (for when a worker stands idle) also those last rung so long ago.
    """
    lost: ColumnElement[bool] = Job.dispatched_at.is_(None) & (Job.queued_at <= now - timedelta(seconds=grace_s))
    if redispatch_s is not None:
        lost = or_(lost, Job.dispatched_at <= now - timedelta(seconds=redispatch_s))
    with db.read() as session:
        query = select(Job.id).where(Job.state == "queued", lost, needs.ready())
        return list(session.scalars(query.order_by(Job.queued_at, Job.id).limit(limit)))


def waits(db: Database, job_id: str) -> bool:
    """Whether a job has to wait for another one, so that nobody need be told of it yet."""
    with db.read() as session:
        return not needs.is_ready(session, job_id)


def freed_by(db: Database, job_id: str) -> list[str]:
    """The queued jobs that waited for a job and could start now."""
    with db.read() as session:
        return needs.waiting_for(session, job_id, only_ready=True)


def oldest_queued_at(session: Session) -> datetime | None:
    """Since when the longest waiting job has been in the queue, of those that wait for a worker only."""
    return session.scalar(select(func.min(Job.queued_at)).where(Job.state == "queued", needs.ready()))
