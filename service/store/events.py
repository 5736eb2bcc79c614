"""The append-only history of a job, numbered without gaps. Server-sent events replay it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from service.store.tables import Job, JobEvent
from service.store.types import utcnow


@dataclass(frozen=True, slots=True)
class StoredEvent:
    seq: int
    type: str
    at: datetime
    data: dict[str, Any]


def append(session: Session, job_id: str, items: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Append events (type, data). Taking the numbers locks the job's row, so they become visible in order."""
    if not items:
        return
    after = session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(next_event_seq=Job.next_event_seq + len(items))
        .returning(Job.next_event_seq)
        .execution_options(synchronize_session=False)
    ).scalar_one()
    now = utcnow()
    first = after - len(items)
    session.execute(
        insert(JobEvent),
        [
            {"job_id": job_id, "seq": first + index, "type": kind, "at": now, "data": data}
            for index, (kind, data) in enumerate(items)
        ],
    )


def append_first(session: Session, job_ids: Sequence[str], kind: str, data: dict[str, Any]) -> None:
    """The same first event of many new jobs."""
    session.execute(
        update(Job).where(Job.id.in_(job_ids)).values(next_event_seq=2).execution_options(synchronize_session=False)
    )
    now = utcnow()
    session.execute(
        insert(JobEvent),
        [{"job_id": job_id, "seq": 1, "type": kind, "at": now, "data": data} for job_id in job_ids],
    )


def after(session: Session, job_id: str, seq: int, limit: int, kind: str | None = None) -> list[StoredEvent]:
    """Up to `limit` events behind number `seq`, oldest first."""
    query = select(JobEvent.seq, JobEvent.type, JobEvent.at, JobEvent.data).where(
        JobEvent.job_id == job_id, JobEvent.seq > seq
    )
    if kind is not None:
        query = query.where(JobEvent.type == kind)
    return [StoredEvent(*row) for row in session.execute(query.order_by(JobEvent.seq).limit(limit))]


def before(session: Session, job_id: str, seq: int | None, limit: int, kind: str) -> list[StoredEvent]:
    """Up to `limit` events of one type in front of number `seq` (None: from the end), newest first."""
    query = select(JobEvent.seq, JobEvent.type, JobEvent.at, JobEvent.data).where(
        JobEvent.job_id == job_id, JobEvent.type == kind
    )
    if seq is not None:
        query = query.where(JobEvent.seq < seq)
    return [StoredEvent(*row) for row in session.execute(query.order_by(JobEvent.seq.desc()).limit(limit))]
