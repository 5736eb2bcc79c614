"""From the body of a request to a job that may be queued."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from service.datasets import contents
from service.jobs import embedding
from service.jobs.schemas import Estimate, Naming, PresetJob
from service.problems import FieldProblem, Problem
from service.settings import Settings
from service.store.engine import Database
from service.store.errors import DatasetGone, JobNotFound, NeededJobEnded
from snncore.presets import Preset, UnknownPreset, get_preset
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


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that passed every test short of the queue's."""

    name: str | None
    labels: dict[str, str]
    preset: str | None
    spec: dict[str, Any]
    """Resolved."""
    needs: list[str]
    """Jobs that have to succeed first."""
    dataset_sha256: str | None
    """Of the uploaded file that it trains on."""
    estimate: Estimate
    warnings: list[str]


def read_submission(body: Mapping[str, Any], settings: Settings, database: Database) -> Submission:
    """The job that a body describes; 422 with every problem found."""
    if "preset" in body:
        request = _preset_job(body)
        preset = find_preset(request.preset, ["preset"])
        document = overridden(preset, request.overrides)
        problems = list(_missing_needs(preset, document))
        return _priced(request, preset.name, _parse(document, request.overrides, problems, database), settings)
    own = {key: body[key] for key in ("name", "labels") if key in body}
    document = {key: value for key, value in body.items() if key not in own}
    naming, problems = _naming(own)
    return _priced(naming, None, _parse(document, {}, problems, database), settings)


def _naming(own: Mapping[str, Any]) -> tuple[Naming, list[FieldProblem]]:
    try:
        return Naming.model_validate(own), []
    except ValidationError as error:
        return Naming(), problems_of(error)


def _preset_job(body: Mapping[str, Any]) -> PresetJob:
    try:
        return PresetJob.model_validate(body)
    except ValidationError as error:
        problems = problems_of(error)
        for problem in problems:
            if problem.type == "extra_forbidden":
                problem.msg = "is not known beside a preset; changes to its spec go into `overrides`"
        raise refusal(problems) from None


def find_preset(name: str, loc: list[str | int]) -> Preset:
    """The preset that the body names at `loc`."""
    try:
        return get_preset(name)
    except UnknownPreset as error:
        raise refusal([FieldProblem(loc=loc, msg=str(error.args[0]), type="unknown_preset")]) from None


def overridden(preset: Preset, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a preset with the `overrides` of the body."""
    try:
        return deep_merge(preset.spec, overrides)
    except SpecError as error:
        raise refusal(
            [FieldProblem(loc=["overrides", *one.loc], msg=one.msg, type=one.type) for one in error.problems]
        ) from None


def _missing_needs(preset: Preset, document: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """What a preset leaves open because it is the id of a job, and the overrides left open too."""
    for path, needed in preset.needs.items():
        steps = path.split(".")
        if embedding.at(document, steps) is None:
            msg = f"needs the id of a finished job of the preset {needed!r}; `spikesmith submit` runs the chain"
            yield FieldProblem(loc=["overrides", *steps], msg=msg, type="needed_job_missing")


def _parse(
    document: dict[str, Any], overrides: Mapping[str, Any], others: list[FieldProblem], database: Database
) -> JobSpec:
    document, unfit = embedding.fill_in(document, database)
    document, lacking = contents.fill_in(document, database)
    problems = [*others, *(_relocated(problem, overrides) for problem in (*unfit, *lacking))]
    told = [problem.loc[1:] if problem.loc[0] == "overrides" else problem.loc for problem in problems if problem.loc]
    try:
        spec = parse_job_spec(document)
    except SpecError as error:
        for problem in error.problems:
            # What the service could not fill in is not the client's to mend: what it comes from is.
            left_out = problem.loc in (embedding.NETWORK, contents.CONTENTS) and problem.type == "missing"
            if not left_out and list(problem.loc) not in told:
                loc = _as_written(problem.loc, overrides)
                problems.append(FieldProblem(loc=loc, msg=problem.msg, type=problem.type))
        raise refusal(problems) from None
    if problems:
        raise refusal(problems)
    return spec


def _relocated(problem: FieldProblem, overrides: Mapping[str, Any]) -> FieldProblem:
    return problem.model_copy(update={"loc": _as_written(problem.loc, overrides)})


def _as_written(loc: Sequence[str | int], overrides: Mapping[str, Any]) -> list[str | int]:
    """The place of a problem in the body: under `overrides` where it came from there."""
    return ["overrides", *loc] if loc and loc[0] in overrides else list(loc)


def problems_of(error: ValidationError) -> list[FieldProblem]:
    """What a model of the body does not like about it."""
    found = []
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        loc = [step for step in one["loc"] if step != "[key]"]
        found.append(FieldProblem(loc=loc, msg=one["msg"], type=one["type"]))
    return found


def overtaken(error: JobNotFound | NeededJobEnded | DatasetGone, preset: str | None) -> Problem:
    """A needed job was removed or ended, or a dataset removed, between the reading of a submission and its queueing."""
    if isinstance(error, DatasetGone):
        problem = contents.gone()
    elif isinstance(error, NeededJobEnded):
        problem = embedding.given_up(error.job_id, error.state)
    else:
        problem = embedding.unknown(error.job_id)
    return refusal([problem if preset is None else _relocated(problem, {"architecture": {}, "dataset": {}})])


def refusal(problems: list[FieldProblem]) -> Problem:
    """422 with all places that have to change."""
    shown = "; ".join(f"{'.'.join(map(str, problem.loc)) or 'spec'}: {problem.msg}" for problem in problems[:5])
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    return Problem(422, "invalid_spec", shown + more, errors=problems)


def _priced(naming: Naming, preset: str | None, spec: JobSpec, settings: Settings) -> Submission:
    cost = Estimate(**asdict(estimate(spec)))
    if problems := list(over_limits(cost, settings)):
        raise Problem(422, "limit_exceeded", "; ".join(problem.msg for problem in problems), errors=problems)
    return Submission(
        name=naming.name,
        labels=dict(naming.labels),
        preset=preset,
        spec=spec.model_dump(mode="json"),
        needs=needed_jobs(spec),
        dataset_sha256=uploaded_sha256(spec.dataset),
        estimate=cost,
        warnings=warnings_about(spec),
    )


def over_limits(cost: Estimate, settings: Settings) -> Iterable[FieldProblem]:
    """What a job would cost more than one job may."""
    for quantity, limit, advice in (
        ("peak_memory_bytes", "max_peak_memory_bytes", "take a smaller batch_size, network or duration_ms"),
        ("steps", "max_total_steps", "take fewer epochs or a larger batch_size"),
    ):
        asked, most = getattr(cost, quantity), getattr(settings, limit)
        if asked > most:
            msg = f"the estimated {quantity} of {asked} is over the limit {limit} = {most}; {advice}"
            yield FieldProblem(loc=["estimate", quantity], msg=msg, type="limit_exceeded")
