"""A presentation as the fused engine keeps it: layers, their synapses, their state, the spikes as bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snncore.engines.cpu.buffers import Buffers
from snncore.engines.interface import Layer
from snncore.neurons import NeuronParameters
from snncore.spikes import SpikeTrain
from snncore.synapses import Synapses

PADDING = 16
"""Neurons of a layer are padded to a multiple of this: a vector register of floats."""


def padded(n: int) -> int:
    return -(-n // PADDING) * PADDING


@dataclass(frozen=True, slots=True)
class Links:
    """Synapses: their delays, and where their weights stand among the tensors of the call."""

    delays: tuple[int, ...]
    where: slice
    synapses: Synapses

    @property
    def n_post(self) -> int:
        return self.synapses.weight.shape[0]

    @property
    def n_pre(self) -> int:
        return self.synapses.weight.shape[1]

    @property
    def longest(self) -> int:
        return max(self.delays)

    def by_sender(self, tensors: Sequence[Tensor]) -> Tensor:
        """`[n_delays, n_pre, n_post]`, both padded with zeros."""
        weights = tensors[self.where]
        rows = weights[0].new_zeros(len(weights), padded(self.n_pre), padded(self.n_post))
        for row, weight in zip(rows, weights, strict=True):
            row[: self.n_pre, : self.n_post] = weight.T
        return rows

    def by_receiver(self, tensors: Sequence[Tensor]) -> Tensor:
        """`[n_delays, n_post, n_pre]`, both padded with zeros."""
        weights = tensors[self.where]
        rows = weights[0].new_zeros(len(weights), padded(self.n_post), padded(self.n_pre))
        for row, weight in zip(rows, weights, strict=True):
            row[: self.n_post, : self.n_pre] = weight
        return rows


@dataclass(slots=True)
class Part:
    """A layer as the kernels see it."""

    layer: Layer
    input: Links | None
    recurrence: Links | None
    bias: int | None
    neurons: slice

    @property
    def n(self) -> int:
        return self.layer.n_neurons

    @property
    def stride(self) -> int:
        return padded(self.n)

    @property
    def n_before(self) -> int:
        return self.input.n_pre if self.input else self.n

    @property
    def parameters(self) -> NeuronParameters:
        return self.layer.neurons

    def lead(self, after: Links | None) -> int:
        """Steps of silence that stand before the first in the bits of the layer's spikes: for every delay, and one for
        the spikes that the first step resets from."""
        return max(1, self.recurrence.longest if self.recurrence else 0, after.longest if after else 0)

    def spikes(self, words: Tensor) -> SpikeTrain:
        return SpikeTrain(words, 0, self.n)


@dataclass(slots=True)
class State:
    """`[B, stride]` each: what a layer has carried up to a step."""

    v: Tensor
    a: Tensor
    wait: Tensor

    @classmethod
    def at_rest(cls, batch: int, stride: int, dtype: torch.dtype) -> State:
        v, a = (torch.zeros(batch, stride, dtype=dtype) for _ in range(2))
        return cls(v, a, torch.zeros(batch, stride, dtype=torch.int32))

    def copy(self, neurons: NeuronParameters) -> State:
        """What a chunk can be begun from again: what these neurons never change is not copied."""
        a = self.a.clone() if neurons.adaptive else self.a
        return State(self.v.clone(), a, self.wait.clone() if neurons.refractory else self.wait)


@dataclass(slots=True)
class Given:
    """Gradients from outside, padded: of the totals, of the weighted sum, of the spikes, of the projection."""

    totals: list[Tensor]
    weighted: Tensor | None
    z: Tensor | None
    projected: Tensor | None


@dataclass(slots=True)
class Run:
    """One presentation."""

    n_steps: int
    batch: int
    parts: list[Part]
    projection: Links | None
    words: Tensor | None
    """The input's spikes, if it is spikes."""
    buffers: Buffers
    chunk: int
    cut: bool
    wanted: bool
    keep_z: bool
    keep_v: bool
    leads: list[int] = field(default_factory=list)
    bits: list[Tensor] = field(default_factory=list)
    """Spikes of each layer, `[lead + T, B, W]`."""
    v: Tensor | None = None
    spent: bool = False

    @property
    def words_of(self) -> list[Tensor]:
        return [bits[lead:] for bits, lead in zip(self.bits, self.leads, strict=True)]

    def after(self, i: int) -> Links | None:
        """What the spikes of layer `i` go through next."""
        return self.parts[i + 1].input if i + 1 < len(self.parts) else self.projection

    def tapes(self, dtype: torch.dtype) -> list[Tensor]:
        """A tape for each layer, long enough for a chunk."""
        return [self.buffers.take(self.chunk, self.batch, part.stride, dtype=dtype) for part in self.parts]

    def chunks(self) -> list[tuple[int, int]]:
        return [(start, min(start + self.chunk, self.n_steps)) for start in range(0, self.n_steps, self.chunk)]
