"""Jobs that need others: which wait, which may start, and what stands against removing one.

A row of `job_need` is written with the job and never changes. Who locks several jobs locks a needed one before those
that need it, so that nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, insert, or_, select
from sqlalchemy.orm import Session, aliased

from service.store.tables import Job, JobNeed


@dataclass(slots=True)
class Needs:
    """A job's neighbours, oldest first."""

    needs: list[str] = field(default_factory=list)
    needed_by: list[str] = field(default_factory=list)


def enter(session: Session, pairs: Iterable[tuple[str, str]]) -> None:
    """Write down what new jobs need: pairs of a job and one that it needs."""
    rows = [{"job_id": job_id, "needed_job_id": needed} for job_id, needed in pairs]
    if rows:
        session.execute(insert(JobNeed), rows)


def of_job(session: Session, job_id: str) -> list[str]:
    """The jobs that a job needs, oldest first."""
    return list(
        session.scalars(select(JobNeed.needed_job_id).where(JobNeed.job_id == job_id).order_by(JobNeed.needed_job_id))
    )


def of_jobs(session: Session, job_ids: Sequence[str]) -> dict[str, Needs]:
    """The neighbours of each job, in one query."""
    found = {job_id: Needs() for job_id in job_ids}
    touching = or_(JobNeed.job_id.in_(job_ids), JobNeed.needed_job_id.in_(job_ids))
    for row in session.scalars(select(JobNeed).where(touching).order_by(JobNeed.job_id, JobNeed.needed_job_id)):
        if row.job_id in found:
            found[row.job_id].needs.append(row.needed_job_id)
        if row.needed_job_id in found:
            found[row.needed_job_id].needed_by.append(row.job_id)
    return found


def ready() -> ColumnElement[bool]:
    """In a query of jobs: all that the job needs has succeeded. Nothing leads out of that state."""
    needed = aliased(Job)
    unfinished = (
        select(JobNeed.job_id)
        .join(needed, needed.id == JobNeed.needed_job_id)
        .where(JobNeed.job_id == Job.id, needed.state != "succeeded")
    )
    return ~unfinished.exists()


def is_ready(session: Session, job_id: str) -> bool:
    """Whether all that a job needs has succeeded."""
    return session.scalar(select(Job.id).where(Job.id == job_id, ready())) is not None


def waiting_for(session: Session, job_id: str, *, only_ready: bool = False) -> list[str]:
    """The queued jobs that need a job, oldest first; `only_ready`: those that wait for nothing any more."""
    query = select(Job.id).join(JobNeed, JobNeed.job_id == Job.id)
    query = query.where(JobNeed.needed_job_id == job_id, Job.state == "queued").order_by(Job.id)
    return list(session.scalars(query.where(ready()) if only_ready else query))


def needed_by(session: Session, job_id: str) -> list[str]:
    """The jobs, in whatever state, that need a job, oldest first."""
    return list(session.scalars(select(JobNeed.job_id).where(JobNeed.needed_job_id == job_id).order_by(JobNeed.job_id)))
