"""Sweeps as they go in and come out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from service.jobs.schemas import JobFailure, Name, Naming
from service.store.sweeps import Member, Role, Tally
from service.store.tables import Sweep
from service.store.transitions import State

GRID_KEY = r"^[^.\x00]+(\.[^.\x00]+)*$"
GridKey = Annotated[str, StringConstraints(pattern=GRID_KEY, max_length=200)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

EXAMPLES: list[JsonValue] = [
    {
        "preset": "digits/lsnn",
        "overrides": {"training": {"epochs": 5}},
        "grid": {"training.rate_regulariser.strength": [0, 50, 300], "neuron": [{"kind": "lif"}, {"kind": "alif"}]},
        "seeds": [0, 1, 2],
        "max_parallel": 2,
        "name": "regulariser",
        "labels": {"study": "first"},
    },
    {"grid": {"preset": ["digits/lsnn", "renner/softmax-exp-4"]}, "seeds": [0, 1, 2, 3, 4]},
    {
        "preset": "renner/softmax-exp-4",
        "points": [
            {"task.n_outputs": 4, "dataset.n_features": 4},
            {"task.n_outputs": 8, "dataset.n_features": 8},
        ],
    },
]
"""Bodies that are accepted as they stand."""


class SweepSubmission(Naming):
    """Many jobs: one for each combination of grid values and each seed."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": EXAMPLES})

    spec: dict[str, Any] | None = Field(
        default=None, description="A job spec that all jobs start from (`/v1/schema/job`), less what the grid sets."
    )
    preset: Name | None = Field(default=None, description="Or the preset that they start from, see `/v1/presets`.")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Merged into the spec of the preset, or of each preset of the grid."
    )
    grid: dict[GridKey, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict,
        description=(
            "Paths into the spec, each with the values to take: all combinations are run. A value may be a whole part. "
            "A number in a path is that of an element of a list: `architecture.layers.0.n_units`. "
            "The path `preset` stands for the preset to start from. "
            "Without `grid` and `points` it is the grid of `preset`, if that one is a sweep."
        ),
    )
    points: list[Annotated[dict[GridKey, Any], Field(min_length=1)]] = Field(
        default_factory=list,
        description="For fields that change together: what each point sets. Every point is combined with the grid.",
    )
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(
        default=[0],
        description="Each grid point is run with each of them in place of the spec's own `seed`. Absent: those of "
        "`preset`, if that one is a sweep.",
    )
    max_parallel: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="Most jobs of the sweep that run at a time; null: no limit."
    )


class SweepView(BaseModel):
    """A sweep, and how far its jobs are now."""

    id: str
    name: str | None
    labels: dict[str, str]
    state: Literal["queued", "running", "finished"] = Field(
        description="`queued` until a job has started, `finished` once all have ended, whichever way."
    )
    counts: dict[State, int] = Field(description="Jobs by state.")
    n_jobs: int
    preset: str | None
    spec: dict[str, Any] | None = Field(description="As it was given.")
    overrides: dict[str, Any]
    grid: dict[str, list[Any]]
    points: list[dict[str, Any]]
    seeds: list[int]
    max_parallel: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]


class SweepJobView(BaseModel):
    """A job of a sweep. `links` leads to all else about it."""

    id: str
    role: Role = Field(
        description="`needed`: other jobs of the sweep build on its network; it has no row in the table."
    )
    point: dict[str, Any] = Field(description="The fields that its grid point sets.")
    seed: int
    preset: str | None
    state: State
    fraction: float | None = Field(description="Of all its steps, between 0 and 1.")
    error: JobFailure | None
    started_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]


class SweepDetail(SweepView):
    """A sweep with its jobs, by grid point and seed."""

    jobs: list[SweepJobView]


class Statistic(BaseModel):
    """One metric over the jobs of a grid point that succeeded and have it."""

    mean: float | None
    std: float | None = Field(description="Of the sample (n - 1); null for one value.")
    ci95: float | None = Field(description="Half the width of the 95 % confidence interval of the mean (Student's t).")
    n: int


class TableRow(BaseModel):
    """A grid point."""

    point: dict[str, Any]
    counts: dict[State, int] = Field(description="Its jobs by state. Only those that succeeded are in the statistics.")
    n_jobs: int
    n: int = Field(description="Jobs that succeeded.")
    statistics: dict[str, Statistic] = Field(description="By metric.")


class Table(BaseModel):
    """The final metrics of a sweep, a row for each grid point."""

    sweep: str
    state: Literal["queued", "running", "finished"]
    keys: list[str] = Field(description="The fields that the grid points set.")
    metrics: list[str] = Field(
        description="`metrics.SPLIT.NAME`, `firing.LAYER.rate_hz` and `cost.wall_time_s`, as far as a job has them."
    )
    rows: list[TableRow]


def view_of(sweep: Sweep, tally: Tally) -> SweepView:
    here = f"/v1/sweeps/{sweep.id}"
    request = sweep.request
    return SweepView(
        id=sweep.id,
        name=sweep.name,
        labels=sweep.labels,
        state=tally.state,
        counts=tally.by_state,
        n_jobs=tally.total,
        preset=request["preset"],
        spec=request["spec"],
        overrides=request["overrides"],
        grid=request["grid"],
        points=request["points"],
        seeds=request["seeds"],
        max_parallel=sweep.max_parallel,
        created_at=sweep.created_at,
        started_at=tally.started_at,
        finished_at=tally.finished_at,
        links={"self": here, "table": f"{here}/table", "jobs": f"/v1/jobs?sweep={sweep.id}"},
    )


def member_view_of(member: Member) -> SweepJobView:
    failed = member.state == "failed"
    here = f"/v1/jobs/{member.job_id}"
    return SweepJobView(
        id=member.job_id,
        role=member.role,
        point=member.point,
        seed=member.seed,
        preset=member.preset,
        state=member.state,
        fraction=(member.progress or {}).get("fraction"),
        error=JobFailure(code=member.error_code or "unknown", detail=member.error_detail or "") if failed else None,
        started_at=member.started_at,
        finished_at=member.finished_at,
        links={"self": here, "result": f"{here}/result"},
    )
