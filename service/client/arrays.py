"""What the client returns as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of one metric; a value that was not finite is NaN."""

    name: str
    split: str
    step: NDArray[np.int64]
    value: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spikes:
    """Spikes of a raster (or of a window of it), in order of time."""

    times_ms: NDArray[np.float32]
    neurons: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class ReceptiveFields:
    """Incoming weights `[n, n_features]` of neurons. `labels` is the class of each, -1 for none; None where there are
    no classes."""

    neurons: NDArray[np.uint32]
    weights: NDArray[np.float32]
    labels: NDArray[np.int64] | None
