"""Samples, and the three splits of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from snncore.datasets.events import EventSamples


@dataclass(frozen=True, slots=True)
class Samples:
    """`x` `[n, F]` as it is stored, to be multiplied by `scale`; `y` `[n]` the classes, or `[n, S]` a class for each
    frame (-1: none), or None.

    `x` may be a file that is mapped read-only: a slice of it reads nothing yet, an array of indices only those rows.
    """

    x: NDArray[np.float32] | NDArray[np.uint8]
    y: NDArray[np.int64] | None
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, which: NDArray[np.int64] | slice) -> Samples:
        return Samples(self.x[which], None if self.y is None else self.y[which], self.scale)


AnySamples: TypeAlias = Samples | EventSamples


@dataclass(frozen=True, slots=True)
class Splits:
    """What is trained on, what weights are chosen on, and what is reported."""

    train: AnySamples
    validation: AnySamples
    test: AnySamples
    fresh: Callable[[int], AnySamples] | None = None
    """Training samples for an epoch, where each has its own."""

    def train_in(self, epoch: int) -> AnySamples:
        """The training samples of an epoch."""
        return self.train if self.fresh is None else self.fresh(epoch)
