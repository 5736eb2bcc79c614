"""What a running attempt hands to the store: plain rows, free of anything that trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MetricRow:
    name: str
    split: str
    step: int
    epoch: int
    value: float
    unit: str = ""
    better: Literal["min", "max"] | None = None


@dataclass(frozen=True, slots=True)
class RasterRow:
    epoch: int
    step: int
    split: str
    layer: str
    sample: int
    label: int | None
    prediction: int | None
    dt_ms: float
    spikes: NDArray[np.bool_]
    """bool `[T, N]`"""
    reading: dict[str, Any] | None = None
    """What was read out of the layer; JSON."""


@dataclass(frozen=True, slots=True)
class ReceptiveFieldsRow:
    epoch: int
    step: int
    layer: str
    shape: tuple[int, int, int] | None
    weights: NDArray[np.float32]
    """float32 `[n_neurons, n_features]`"""
    labels: list[int | None] | None = None


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    kind: Literal["best", "last", "periodic"]
    epoch: int
    step: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LogRow:
    level: Literal["info", "warning", "error"]
    message: str


@dataclass(slots=True)
class RecordBatch:
    """What came up since the last write. An empty one is fine."""

    metrics: list[MetricRow] = field(default_factory=list)
    rasters: list[RasterRow] = field(default_factory=list)
    receptive_fields: list[ReceptiveFieldsRow] = field(default_factory=list)
    checkpoints: list[CheckpointRow] = field(default_factory=list)
    logs: list[LogRow] = field(default_factory=list)
    progress: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        recorded = self.metrics or self.rasters or self.receptive_fields or self.checkpoints
        return bool(recorded or self.logs or self.progress is not None or self.warnings)
