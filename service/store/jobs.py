"""Jobs as the API sees them: made, listed, asked to stop, removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, or_, select
from sqlalchemy.orm import Session

from service.store import datasets, events, needs
from service.store.errors import IllegalTransition, JobNeeded, JobNotFound, NeededJobEnded
from service.store.ids import new_id
from service.store.tables import Job, JobLabel, JobNeed
from service.store.transitions import GIVEN_UP, TERMINAL, State, lock_job, move


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a job is made from. `spec` is resolved."""

    spec: dict[str, Any]
    name: str | None = None
    labels: Mapping[str, str] | None = None
    preset: str | None = None
    sweep: str | None = None
    api_key_id: str | None = None
    warnings: Sequence[str] = ()
    needed: Collection[str] = ()
    """Jobs that have to succeed first."""
    id: str | None = None
    """For a job that others name before it is made."""
    dataset_sha256: str | None = None
    """Of the uploaded file that it trains on."""


def create(
    session: Session,
    *,
    spec: dict[str, Any],
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    preset: str | None = None,
    sweep: str | None = None,
    api_key_id: str | None = None,
    warnings: Sequence[str] = (),
    needed: Collection[str] = (),
    dataset_sha256: str | None = None,
) -> Job:
    """A new job, queued; its doorbell is not rung yet (`dispatched_at` is NULL).

    Raises `JobNotFound` or `NeededJobEnded` if one of the `needed` jobs is not there or will not succeed, and
    `DatasetGone` if the uploaded file that it trains on is not stored.
    """
    new = NewJob(spec, name, labels, preset, sweep, api_key_id, warnings, needed, dataset_sha256=dataset_sha256)
    return create_many(session, [new])[0]


def create_many(session: Session, new: Sequence[NewJob]) -> list[Job]:
    """New jobs, queued, in a fixed number of statements. They may need each other, and others that are there.

    Raises what `create` raises.
    """
    own = {one.id for one in new}
    _lock_needed(session, {job_id for one in new for job_id in one.needed} - own)
    made = [
        Job(
            id=one.id or new_id("job"),
            name=one.name,
            state="queued",
            spec=one.spec,
            preset=one.preset,
            sweep=one.sweep,
            api_key_id=one.api_key_id,
            warnings=list(one.warnings),
        )
        for one in new
    ]
    session.add_all(made)
    session.flush()
    together = list(zip(made, new, strict=True))
    labels = [
        {"job_id": job.id, "key": key, "value": value}
        for job, one in together
        for key, value in (one.labels or {}).items()
    ]
    if labels:
        session.execute(insert(JobLabel), labels)
    needs.enter(session, ((job.id, needed) for job, one in together for needed in one.needed))
    datasets.enter(session, ((job.id, one.dataset_sha256) for job, one in together if one.dataset_sha256))
    events.append_first(session, [job.id for job in made], "state", {"state": "queued", "previous": None, "attempt": 0})
    return made


def _lock_needed(session: Session, needed: Collection[str]) -> None:
    """Keep the jobs that a job is about to wait for from ending unnoticed meanwhile."""
    for job_id in sorted(needed):
        state = lock_job(session, job_id).state
        if state in GIVEN_UP:
            raise NeededJobEnded(job_id, state)


def get(session: Session, job_id: str) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


def state_of(session: Session, job_id: str) -> State:
    """The state alone, without the spec and the result that the row carries."""
    state = session.scalar(select(Job.state).where(Job.id == job_id))
    if state is None:
        raise JobNotFound(job_id)
    return state  # type: ignore[return-value]


def labels_of(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {job_id: {} for job_id in job_ids}
    query = select(JobLabel).where(JobLabel.job_id.in_(job_ids)).order_by(JobLabel.key)
    for label in session.scalars(query):
        found[label.job_id][label.key] = label.value
    return found


@dataclass(frozen=True, slots=True)
class Filters:
    states: Sequence[str] = ()
    labels: Sequence[tuple[str, str | None]] = ()
    """(key, value); value None: the key is there, whatever its value. All must hold."""
    preset: str | None = None
    sweep: str | None = None
    needs: str | None = None
    """Only jobs that need this one."""
    needed_by: str | None = None
    """Only jobs that this one needs."""
    text: str | None = None
    """In the name or the preset, or the beginning of the id, in any case of letters."""


def list_jobs(session: Session, filters: Filters, *, before: str | None, limit: int) -> list[Job]:
    """Up to `limit` jobs older than job `before`, newest first."""
    query = select(Job)
    if filters.states:
        query = query.where(Job.state.in_(filters.states))
    for key, value in filters.labels:
        label = select(JobLabel.job_id).where(JobLabel.job_id == Job.id, JobLabel.key == key)
        if value is not None:
            label = label.where(JobLabel.value == value)
        query = query.where(label.exists())
    if filters.preset is not None:
        query = query.where(Job.preset == filters.preset)
    if filters.sweep is not None:
        query = query.where(Job.sweep == filters.sweep)
    if filters.needs is not None:
        query = query.where(Job.id.in_(select(JobNeed.job_id).where(JobNeed.needed_job_id == filters.needs)))
    if filters.needed_by is not None:
        query = query.where(Job.id.in_(select(JobNeed.needed_job_id).where(JobNeed.job_id == filters.needed_by)))
    if filters.text:
        query = query.where(
            or_(
                Job.name.icontains(filters.text, autoescape=True),
                Job.preset.icontains(filters.text, autoescape=True),
                Job.id.istartswith(filters.text, autoescape=True),
            )
        )
    if before is not None:
        query = query.where(Job.id < before)
    return list(session.scalars(query.order_by(Job.id.desc()).limit(limit)))


def cancel(session: Session, job_id: str) -> State:
    """Ask a job to stop for good: at once where nobody runs it. Asking again changes nothing."""
    job = lock_job(session, job_id)
    if job.state in {"queued", "paused"}:
        move(session, job, "cancelled")
    elif job.state not in {"cancelling", "cancelled"}:
        move(session, job, "cancelling")
    return job.state  # type: ignore[return-value]


def pause(session: Session, job_id: str) -> State:
    """Ask a job to stop for now: at once where nobody runs it. Asking again changes nothing."""
    job = lock_job(session, job_id)
    if job.state == "queued":
        move(session, job, "paused")
    elif job.state not in {"pausing", "paused"}:
        move(session, job, "pausing")
    return job.state  # type: ignore[return-value]


def resume(session: Session, job_id: str) -> State:
    """Put a job that stopped back into the queue, with its crashes forgiven.

    Raises `NeededJobEnded` if it would wait there for a job that will not succeed, and `DatasetGone` if the uploaded
    file that it trains on was removed.
    """
    _lock_needed(session, needs.of_job(session, job_id))
    datasets.demand_there(session, job_id)
    job = lock_job(session, job_id)
    if job.state == "running":  # an attempt may be sent back to the queue, but not by a client
        raise IllegalTransition(job_id, job.state, "queued")
    move(session, job, "queued", crashes=0)
    return job.state  # type: ignore[return-value]


def remove(session: Session, job_id: str) -> None:
    """Delete a job that has ended, with everything that it stored. Raises `JobNeeded` while another one needs it."""
    job = lock_job(session, job_id)
    if job.state not in TERMINAL:
        raise IllegalTransition(job_id, job.state, "deletion")
    if dependents := needs.needed_by(session, job_id):
        raise JobNeeded(job_id, dependents)
    session.execute(delete(Job).where(Job.id == job_id))


def count_by_state(session: Session) -> dict[str, int]:
    return dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())


def count_queued(session: Session, api_key_id: str | None) -> int:
    """How many jobs of one API key (None: of nobody in particular) wait in the queue."""
    return session.scalar(select(func.count()).where(Job.state == "queued", Job.api_key_id == api_key_id)) or 0
