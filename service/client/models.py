"""What the client returns. Fields that a newer service adds are kept; `raw` is the JSON as it came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
"""States in which a job stays until somebody resumes it."""


class Answer(BaseModel):
    """A JSON object of the service."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Self:
        answer = cls.model_validate(raw)
        answer._raw = raw
        return answer

    @property
    def raw(self) -> dict[str, Any]:
        return self._raw


class Progress(Answer):
    epoch: int | None = None
    epochs: int | None = None
    fraction: float | None = None
    eta_s: float | None = None
    samples_per_s: float | None = None


class JobError(Answer):
    code: str
    detail: str


class Job(Answer):
    """One training run."""

    id: str
    state: str
    name: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    spec: dict[str, Any] = Field(default_factory=dict)
    preset: str | None = None
    sweep: str | None = None
    preset_unchanged: bool | None = None
    needs: list[str] = Field(default_factory=list)
    needed_by: list[str] = Field(default_factory=list)
    attempt: int = 0
    progress: Progress | None = None
    warnings: list[str] = Field(default_factory=list)
    error: JobError | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    links: dict[str, str] = Field(default_factory=dict)

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def seconds(self) -> float | None:
        """From the first start to the end, as far as both are known."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class SweepJob(Answer):
    """A job of a sweep: what its grid point sets, its seed, and how far it is."""

    id: str
    role: str = "point"
    point: dict[str, Any] = Field(default_factory=dict)
    seed: int
    preset: str | None = None
    state: str
    fraction: float | None = None
    error: JobError | None = None


class Sweep(Answer):
    """Many jobs that were made together. `jobs` is empty in lists."""

    id: str
    state: str
    name: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    counts: dict[str, int]
    n_jobs: int
    preset: str | None = None
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    points: list[dict[str, Any]] = Field(default_factory=list)
    seeds: list[int] = Field(default_factory=list)
    max_parallel: int | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    jobs: list[SweepJob] = Field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        """Whether all its jobs have ended, whichever way."""
        return self.state == "finished"

    @property
    def n_ended(self) -> int:
        return sum(self.counts.get(state, 0) for state in TERMINAL)

    @property
    def all_succeeded(self) -> bool:
        return self.counts.get("succeeded", 0) == self.n_jobs


class Statistic(Answer):
    """A metric over the jobs of a grid point; `ci95` is half the width of the 95 % confidence interval of the mean."""

    mean: float | None
    std: float | None
    ci95: float | None
    n: int


class TableRow(Answer):
    """A grid point: what it sets, how many of its jobs succeeded, and what they came to, by metric."""

    point: dict[str, Any]
    counts: dict[str, int]
    n_jobs: int
    n: int
    statistics: dict[str, Statistic]


class SweepTable(Answer):
    """The final metrics of a sweep, a row for each grid point."""

    sweep: str
    state: str
    keys: list[str]
    metrics: list[str]
    rows: list[TableRow]


class Validation(Answer):
    """What a spec would become, and what it would cost."""

    spec: dict[str, Any]
    estimate: dict[str, Any]
    warnings: list[str] = Field(default_factory=list)


class Series(Answer):
    """Summary of one metric."""

    name: str
    split: str
    unit: str | None = None
    count: int
    last: float | None = None
    min: float | None = None
    max: float | None = None
    best_step: int | None = None


class Reading(Answer):
    """What was read out of a sample's last layer: a row for each window of time, a number for each output."""

    windows_ms: list[tuple[float, float]]
    outputs: list[list[float | None]]
    targets: list[list[float | None]] | None = None
    unit: str = ""
    labels: list[Any] = Field(default_factory=list)
    predictions: list[Any] = Field(default_factory=list)
    borders_hz: list[float | None] | None = None
    input: list[float | None] | None = None


class RasterInfo(Answer):
    """A recorded raster, without its spikes."""

    id: str
    epoch: int
    split: str
    layer: str
    sample: int
    label: int | None = None
    prediction: int | None = None
    n_steps: int
    n_neurons: int
    dt_ms: float
    n_spikes: int
    reading: Reading | None = None


class ReceptiveFieldsInfo(Answer):
    """The receptive fields of a layer at a moment, without their weights."""

    id: str
    epoch: int
    step: int
    layer: str
    n_neurons: int
    n_features: int
    shape: tuple[int, int, int] | None = None
    """Height, width and channels of the picture that the features are."""
    low: float | None = None
    high: float | None = None
    labels: list[int | None] | None = None


class CheckpointInfo(Answer):
    kind: str
    epoch: int
    step: int
    size: int
    sha256: str


class Preset(Answer):
    """A named experiment. `spec` is absent in lists."""

    name: str
    title: str
    reproduces: str | None = None
    source: str | None = None
    expected_minutes: float | None = None
    needs: dict[str, str] = Field(default_factory=dict)
    """Places of the spec that lack the id of a job, and the preset that this one is a job of."""
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    """Of a sweep: paths into the spec, each with the values to take."""
    seeds: list[int] = Field(default_factory=list)
    """Of a sweep: what each grid point is run with."""
    spec: dict[str, Any] | None = None


class Illustration(Answer):
    """A figure that can be had for any parameters in their ranges."""

    name: str
    title: str
    shows: str | None = None
    source: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    """JSON Schema, with a range and a default for each."""
    defaults: dict[str, Any] = Field(default_factory=dict)


class Dataset(Answer):
    """Something to train on. `spec` is the `dataset` of a job spec."""

    name: str
    kind: str
    state: str
    description: str = ""
    format: str | None = None
    shape: list[int] | None = None
    n_samples: int | None = None
    n_classes: int | None = None
    sizes: dict[str, int] | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    created_at: datetime | None = None
    spec: dict[str, Any] = Field(default_factory=dict)


class Worker(Answer):
    id: str
    hostname: str | None = None
    device: str | None = None


class LogLine(Answer):
    at: datetime | None = None
    level: str = "info"
    message: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job. `seq` is what a reader goes on from."""

    seq: int
    type: str
    data: dict[str, Any]
