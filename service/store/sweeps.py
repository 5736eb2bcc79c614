"""Sweeps: many jobs that were made together, are counted together and stop together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from service.store import jobs, needs
from service.store.engine import Database
from service.store.errors import JobNeeded, SweepNotFinished, SweepNotFound
from service.store.ids import new_id
from service.store.jobs import NewJob
from service.store.tables import Job, JobNeed, Sweep, SweepJob
from service.store.transitions import ACTIVE, STATES, TERMINAL, State, lock_job

Role: TypeAlias = Literal["point", "needed"]
"""A job of a grid point, or one whose network the jobs of the grid points build on."""

RESUMABLE: frozenset[State] = frozenset({"paused", "cancelled", "failed"})
STOPPING: frozenset[State] = frozenset({"pausing", "cancelling"})
PORTION = 50


@dataclass(frozen=True, slots=True)
class NewMember:
    """A job of a sweep that is to be made."""

    job: NewJob
    role: Role
    position: int
    point: Mapping[str, Any]
    seed: int


@dataclass(frozen=True, slots=True)
class Member:
    """A job of a sweep, without the spec and the result that its row carries."""

    job_id: str
    role: Role
    position: int
    point: dict[str, Any]
    seed: int
    preset: str | None
    state: State
    progress: dict[str, Any] | None
    error_code: str | None
    error_detail: str | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(slots=True)
class Tally:
    """How far the jobs of a sweep are."""

    by_state: dict[State, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    started_at: datetime | None = None
    last_finished_at: datetime | None = None

    @property
    def total(self) -> int:
        return sum(self.by_state.values())

    @property
    def ended(self) -> bool:
        """Whether no job is left that might go on by itself or by being resumed from a pause."""
        return self.total == sum(self.by_state[state] for state in TERMINAL)

    @property
    def finished_at(self) -> datetime | None:
        return self.last_finished_at if self.ended else None

    @property
    def state(self) -> Literal["queued", "running", "finished"]:
        if self.ended:
            return "finished"
        return "queued" if self.total == self.by_state["queued"] and self.started_at is None else "running"


def create(
    session: Session,
    members: Sequence[NewMember],
    *,
    sweep_id: str,
    request: dict[str, Any],
    max_parallel: int | None = None,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    api_key_id: str | None = None,
) -> Sweep:
    """A sweep with all its jobs, queued. `sweep_id` comes from `new_sweep_id`, and the jobs carry it."""
    sweep = Sweep(
        id=sweep_id,
        name=name,
        labels=dict(labels or {}),
        request=request,
        max_parallel=max_parallel,
        api_key_id=api_key_id,
    )
    session.add(sweep)
    session.flush()
    made = jobs.create_many(session, [member.job for member in members])
    session.execute(
        insert(SweepJob),
        [
            {
                "job_id": job.id,
                "sweep_id": sweep_id,
                "role": member.role,
                "position": member.position,
                "point": dict(member.point),
                "seed": member.seed,
            }
            for job, member in zip(made, members, strict=True)
        ],
    )
    return sweep


def new_sweep_id() -> str:
    return new_id("swp")


def get(session: Session, sweep_id: str) -> Sweep:
    sweep = session.get(Sweep, sweep_id)
    if sweep is None:
        raise SweepNotFound(sweep_id)
    return sweep


def list_sweeps(session: Session, *, before: str | None, limit: int) -> list[Sweep]:
    """Up to `limit` sweeps older than sweep `before`, newest first."""
    query = select(Sweep)
    if before is not None:
        query = query.where(Sweep.id < before)
    return list(session.scalars(query.order_by(Sweep.id.desc()).limit(limit)))


def members(session: Session, sweep_id: str) -> list[Member]:
    """The jobs of a sweep: needed ones first, then by grid point and seed."""
    query = (
        select(
            SweepJob.job_id,
            SweepJob.role,
            SweepJob.position,
            SweepJob.point,
            SweepJob.seed,
            Job.preset,
            Job.state,
            Job.progress,
            Job.error_code,
            Job.error_detail,
            Job.started_at,
            Job.finished_at,
        )
        .join(Job, Job.id == SweepJob.job_id)
        .where(SweepJob.sweep_id == sweep_id)
        .order_by(SweepJob.role, SweepJob.position, SweepJob.job_id)
    )
    return [Member(*row) for row in session.execute(query)]


def results(session: Session, sweep_id: str) -> dict[str, dict[str, Any]]:
    """The results of the jobs that succeeded, by job."""
    query = select(Job.id, Job.result).where(Job.sweep == sweep_id, Job.state == "succeeded")
    return {job_id: result or {} for job_id, result in session.execute(query)}


def tallies(session: Session, sweep_ids: Sequence[str]) -> dict[str, Tally]:
    """How far each sweep is, in one query however many they are."""
    found = {sweep_id: Tally() for sweep_id in sweep_ids}
    query = (
        select(Job.sweep, Job.state, func.count(), func.min(Job.started_at), func.max(Job.finished_at))
        .where(Job.sweep.in_(sweep_ids))
        .group_by(Job.sweep, Job.state)
    )
    for sweep_id, state, count, started_at, finished_at in session.execute(query):
        tally = found[str(sweep_id)]
        tally.by_state[cast(State, state)] = count
        tally.started_at = min(filter(None, (tally.started_at, started_at)), default=None)
        tally.last_finished_at = max(filter(None, (tally.last_finished_at, finished_at)), default=None)
    return found


def lock_room(session: Session, sweep_id: str) -> bool:
    """Whether another job of the sweep may be run now.

    If there is a limit, its row stays locked until the transaction ends, so that two workers cannot take the last place
    both. It comes before the job's row: whoever locks both does so in this order.
    """
    limit = session.scalar(
        select(Sweep.max_parallel).where(Sweep.id == sweep_id, Sweep.max_parallel.is_not(None)).with_for_update()
    )
    if limit is None:
        return True
    taken = session.scalar(select(func.count()).where(Job.sweep == sweep_id, Job.state.in_(ACTIVE)))
    return (taken or 0) < limit


def cancel(db: Database, sweep_id: str) -> None:
    """Ask all jobs that have not ended to stop for good. Asking again changes nothing."""
    with db.read() as session:
        left = _jobs_in(session, sweep_id, frozenset(STATES) - TERMINAL)
    for some in _portions(left[::-1]):  # those that need others before these, or they would fail for it
        with db.write() as session:
            states = {job_id: lock_job(session, job_id).state for job_id in _present(session, some)}
            for job_id in some:
                if states.get(job_id, "cancelled") not in TERMINAL:
                    jobs.cancel(session, job_id)


def resume(db: Database, sweep_id: str) -> None:
    """Put all jobs that stopped without success back into the queue, needed ones before those that need them."""
    with db.read() as session:
        stopping = len(_jobs_in(session, sweep_id, STOPPING))
        stopped = _jobs_in(session, sweep_id, RESUMABLE)
    if stopping:
        raise SweepNotFinished(f"{stopping} jobs of sweep {sweep_id} are still stopping: resume it once they have.")
    for some in _portions(stopped):
        with db.write() as session:
            for job_id in _present(session, some):
                if lock_job(session, job_id).state in RESUMABLE:
                    jobs.resume(session, job_id)


def _portions(job_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many jobs as are moved in one transaction: others want to write, too."""
    return (job_ids[start : start + PORTION] for start in range(0, len(job_ids), PORTION))


def _present(session: Session, job_ids: Sequence[str]) -> list[str]:
    """Those that were not removed meanwhile, in the order in which they are to be locked."""
    return list(session.scalars(select(Job.id).where(Job.id.in_(job_ids)).order_by(Job.id)))


def remove(session: Session, sweep_id: str) -> None:
    """Delete a sweep whose jobs have all ended, with the jobs and everything that they stored."""
    if session.scalar(select(Sweep.id).where(Sweep.id == sweep_id).with_for_update()) is None:
        raise SweepNotFound(sweep_id)
    found = session.execute(select(Job.id, Job.state).where(Job.sweep == sweep_id).order_by(Job.id).with_for_update())
    left = sum(state not in TERMINAL for _, state in found)
    if left:
        raise SweepNotFinished(f"{left} jobs of sweep {sweep_id} have not ended: cancel it, or wait for them.")
    own = select(Job.id).where(Job.sweep == sweep_id)
    outside = (JobNeed.needed_job_id.in_(own), JobNeed.job_id.not_in(own))
    if (need := session.scalars(select(JobNeed).where(*outside).limit(1)).one_or_none()) is not None:
        raise JobNeeded(need.needed_job_id, needs.needed_by(session, need.needed_job_id))
    session.execute(delete(JobNeed).where(JobNeed.job_id.in_(own)))
    session.execute(delete(Job).where(Job.sweep == sweep_id))
    session.execute(delete(Sweep).where(Sweep.id == sweep_id))


def _jobs_in(session: Session, sweep_id: str, states: frozenset[State]) -> list[str]:
    query = select(Job.id).where(Job.sweep == sweep_id, Job.state.in_(states)).order_by(Job.id)
    return list(session.scalars(query))
