"""The stages of a hybrid network: `[T, B, M]` in, `[T, B, N]` out."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from snncore import spec
from snncore.engines import Input
from snncore.engines.interface import Activity, Backward, Engine, as_numbers
from snncore.layers import Draws, SpikingLayer
from snncore.synapses import Synapses

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


class Dense(nn.Module):
    """f(W x[t] + b) at every step."""

    def __init__(self, synapses: Synapses, bias: nn.Parameter | None, activation: str) -> None:
        super().__init__()
        self.synapses = synapses
        self.bias = bias
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        current = self.synapses(x) if self.bias is None else self.synapses(x) + self.bias
        return current if self.activation == "linear" else ACTIVATIONS[self.activation](current)


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
        return x * (torch.from_numpy(kept).to(device=x.device, dtype=x.dtype) / (1 - self.rate))


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
