"""What an engine is given and what it gives back.

An engine is one way to present input to spiking layers, from rest to end. The reference engine is a plain loop under
autograd, and the oracle of the others: they come to the same spikes and to the same gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from snncore.neurons import NeuronParameters
from snncore.spikes import SpikeTrain
from snncore.surrogates import SpikeFunction, SurrogateSpike
from snncore.synapses import Synapses

Input: TypeAlias = Tensor | SpikeTrain
"""Numbers `[T, B, M]`, or spikes of M neurons."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A spiking layer: synapses from what comes before, neurons, synapses back onto themselves.

    Without `synapses`, the input is the current of the neurons itself (first layer only).
    """

    neurons: NeuronParameters
    spike: SpikeFunction
    synapses: Synapses | None = None
    recurrence: Synapses | None = None
    bias: Tensor | None = None
    """Constant current `[N]`."""

    @property
    def n_neurons(self) -> int:
        return self.neurons.decay_mem.numel()


@dataclass(frozen=True, slots=True)
class Full:
    """Backpropagation through all steps; the potential of every step is kept."""


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """The same gradient as `Full`. Only every `every`-th state is kept, and the steps in between are run again."""

    every: int


@dataclass(frozen=True, slots=True)
class Truncated:
    """Windows of `window` steps; no gradient passes from one to the one before, through the state of the neurons or
    the recurrent spikes. From layer to layer and to the loss it does."""

    window: int


Backward: TypeAlias = Full | Checkpointed | Truncated

FULL = Full()


class Activity(NamedTuple):
    """What the layers did."""

    spikes: tuple[SpikeTrain, ...]
    """Of each layer. They carry no gradient."""
    totals: tuple[Tensor, ...]
    """Spikes of each neuron of each layer in the whole presentation, `[B, N]`."""
    weighted: Tensor | None
    """sum_t kernel[t] z[t] of the last layer, `[B, N]`, if a kernel was given."""
    projected: Tensor | None
    """The currents `[T, B, K]` that the last layer sends through `projection`, if there is one."""
    z: Tensor | None
    """The spikes of the last layer as numbers `[T, B, N]` that carry a gradient, if they were asked for."""
    v: Tensor | None
    """The potentials of the last layer `[T, B, N]`, without gradient, if they were asked for."""


class Engine(Protocol):
    """Presents input to layers."""

    name: str
    """What a result calls it."""

    def __call__(
        self,
        x: Input,
        layers: Sequence[Layer],
        *,
        kernel: Tensor | None = None,
        projection: Synapses | None = None,
        backward: Backward = FULL,
        keep_z: bool = False,
        keep_v: bool = False,
    ) -> Activity:
        """`kernel` is `[T]`. Gradients reach `x` (numbers), all weights and biases, and the parameters of the neurons,
        wherever they require one."""
        ...


def check_input(x: Input, layers: Sequence[Layer]) -> tuple[int, int, int]:
    """T, B and M of the input. Raises `ValueError` where it does not fit the first layer."""
    n_steps, batch, width = (x.n_steps, x.batch, x.n_neurons) if isinstance(x, SpikeTrain) else x.shape
    first = layers[0]
    expected = first.synapses.weight.shape[1] if first.synapses else first.n_neurons
    if width != expected or n_steps < 1 or batch < 1:
        raise ValueError(f"the input is [{n_steps}, {batch}, {width}], and the first layer takes [T, B, {expected}]")
    if isinstance(x, SpikeTrain) and (first.synapses is None or x.start != 0):
        raise ValueError("spikes reach a layer through synapses, and from neuron 0 of their train")
    if any(layer.synapses is None for layer in layers[1:]):
        raise ValueError("only the first layer can do without synapses")
    return n_steps, batch, width


def surrogate_spike(layer: Layer) -> SurrogateSpike:
    """The layer's spike function, for engines that have its derivative built in. Raises `ValueError` for another."""
    if not isinstance(layer.spike, SurrogateSpike) or layer.neurons.reset_width is not None:
        raise ValueError(
            f"the fused engine knows the spikes of SurrogateSpike, not of {layer.spike!r}; take the reference engine"
        )
    return layer.spike


def as_numbers(x: Input, dtype: torch.dtype) -> Tensor:
    """The input as zeros and ones, or as the numbers that it is."""
    return x.dense(dtype) if isinstance(x, SpikeTrain) else x
