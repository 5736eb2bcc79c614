"""What can be done with sweeps, between the routes and the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from service.auth import Caller
from service.jobs.service import demand_room_in_queue
from service.jobs.submission import overtaken
from service.once import digest, once
from service.settings import Settings
from service.store import sweeps
from service.store.engine import Database
from service.store.errors import DatasetGone, JobNotFound, NeededJobEnded
from service.store.jobs import NewJob
from service.store.sweeps import NewMember
from service.store.tables import Sweep
from service.sweeps.grid import describe
from service.sweeps.schemas import SweepDetail, SweepView, member_view_of, view_of
from service.sweeps.submission import Plan
from snncore.spec import uploaded_sha256, warnings_about

LONGEST_NAME = 200


def views(session: Session, found: list[Sweep]) -> list[SweepView]:
    """Sweeps with the counts of their jobs, in one query however many they are."""
    tallies = sweeps.tallies(session, [sweep.id for sweep in found])
    return [view_of(sweep, tallies[sweep.id]) for sweep in found]


def view(session: Session, sweep: Sweep) -> SweepView:
    return views(session, [sweep])[0]


def detail(session: Session, sweep: Sweep) -> SweepDetail:
    jobs = [member_view_of(member) for member in sweeps.members(session, sweep.id)]
    return SweepDetail(**dict(view(session, sweep)), jobs=jobs)


def submit(
    database: Database,
    settings: Settings,
    caller: Caller,
    plan: Plan,
    body: Mapping[str, Any],
    idempotency_key: str | None,
) -> tuple[SweepDetail, bool]:
    """Queue all jobs of a sweep, or find the one that the same request made before. Answers whether it is new."""
    return once(
        database,
        settings,
        caller,
        idempotency_key,
        digest(body, of="sweep"),
        SweepDetail,
        lambda session: _create(session, settings, caller, plan),
        lambda made: {"sweep_id": made.id},
    )


def _create(session: Session, settings: Settings, caller: Caller, plan: Plan) -> SweepDetail:
    request = plan.request
    sweep_id = sweeps.new_sweep_id()
    members = list(_members(plan, sweep_id, caller))
    demand_room_in_queue(session, settings, caller, len(members))
    try:
        sweep = sweeps.create(
            session,
            members,
            sweep_id=sweep_id,
            request=request.model_dump(exclude={"name", "labels", "max_parallel"}),
            max_parallel=request.max_parallel,
            name=request.name,
            labels=request.labels,
            api_key_id=caller.key_id,
        )
    except (JobNotFound, NeededJobEnded, DatasetGone) as error:
        raise overtaken(error, None) from None
    return detail(session, sweep)


def _members(plan: Plan, sweep_id: str, caller: Caller) -> Iterator[NewMember]:
    request = plan.request
    for position, needed in enumerate(plan.needed):
        job = NewJob(
            id=needed.id,
            spec=needed.spec.model_dump(mode="json"),
            name=_name(request.name, {"needed": needed.preset}, needed.spec.seed),
            labels=request.labels,
            preset=needed.preset,
            sweep=sweep_id,
            api_key_id=caller.key_id,
            warnings=warnings_about(needed.spec),
            needed=needed.needs,
            dataset_sha256=uploaded_sha256(needed.spec.dataset),
        )
        yield NewMember(job, "needed", position, {}, needed.spec.seed)
    for point in plan.points:
        for seed in request.seeds:
            job = NewJob(
                spec={**point.spec, "seed": seed},
                name=_name(request.name, point.values, seed),
                labels=request.labels,
                preset=point.preset,
                sweep=sweep_id,
                api_key_id=caller.key_id,
                warnings=point.warnings,
                needed=point.needs,
                dataset_sha256=point.dataset_sha256,
            )
            yield NewMember(job, "point", point.position, point.values, seed)


def _name(sweep: str | None, point: Mapping[str, Any], seed: int) -> str:
    """`regulariser: strength = 50, seed = 1`."""
    name = describe({**point, "seed": seed})
    if sweep is not None:
        name = f"{sweep}: {name}"
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
