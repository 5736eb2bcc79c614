"""Presets that need the trained network of another one: that one is found, or queued first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from service.client.errors import ClientError, ServiceError
from service.client.models import Job, Preset

USABLE = ("succeeded", "running", "queued")
"""States of a job that another one can be given to wait for, best first."""


@dataclass(frozen=True, slots=True)
class ChainedJob:
    """A job of a chain."""

    job: Job
    new: bool
    """Whether it was queued for this chain, or was there."""


class Service(Protocol):
    """What is used of a `Client`."""

    def submit(self, spec: Mapping[str, Any]) -> Job: ...
    def cancel(self, job_id: str) -> Job: ...
    def preset(self, name: str) -> Preset: ...
    def newest(self, preset: str, state: str) -> Job | None: ...


def submit_chain(service: Service, body: Mapping[str, Any], fresh: bool) -> list[ChainedJob]:
    """The job that `body` describes, last, and in front of it those that it needs, each before who needs it.

    If the service refuses one of them, those that were queued for it are cancelled again.
    """
    chain: list[ChainedJob] = []
    try:
        _extend(chain, service, body, fresh)
    except ClientError:
        for link in chain:
            if link.new:
                with suppress(ClientError):  # the refusal is what the caller has to know of
                    service.cancel(link.job.id)
        raise
    return chain


def _extend(chain: list[ChainedJob], service: Service, body: Mapping[str, Any], fresh: bool) -> Job:
    """Queue a job, and before it what it needs; the chain grows by all of them."""
    try:
        job = service.submit(body)
    except ServiceError as error:
        places = _open_places(error)
        if not places:
            raise
        needs = service.preset(body["preset"]).needs
        overrides: Mapping[str, Any] = body.get("overrides") or {}
        for place in places:
            needed = _provide(chain, service, needs[".".join(place)], body.get("labels"), fresh)
            overrides = placed(overrides, place, needed.id)
        job = service.submit({**body, "overrides": overrides})
    chain.append(ChainedJob(job, new=True))
    return job


def _open_places(error: ServiceError) -> list[tuple[str, ...]]:
    """The places of the spec that only lack the id of a job; none if something else is wrong, too."""
    missing = [each.loc[1:] for each in error.errors if each.type == "needed_job_missing"]
    return [tuple(map(str, loc)) for loc in missing] if len(missing) == len(error.errors) else []


def _provide(chain: list[ChainedJob], service: Service, preset: str, labels: Any, fresh: bool) -> Job:
    """A job of a preset: one that is there, unless it has to be a fresh one, or a new one."""
    if not fresh:
        for state in USABLE:
            if (found := service.newest(preset, state)) is not None:
                chain.append(ChainedJob(found, new=False))
                return found
    return _extend(chain, service, {"preset": preset, **({"labels": labels} if labels else {})}, fresh)


def placed(document: Mapping[str, Any], place: Sequence[str], value: str) -> dict[str, Any]:
    """`document` with a value at a place."""
    first, *rest = place
    return {**document, first: placed(document.get(first) or {}, rest, value) if rest else value}
