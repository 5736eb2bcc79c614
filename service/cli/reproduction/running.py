"""Submits what the tables lack, a few jobs at a time, and waits for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.cli.reproduction.holdings import QUICK, Holdings
from service.client import Client, Job, ServiceError
from service.client.chain import placed
from snncore.presets.tables import Table
from snncore.spec import deep_merge

GIVEN_UP = frozenset({"failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run that a table asks for, or that another run needs."""

    preset: str
    overrides: Mapping[str, Any]
    seed: int
    spec: Mapping[str, Any]
    """What preset and overrides come to."""
    needs: Mapping[str, Wanted]
    """By the path in the spec that their job's id is put at."""

    @property
    def key(self) -> str:
        """The same for all that are the same run."""
        return json.dumps([self.preset, self.spec, self.seed], sort_keys=True)

    def __str__(self) -> str:
        return f"{self.preset}, seed {self.seed}"


def wanted_by(holdings: Holdings, tables: Iterable[Table], *, seeds: int, quick: bool) -> list[Wanted]:
    """Every row with both its presets, seed by seed, as far as the service has the presets; what they need comes
    before them."""
    found: dict[str, Wanted] = {}
    rows = [row for table in tables for row in table.rows]
    for seed in range(seeds):
        for row in rows:
            names = [name + QUICK if quick else name for name in (row.preset, row.best) if name is not None]
            for name in names:
                if name in holdings.presets:
                    for one in _needs_first(_wanted(holdings, name, row.overrides, seed)):
                        found.setdefault(one.key, one)
    return list(found.values())


def _wanted(holdings: Holdings, preset: str, overrides: Mapping[str, Any], seed: int) -> Wanted:
    known = holdings.presets.get(preset)
    needs = {path: _wanted(holdings, name, {}, 0) for path, name in known.needs.items()} if known else {}
    return Wanted(preset, overrides, seed, holdings.spec_of(preset, overrides) or {}, needs)


def _needs_first(wanted: Wanted) -> Iterator[Wanted]:
    for need in wanted.needs.values():
        yield from _needs_first(need)
    yield wanted


class Runner:
    """Brings wanted runs about. `say` is told of every job that begins or ends."""

    def __init__(
        self, client: Client, holdings: Holdings, *, max_parallel: int, say: Callable[[str], None], poll_s: float = 2.0
    ) -> None:
        self._client = client
        self._holdings = holdings
        self._max_parallel = max_parallel
        self._say = say
        self._poll_s = poll_s
        self.failed: list[str] = []
        """What did not come about, and why."""

    def run(self, wanted: Iterable[Wanted]) -> None:
        """Returns when all runs have ended. What has succeeded is not run again; what is on its way is waited for."""
        waiting = [one for one in wanted if self._succeeded(one) is None]
        in_flight: dict[str, Wanted] = {}
        while waiting or in_flight:
            for one in list(waiting):
                if len(in_flight) >= self._max_parallel:
                    break
                coming = {other.key for other in (*waiting, *in_flight.values())}
                if coming.isdisjoint(need.key for need in one.needs.values()):
                    waiting.remove(one)
                    if (job := self._begin(one)) is not None:
                        in_flight[job.id] = one
            self._look_after(in_flight)
            if in_flight:
                time.sleep(self._poll_s)

    def _begin(self, wanted: Wanted) -> Job | None:
        """The job that does it, new or found; None if there can be none."""
        overrides = deep_merge(wanted.overrides, {"seed": wanted.seed})
        for path, need in wanted.needs.items():
            inner = self._succeeded(need)
            if inner is None:
                self.failed.append(f"{wanted}: it needs {need.preset}, which has not succeeded")
                return None
            overrides = placed(overrides, path.split("."), inner.id)
        job = self._find(wanted, lambda state: state not in GIVEN_UP)
        if job is None:
            try:
                job = self._client.submit(preset=wanted.preset, overrides=overrides)
            except ServiceError as error:
                self.failed.append(f"{wanted}: refused, {error.detail}")
                return None
            self._holdings.add(job)
        self._say(f"{job.id} {job.state}: {wanted}")
        return job

    def _look_after(self, in_flight: dict[str, Wanted]) -> None:
        for job_id, wanted in list(in_flight.items()):
            job = self._client.job(job_id)
            if job.is_terminal or job.state == "paused":
                del in_flight[job_id]
                self._holdings.add(job)
                self._say(f"{job.id} {job.state}: {wanted}")
                if job.state != "succeeded":
                    reason = f", {job.error.detail}" if job.error else ""
                    self.failed.append(f"{wanted}: {job.id} is {job.state}{reason}")

    def _succeeded(self, wanted: Wanted) -> Job | None:
        return self._find(wanted, lambda state: state == "succeeded")

    def _find(self, wanted: Wanted, state: Callable[[str], bool]) -> Job | None:
        """A job of exactly these settings in such a state."""
        for job in self._holdings.jobs_of(wanted.preset):
            if (
                job.preset == wanted.preset
                and state(job.state)
                and job.spec.get("seed", 0) == wanted.seed
                and not self._holdings.differences(job, wanted.preset, wanted.spec)
            ):
                return job
        return None
