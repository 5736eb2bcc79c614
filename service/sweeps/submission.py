"""From the body of a request to the jobs of a sweep, all of them checked before any is stored."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import ValidationError

from service.jobs.schemas import Estimate
from service.jobs.submission import find_preset, over_limits, problems_of, refusal
from service.problems import FieldProblem, Problem, invalid
from service.settings import Settings
from service.sweeps.grid import PRESET, Choice, Point, changes_of, describe, expand, misuse, size, values_of
from service.sweeps.schemas import SweepSubmission
from snncore.spec import JobSpec, SpecError, deep_merge, estimate, parse_job_spec, warnings_about
from snncore.spec import Problem as SpecProblem


@dataclass(frozen=True, slots=True)
class PlannedPoint:
    """A grid point that passed every test short of the queue's. Its seeds make a job each."""

    position: int
    values: dict[str, Any]
    preset: str | None
    spec: dict[str, Any]
    """Resolved."""
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a sweep is made from."""

    request: SweepSubmission
    points: list[PlannedPoint]


def read_sweep(body: Mapping[str, Any], settings: Settings) -> Plan:
    """The sweep that a body describes; 422 with every problem found."""
    try:
        request = SweepSubmission.model_validate(body)
    except ValidationError as error:
        raise refusal(problems_of(error)) from None
    if problems := list(misuse(request)):
        raise refusal(problems)
    n_jobs = size(request) * len(request.seeds)
    if n_jobs > settings.max_sweep_jobs:
        msg = (
            f"{n_jobs} jobs are over the limit max_sweep_jobs = {settings.max_sweep_jobs}; "
            "take fewer values, points or seeds"
        )
        raise invalid(["grid"], msg, "limit_exceeded", "limit_exceeded")
    return Plan(request, _planned(request, settings))


@dataclass(frozen=True, slots=True)
class _Origin:
    """What the spec of a point starts from, and what is wrong with that by itself."""

    preset: str | None
    document: dict[str, Any]
    problems: frozenset[SpecProblem] = frozenset()


@dataclass(slots=True)
class _Findings:
    """What is wrong with the points. The same about many points is said once."""

    request: SweepSubmission
    by_sense: dict[tuple[Any, ...], FieldProblem] = field(default_factory=dict)

    def blame(self, problem: SpecProblem, point: Point, origin: _Origin) -> None:
        """Note a problem at the place of the request that it comes from."""
        where = ".".join(map(str, problem.loc))
        nearest = max(point, key=lambda choice: _shared(choice.path, problem.loc), default=None)
        if nearest is None or problem in origin.problems:
            of_preset = [choice for choice in point if choice.key == PRESET]
            self._note(self._as_written(problem.loc), of_preset, problem.msg, problem)
        elif problem.loc[: len(nearest.path)] == nearest.path:
            below = problem.loc[len(nearest.path) :]
            self._note((*nearest.loc, *below), [nearest], problem.msg, problem)
        elif len(point) == 1 or _shared(nearest.path, problem.loc):
            self._note(nearest.loc, list(point), f"{where}: {problem.msg}", problem)
        else:
            self._note(nearest.loc[:1], list(point), f"{where}: {problem.msg}", problem)

    def _note(self, loc: tuple[str | int, ...], by: list[Choice], msg: str, problem: SpecProblem) -> None:
        cause = f"with {describe(values_of(tuple(by)))}: " if by else ""
        found = FieldProblem(loc=list(loc), msg=cause + msg, type=problem.type)
        self.by_sense.setdefault((loc, problem), found)

    def _as_written(self, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
        if loc[:1] == ("estimate",):
            return loc
        if self.request.spec is not None:
            return ("spec", *loc)
        return ("overrides", *loc) if loc and loc[0] in self.request.overrides else loc

    def refuse(self) -> None:
        found = list(self.by_sense.values())
        if found:
            problem = refusal(found)
            if all(one.type == "limit_exceeded" for one in found):
                problem.code = "limit_exceeded"
            raise problem


def _shared(path: tuple[str, ...], loc: tuple[str | int, ...]) -> int:
    """How many steps from the outside two places have in common."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(path, loc, strict=False)))


def _planned(request: SweepSubmission, settings: Settings) -> list[PlannedPoint]:
    points = expand(request)
    origins = _origins(request, points)
    findings = _Findings(request)
    planned: dict[str, PlannedPoint] = {}
    for position, point in enumerate(points):
        values = values_of(point)
        origin = origins[values.get(PRESET, request.preset)]
        try:
            spec = parse_job_spec(deep_merge(origin.document, changes_of(point)))
        except SpecError as error:
            for problem in error.problems:
                findings.blame(problem, point, origin)
            continue
        for problem in _too_large(spec, settings):
            findings.blame(problem, point, origin)
        resolved = spec.model_dump(mode="json")
        identity = json.dumps([origin.preset, resolved], sort_keys=True)
        if identity in planned:
            msg = f"resolves to the same job as the point with {describe(planned[identity].values)}"
            findings.blame(SpecProblem((), msg, "duplicate"), point, origin)
        planned.setdefault(identity, PlannedPoint(position, values, origin.preset, resolved, warnings_about(spec)))
    findings.refuse()
    return list(planned.values())


def _origins(request: SweepSubmission, points: list[Point]) -> dict[str | None, _Origin]:
    """What the points start from, by preset (None: the spec)."""
    if request.spec is not None:
        return {None: _origin(None, request.spec)}
    named: dict[tuple[str | int, ...], Any] = {} if request.preset is None else {("preset",): request.preset}
    named |= {choice.loc: choice.value for point in points for choice in point if choice.key == PRESET}
    origins: dict[str | None, _Origin] = {}
    problems: list[FieldProblem] = []
    for loc, name in named.items():
        if not isinstance(name, str):
            problems.append(FieldProblem(loc=list(loc), msg="has to be the name of a preset", type="string_type"))
        elif name not in origins:
            try:
                preset = find_preset(name, list(loc))
            except Problem as problem:
                problems += problem.errors or []
            else:
                origins[name] = _origin(preset.name, deep_merge(preset.spec, request.overrides))
    if problems:
        raise refusal(problems)
    return origins


def _origin(preset: str | None, document: dict[str, Any]) -> _Origin:
    try:
        parse_job_spec(document)
    except SpecError as error:
        return _Origin(preset, document, frozenset(error.problems))
    return _Origin(preset, document)


def _too_large(spec: JobSpec, settings: Settings) -> Iterator[SpecProblem]:
    for problem in over_limits(Estimate(**asdict(estimate(spec))), settings):
        yield SpecProblem(tuple(problem.loc), problem.msg, problem.type)
