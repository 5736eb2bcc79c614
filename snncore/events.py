"""What a run tells while it goes on. `snncore.train` yields these; whoever consumes them decides where they go.

Steps count optimiser updates from the start of the run, epochs count from 1; both survive a resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Split: TypeAlias = Literal["train", "validation", "test"]
Better: TypeAlias = Literal["min", "max"]
CheckpointKind: TypeAlias = Literal["best", "last", "periodic"]


@dataclass(frozen=True, slots=True)
class Started:
    """First event of every run, resumed or not."""

    environment: dict[str, Any]
    """Versions, device, threads, engine, seed: what a number depends on besides the spec."""
    resumed_from_step: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """After every batch. Cheap to make; consumers thin them out as they like."""

    epoch: int
    epochs: int
    step: int
    steps: int
    samples_per_s: float
    eta_s: float

    @property
    def fraction(self) -> float:
        return self.step / self.steps


@dataclass(frozen=True, slots=True)
class Metric:
    """One point of one series. A resumed run yields the points after its checkpoint again, with the same values."""

    name: str
    split: Split
    step: int
    epoch: int
    value: float
    unit: str = ""
    better: Better | None = None


@dataclass(frozen=True, slots=True)
class Raster:
    """The spikes of one layer for one presented sample: `spikes` is bool `[T, N]`."""

    epoch: int
    step: int
    split: Split
    layer: str
    sample: int
    label: int | None
    prediction: int | None
    dt_ms: float
    spikes: NDArray[np.bool_]
    reading: dict[str, Any] | None = None
    """With the last layer of a sample: what was read of it, by window of time: `windows_ms` `[S][2]`, `outputs` and
    `targets` `[S][K]` in `unit`, `borders_hz` between low and high outputs (or None), `labels` and `predictions` `[S]`,
    or one for the whole sample (label None: nothing was asked), and `input` `[T]`, the input over time where it is a
    single current (or None)."""


@dataclass(frozen=True, slots=True)
class ReceptiveFields:
    """The incoming weights of the neurons of one layer: `weights` is float32 `[n_neurons, n_features]`, a copy."""

    epoch: int
    step: int
    layer: str
    shape: tuple[int, int, int] | None
    """Height, width and channels of what a row is a picture of, in the order C has; None where it is no picture."""
    weights: NDArray[np.float32]
    labels: list[int | None] | None = None
    """The class that each neuron stands for (None: none); None where neurons have no classes."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights as safetensors bytes. Only `last` carries what `train(resume=...)` needs to go on bit by bit."""

    kind: CheckpointKind
    epoch: int
    step: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the researcher. Warnings are what they should know before they trust the numbers."""

    level: Literal["info", "warning"]
    message: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Last event of a run that was asked to stop; a `last` checkpoint came just before it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Last event of a run that went to its end."""

    result: dict[str, Any]


Event: TypeAlias = Started | Progress | Metric | Raster | ReceptiveFields | Checkpoint | Log | Stopped | Finished
