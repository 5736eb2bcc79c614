"""A presented sample: the spikes of its layers, and what was read out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.client.arrays import Spikes
from service.client.models import RasterInfo, Reading

Panel = tuple[RasterInfo, Spikes]


@dataclass(frozen=True, slots=True)
class Sample:
    """`panels` in the order in which spikes pass the layers."""

    panels: Sequence[Panel]
    reading: Reading

    @property
    def outputs(self) -> NDArray[np.float64]:
        """`[windows, K]`; what was not finite is NaN."""
        return numbers(self.reading.outputs)

    @property
    def targets(self) -> NDArray[np.float64] | None:
        return None if self.reading.targets is None else numbers(self.reading.targets)

    @property
    def n_outputs(self) -> int:
        return int(self.outputs.shape[1])

    @property
    def end_ms(self) -> float:
        """When the presentation ends."""
        ends = [info.n_steps * info.dt_ms for info, _ in self.panels]
        return max([*ends, *(stop for _, stop in self.reading.windows_ms)])

    def label(self, window: int) -> int | None:
        """The right answer of a window; None where none is asked."""
        return _class(self.reading.labels, window)

    def prediction(self, window: int) -> int | None:
        return _class(self.reading.predictions, window)


def numbers(rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)


def _class(answers: Sequence[object], window: int) -> int | None:
    answer = answers[window] if window < len(answers) else None
    return answer if isinstance(answer, int) and answer >= 0 else None
