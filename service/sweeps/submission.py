"""From the body of a request to the jobs of a sweep, all of them checked before any is stored."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import ValidationError

from service.datasets.contents import CONTENTS
from service.jobs.embedding import NETWORK
from service.jobs.schemas import Estimate
from service.jobs.submission import find_preset, over_limits, overridden, problems_of, refusal
from service.problems import FieldProblem, Problem, invalid
from service.settings import Settings
from service.store.engine import Database
from service.sweeps.grid import PRESET, Choice, Point, changes_of, describe, expand, misuse, size, values_of
from service.sweeps.needed import NeededJob, Provider
from service.sweeps.schemas import SweepSubmission
from snncore.presets import Preset
from snncore.spec import (
    JobSpec,
    SpecError,
    deep_merge,
    estimate,
    needed_jobs,
    parse_job_spec,
    uploaded_sha256,
    warnings_about,
)
from snncore.spec import Problem as SpecProblem

FILLED_IN = (NETWORK, CONTENTS)
"""What the service writes into a spec."""


@dataclass(frozen=True, slots=True)
class PlannedPoint:
    """A grid point that passed every test short of the queue's. Its seeds make a job each."""

    position: int
    values: dict[str, Any]
    preset: str | None
    spec: dict[str, Any]
    """Resolved."""
    needs: list[str]
    """Jobs that have to succeed first."""
    dataset_sha256: str | None
    """Of the uploaded file that they train on."""
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a sweep is made from."""

    request: SweepSubmission
    needed: list[NeededJob]
    """What the presets of the points need, each before who needs it."""
    points: list[PlannedPoint]


def read_sweep(body: Mapping[str, Any], settings: Settings, database: Database) -> Plan:
    """The sweep that a body describes; 422 with every problem found."""
    try:
        request = SweepSubmission.model_validate(body)
    except ValidationError as error:
        raise refusal(problems_of(error)) from None
    if problems := list(misuse(request)):
        raise refusal(problems)
    request = _as_preset_has_it(request)
    n_jobs = size(request) * len(request.seeds)
    _demand_few(n_jobs, settings)
    provider = Provider(database)
    points = _planned(request, settings, provider)
    needed = provider.behind(job_id for point in points for job_id in point.needs)
    _demand_few(n_jobs + len(needed), settings)
    _demand_affordable(needed, settings)
    return Plan(request, needed, points)


def _as_preset_has_it(request: SweepSubmission) -> SweepSubmission:
    """With the grid and the seeds of the preset, where that has some and the request has none of its own."""
    if request.preset is None:
        return request
    preset = find_preset(request.preset, ["preset"])
    taken: dict[str, Any] = {}
    if preset.grid and not request.model_fields_set & {"grid", "points"}:
        taken["grid"] = dict(preset.grid)
    if preset.seeds and "seeds" not in request.model_fields_set:
        taken["seeds"] = list(preset.seeds)
    return request.model_copy(update=taken)


def _demand_few(n_jobs: int, settings: Settings) -> None:
    if n_jobs > settings.max_sweep_jobs:
        limit = f"max_sweep_jobs = {settings.max_sweep_jobs}"
        msg = f"{n_jobs} jobs are over the limit {limit}; take fewer values, points or seeds"
        raise invalid(["grid"], msg, "limit_exceeded", "limit_exceeded")


def _demand_affordable(needed: list[NeededJob], settings: Settings) -> None:
    """The jobs that presets need have the limits of all others."""
    for job in needed:
        for problem in _too_large(job.spec, settings):
            msg = f"the preset {job.preset}, which is needed, is too large: {problem.msg}"
            raise invalid(["preset"], msg, "limit_exceeded", "limit_exceeded")


@dataclass(frozen=True, slots=True)
class _Origin:
    """What the spec of a point starts from, and what is wrong with that by itself."""

    preset: Preset | None
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
        elif _shared(nearest.path, problem.loc) == len(nearest.path):
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
    pairs = zip(path, map(str, loc), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _planned(request: SweepSubmission, settings: Settings, provider: Provider) -> list[PlannedPoint]:
    points = expand(request)
    origins = _origins(request, points, provider)
    findings = _Findings(request)
    planned: dict[str, PlannedPoint] = {}
    for position, point in enumerate(points):
        values = values_of(point)
        origin = origins[values.get(PRESET, request.preset)]
        spec, problems = _parsed(origin.document, changes_of(point), origin.preset, provider)
        for problem in problems:
            findings.blame(problem, point, origin)
        if spec is None:
            continue
        for problem in _too_large(spec, settings):
            findings.blame(problem, point, origin)
        resolved = spec.model_dump(mode="json")
        preset = None if origin.preset is None else origin.preset.name
        identity = json.dumps([preset, resolved], sort_keys=True)
        if identity in planned:
            msg = f"resolves to the same job as the point with {describe(planned[identity].values)}"
            findings.blame(SpecProblem((), msg, "duplicate"), point, origin)
        fit = PlannedPoint(
            position,
            values,
            preset,
            resolved,
            needed_jobs(spec),
            uploaded_sha256(spec.dataset),
            warnings_about(spec),
        )
        planned.setdefault(identity, fit)
    findings.refuse()
    return list(planned.values())


def _parsed(
    document: dict[str, Any], changes: dict[str, Any], preset: Preset | None, provider: Provider
) -> tuple[JobSpec | None, list[SpecProblem]]:
    """The job of a document with changes, if there is nothing wrong with it, and what is."""
    unfit: list[SpecProblem] = []
    try:
        document, unfit = provider.complete(deep_merge(document, changes), preset)
        spec = parse_job_spec(document)
    except SpecError as error:
        # The network of a job that does not fit, and what is in an upload, are not the client's to fill in.
        return None, unfit + [problem for problem in error.problems if not (unfit and problem.loc in FILLED_IN)]
    return (None if unfit else spec), unfit


def _origins(request: SweepSubmission, points: list[Point], provider: Provider) -> dict[str | None, _Origin]:
    """What the points start from, by preset (None: the spec)."""
    if request.spec is not None:
        return {None: _origin(None, request.spec, provider)}
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
                document = overridden(preset, request.overrides)
            except Problem as problem:
                problems += problem.errors or []
            else:
                origins[name] = _origin(preset, document, provider)
    if problems:
        raise refusal(problems)
    return origins


def _origin(preset: Preset | None, document: dict[str, Any], provider: Provider) -> _Origin:
    _, problems = _parsed(document, {}, preset, provider)
    return _Origin(preset, document, frozenset(problems))


def _too_large(spec: JobSpec, settings: Settings) -> Iterator[SpecProblem]:
    for problem in over_limits(Estimate(**asdict(estimate(spec))), settings):
        yield SpecProblem(tuple(problem.loc), problem.msg, problem.type)
