"""Jobs as they go in and come out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.store.events import StoredEvent
from service.store.needs import Needs
from service.store.tables import Job, MetricSeries
from service.store.transitions import State

MAX_LABELS = 64
LABEL_KEY = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LabelKey = Annotated[str, StringConstraints(pattern=LABEL_KEY)]
LabelValue = Annotated[str, StringConstraints(max_length=255)]
Labels = Annotated[
    dict[LabelKey, LabelValue],
    Field(max_length=MAX_LABELS, description="Your own key-value pairs to find the job by.", examples=[{"study": "1"}]),
]


class Naming(BaseModel):
    """What a submission says besides the spec."""

    model_config = ConfigDict(strict=True)

    name: Name | None = Field(default=None, description="For people; need not be unique.")
    labels: Labels = Field(default_factory=dict)


class PresetJob(Naming):
    """A job made from a preset."""

    model_config = ConfigDict(strict=True, extra="forbid")

    preset: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="Name of the preset, see `/v1/presets`."
    )
    overrides: dict[str, Any] = Field(
        default_factory=dict,
        description="Merged into the preset's spec, part by part. A part whose `kind` changes is replaced as a whole. "
        'An element of a list goes by its number: `{"layers": {"0": {"n_units": 20}}}`.',
    )


class JobProgress(BaseModel):
    epoch: int | None = None
    epochs: int | None = None
    fraction: float | None = Field(default=None, description="Of all steps, between 0 and 1.")
    eta_s: float | None = None
    samples_per_s: float | None = None

    model_config = ConfigDict(extra="allow")


class SeriesSummary(BaseModel):
    """Where a series stands."""

    last: float | None
    best: float | None = Field(description="Null for series of which neither more nor less is better.")
    best_step: int | None


class JobFailure(BaseModel):
    code: str
    detail: str


class JobView(BaseModel):
    """A training run."""

    id: str
    name: str | None
    labels: dict[str, str]
    state: State
    spec: dict[str, Any] = Field(description="Resolved: every default is filled in.")
    preset: str | None
    preset_unchanged: bool | None = Field(
        default=None,
        description="Whether the spec is the preset's as it stands. Null without a preset that this version knows.",
    )
    sweep: str | None = Field(default=None, description="Id of the sweep that the job is part of.")
    needs: list[str] = Field(
        default_factory=list, description="Jobs whose trained networks it is made of; it waits until they succeeded."
    )
    needed_by: list[str] = Field(default_factory=list, description="Jobs that are made of its trained network.")
    attempt: int = Field(description="How often a worker has started it.")
    progress: JobProgress | None
    summary: dict[str, dict[str, SeriesSummary]] = Field(description="Of each series, by split and name.")
    warnings: list[str]
    error: JobFailure | None = Field(description="Of a failed job.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]


class Estimate(BaseModel):
    parameters: int
    steps: int = Field(description="Optimiser updates.")
    peak_memory_bytes: int
    flops: int


class Validation(BaseModel):
    """What a spec resolves to and what it will cost."""

    spec: dict[str, Any]
    estimate: Estimate
    warnings: list[str]


class LogLine(BaseModel):
    seq: int
    at: datetime
    level: str
    message: str


class Reference(BaseModel):
    """The published number that a preset reproduces, and how far this run is from it."""

    preset: str
    metric: str
    split: str
    published: float
    source: str
    ceiling: float | None = Field(description="What could be reached at best.")
    value: float | None
    difference: float | None = Field(description="This run minus the published number.")
    same_spec: bool = Field(description="Whether the job ran the preset as it stands.")


class Confusion(BaseModel):
    """How often one class was taken for another."""

    true: int
    predicted: int
    count: int
    share: float = Field(description="Of all samples of the class.")


class Result(BaseModel):
    """What a job came to. Of a job that did not get to its end, as much as it recorded."""

    model_config = ConfigDict(extra="allow")

    job_id: str
    state: State
    metrics: dict[str, Any] = Field(description="Final values by split and name.")
    confusion_matrix: list[list[int]] | None = Field(description="Rows are classes, columns predictions.")
    most_confused: list[Confusion] | None = Field(
        description="The most frequent entries of the confusion matrix off its diagonal, the most frequent first."
    )
    firing: dict[str, Any] | None = Field(description="Mean rate in Hz and share of silent neurons, by layer.")
    cost: dict[str, Any] | None = Field(
        description="Of the run: `wall_time_s`, `samples_per_s`, `peak_memory_bytes`. Of a test sample: "
        "`spikes_per_sample` by layer, `synaptic_operations_per_sample` and `accumulates_per_sample` (one for each "
        "spike and synapse that it goes through), `multiply_accumulates_per_sample` (products with numbers), and "
        "`energy`, an estimate of what these take: `multiply_accumulate_pj` and `accumulate_pj` from the spec's "
        "`recording.energy`, `total_nj`, `by_layer_nj`, `dense_nj` (an ordinary network with the same synapses) and "
        "`ratio`, total_nj / dense_nj."
    )
    reference: Reference | None
    environment: dict[str, Any] | None


def summary_of(series: list[MetricSeries]) -> dict[str, dict[str, SeriesSummary]]:
    found: dict[str, dict[str, SeriesSummary]] = {}
    for one in series:
        best = {"min": one.min, "max": one.max}.get(one.better or "")
        found.setdefault(one.split, {})[one.name] = SeriesSummary(last=one.last, best=best, best_step=one.best_step)
    return found


LINKS = ("events", "logs", "result", "metrics", "rasters", "receptive-fields", "checkpoints")


def view_of(
    job: Job, labels: dict[str, str], series: list[MetricSeries], neighbours: Needs, unchanged: bool | None
) -> JobView:
    failed = job.state == "failed"
    here = f"/v1/jobs/{job.id}"
    return JobView(
        id=job.id,
        name=job.name,
        labels=labels,
        state=job.state,
        spec=job.spec,
        preset=job.preset,
        preset_unchanged=unchanged,
        sweep=job.sweep,
        needs=neighbours.needs,
        needed_by=neighbours.needed_by,
        attempt=job.attempt,
        progress=None if job.progress is None else JobProgress.model_validate(job.progress),
        summary=summary_of(series),
        warnings=job.warnings,
        error=JobFailure(code=job.error_code or "unknown", detail=job.error_detail or "") if failed else None,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        links={
            "self": here,
            **{name.replace("-", "_"): f"{here}/{name}" for name in LINKS},
            "needs": f"/v1/jobs?needed_by={job.id}",
            "needed_by": f"/v1/jobs?needs={job.id}",
        },
    )


def log_line_of(event: StoredEvent) -> LogLine:
    return LogLine(seq=event.seq, at=event.at, level=event.data["level"], message=event.data["message"])
