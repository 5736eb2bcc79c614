"""Who is there to train."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from service.store.engine import Database
from service.store.ids import new_id
from service.store.tables import Job, Worker
from service.store.transitions import ACTIVE
from service.store.types import clean_text, utcnow


def register(db: Database, *, hostname: str, pid: int, device: str, threads: int, slots: int) -> str:
    """Enter a worker that starts; answers its identifier."""
    now = utcnow()
    worker = Worker(
        id=new_id("wrk"),
        hostname=clean_text(hostname)[:255],
        pid=pid,
        device=clean_text(device)[:200],
        threads=threads,
        slots=slots,
        started_at=now,
        heartbeat_at=now,
    )
    with db.write() as session:
        session.add(worker)
    return worker.id


def heartbeat(db: Database, worker_id: str) -> bool:
    """Say that a worker lives. False: it was taken for dead and its row is gone, so it has to register again."""
    with db.write() as session:
        found = session.execute(
            update(Worker).where(Worker.id == worker_id).values(heartbeat_at=utcnow()).returning(Worker.id)
        )
        return found.one_or_none() is not None


def remove(db: Database, worker_id: str) -> None:
    with db.write() as session:
        session.execute(delete(Worker).where(Worker.id == worker_id))


def forget_dead(db: Database, now: datetime, unheard_s: float) -> list[str]:
    """Remove the rows of workers unheard of for so long. Their jobs are the reaper's business."""
    with db.write() as session:
        gone = Worker.heartbeat_at < now - timedelta(seconds=unheard_s)
        return list(session.execute(delete(Worker).where(gone).returning(Worker.id)).scalars())


def list_alive(session: Session, now: datetime, timeout_s: float) -> list[Worker]:
    """Workers heard of within `timeout_s`, newest first."""
    alive = Worker.heartbeat_at >= now - timedelta(seconds=timeout_s)
    return list(session.scalars(select(Worker).where(alive).order_by(Worker.id.desc())))


def count_alive(session: Session, now: datetime, timeout_s: float) -> int:
    return session.scalar(select(func.count()).where(Worker.heartbeat_at >= now - timedelta(seconds=timeout_s))) or 0


def jobs_of_workers(session: Session) -> dict[str, list[str]]:
    """The jobs that each worker holds a lease on."""
    held: dict[str, list[str]] = {}
    query = select(Job.lease_owner, Job.id).where(Job.state.in_(ACTIVE), Job.lease_owner.is_not(None))
    for owner, job_id in session.execute(query.order_by(Job.id)):
        held.setdefault(str(owner), []).append(job_id)
    return held
