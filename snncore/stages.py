"""The stages of a hybrid network: `[T, B, M]` in, `[T, B, N]` out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from snncore import spec
from snncore.activations import activated
from snncore.engines import Input
from snncore.engines.interface import Activity, Backward, Engine, as_numbers
from snncore.image_layers import AveragePool, Convolution
from snncore.layers import Draws, SpikingLayer
from snncore.spikes import SpikeTrain
from snncore.synapses import Synapses


class Dense(nn.Module):
    """f(W x[t] + b) at every step."""

    def __init__(self, synapses: Synapses, bias: nn.Parameter | None, activation: spec.Activation) -> None:
        super().__init__()
        self.synapses = synapses
        self.bias = bias
        self.activation: spec.Activation = activation

    def forward(self, x: Tensor) -> Tensor:
        current = self.synapses(x) if self.bias is None else self.synapses(x) + self.bias
        return activated(current, self.activation)


class Dropout(nn.Module):
    """Zeros with probability `rate` and what is left divided by 1 - rate, where there is a stream to draw from."""

    def __init__(self, layer: spec.Dropout, name: str) -> None:
        super().__init__()
        self.rate = layer.rate
        self.independent = layer.over_time == "independent"
        self.name = name

    def forward(self, x: Tensor, draws: Draws | None) -> Tensor:
        if draws is None or self.rate == 0:
            return x
        shape = x.shape if self.independent else (1, *x.shape[1:])
        kept = draws(self.name).random(shape, dtype="f4") >= self.rate
        mask = torch.from_numpy(kept).to(device=x.device, dtype=x.dtype) / (1 - self.rate)
        return x * mask if self.independent else at_each_step(lambda h: h * mask, x)


class SpikingStage(nn.Module):
    """Spiking layers, one after the other, through an engine."""

    def __init__(self, layers: dict[str, SpikingLayer], engine: Engine, backward: Backward) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self.engine = engine
        self.backward = backward

    def named(self) -> Iterator[tuple[str, SpikingLayer]]:
        for name, layer in self.layers.items():
            assert isinstance(layer, SpikingLayer)
            yield name, layer

    def forward(self, x: Input, kernel: Tensor | None, projection: Synapses | None, keep_z: bool) -> Activity:
        layers = [layer.for_engine() for _, layer in self.named()]
        numbers = as_numbers(x, layers[0].neurons.decay_mem.dtype) if layers[0].synapses is None else x
        return self.engine(numbers, layers, kernel=kernel, projection=projection, backward=self.backward, keep_z=keep_z)


class Residual(nn.Module):
    """The sum of what two stacks of stages make of the same input; an empty one leaves it as it is."""

    def __init__(self, layers: dict[str, nn.Module], shortcut: dict[str, nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self.shortcut = nn.ModuleDict(shortcut)


@dataclass(slots=True)
class Passage:
    """A batch on its way through a network: what its dropout draws from, and what its spiking layers have done."""

    dtype: torch.dtype
    draws: Draws | None
    spikes: dict[str, SpikeTrain] = field(default_factory=dict)
    counts: dict[str, Tensor] = field(default_factory=dict)

    def presented(
        self, stage: SpikingStage, x: Input, kernel: Tensor | None, projection: Synapses | None, *, keep_z: bool
    ) -> Activity:
        """What a stage of spiking layers does; its spikes are noted."""
        activity: Activity = stage(x, kernel, projection, keep_z)
        names = [layer for layer, _ in stage.named()]
        self.spikes |= dict(zip(names, activity.spikes, strict=True))
        self.counts |= dict(zip(names, activity.totals, strict=True))
        return activity

    def through(self, stage: nn.Module, x: Input) -> Tensor:
        """What a stage makes of `x`."""
        if isinstance(stage, SpikingStage):
            z = self.presented(stage, x, None, None, keep_z=True).z
            assert z is not None
            return z
        numbers = as_numbers(x, self.dtype)
        match stage:
            case Residual():
                ends = [numbers, numbers]
                for i, branch in enumerate((stage.layers, stage.shortcut)):
                    for inner in branch.values():
                        ends[i] = self.through(inner, ends[i])
                return at_each_step(torch.add, *ends)
            case Dropout():
                return stage(numbers, self.draws)  # type: ignore[no-any-return]
            case Dense() | Convolution() | AveragePool() | nn.ReLU():
                return at_each_step(stage, numbers)
            case _:
                return stage(numbers)  # type: ignore[no-any-return]


def at_each_step(function: Callable[..., Tensor], *x: Tensor) -> Tensor:
    """What a function of single time steps makes of `x` `[T, B, M]`; where all are one step repeated (stride 0 in
    time), it is called with that step, and its value is repeated."""
    n_steps = x[0].shape[0]
    if n_steps > 1 and all(numbers.stride(0) == 0 for numbers in x):
        return function(*(numbers[:1] for numbers in x)).expand(n_steps, -1, -1)
    return function(*x)
