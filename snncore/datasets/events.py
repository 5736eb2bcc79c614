"""Samples that are events: at a time, of an address."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EventSamples:
    """Event e comes `times_ms[e]` after the beginning of its sample, from `addresses[e]`; the events of recording i are
    those from `starts[i]` to `starts[i + 1]`. `y` `[n]` are the classes.

    The arrays of events may be files that are mapped read-only. Choosing samples copies none of them.
    """

    starts: NDArray[np.int64]
    times_ms: NDArray[np.float32]
    addresses: NDArray[np.int32]
    y: NDArray[np.int64]
    chosen: NDArray[np.int64] | None = None
    """Which recordings these samples are, `[n]`; None: all, in order."""
    neurons: NDArray[np.int32] | None = None
    """The input neuron of each address, where several share one; None: the address itself."""

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, which: NDArray[np.int64] | slice) -> EventSamples:
        chosen = np.arange(len(self.y)) if self.chosen is None else self.chosen
        return replace(self, y=self.y[which], chosen=chosen[which])

    def events(self, sample: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Times in ms and input neurons of the events of one of these samples."""
        recording = sample if self.chosen is None else self.chosen[sample]
        own = slice(self.starts[recording], self.starts[recording + 1])
        addresses = np.asarray(self.addresses[own])
        return np.asarray(self.times_ms[own]), addresses if self.neurons is None else self.neurons[addresses]
