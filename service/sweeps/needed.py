"""The jobs that the presets of a sweep need: one of each for all of them, made with the sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service.datasets import contents
from service.jobs.embedding import at, embed_as, fill_in
from service.problems import FieldProblem
from service.store.engine import Database
from service.store.ids import new_id
from snncore.presets import Preset, get_preset
from snncore.spec import JobSpec, Problem, embeddable, needed_jobs, parse_job_spec


@dataclass(frozen=True, slots=True)
class NeededJob:
    """A job of a preset as it stands, whose trained network others of the sweep are made of."""

    id: str
    preset: str
    spec: JobSpec
    network: dict[str, Any]

    @property
    def needs(self) -> list[str]:
        return needed_jobs(self.spec)


def _problem(problem: FieldProblem) -> Problem:
    return Problem(tuple(problem.loc), problem.msg, problem.type)


class Provider:
    """Puts needed jobs in place, and remembers them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._made: dict[str, NeededJob] = {}

    def complete(self, document: dict[str, Any], preset: Preset | None) -> tuple[dict[str, Any], list[Problem]]:
        """`document` with what its preset leaves open, or with the network of the job that it names itself, and with
        the contents of an uploaded dataset.

        And what is wrong with naming these.
        """
        document, lacking = contents.fill_in(document, self._database)
        problems = [_problem(one) for one in lacking]
        for path, name in ({} if preset is None else preset.needs).items():
            steps = path.split(".")
            if isinstance(at(document, steps[:-1]), Mapping) and at(document, steps) is None:
                needed = self._provide(name)
                embedded = {"job": needed.id, "network": needed.network}
                return embed_as(document, {"architecture": {"embedded": embedded}}), problems
        document, unfit = fill_in(document, self._database)
        return document, problems + [_problem(one) for one in unfit]

    def _provide(self, name: str) -> NeededJob:
        if name not in self._made:
            preset = get_preset(name)
            document, _ = self.complete(preset.spec, preset)
            spec = parse_job_spec(document)
            self._made[name] = NeededJob(new_id("job"), name, spec, embeddable(spec).model_dump(mode="json"))
        return self._made[name]

    def behind(self, job_ids: Iterable[str]) -> list[NeededJob]:
        """Those of the jobs that were put in place, and those that these need, each before who needs it."""
        wanted = set(job_ids)
        found = []
        for needed in reversed(self._made.values()):  # what a job needs was made before it
            if needed.id in wanted:
                found.append(needed)
                wanted.update(needed.needs)
        return found[::-1]
