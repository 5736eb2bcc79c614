"""A spiking network from the weights of an ordinary one (DIET-SNN, Rathi & Roy 2020, section 2.2).

The twin of a network has a ReLU in the place of each spiking layer. With its weights, and thresholds as high as almost
all of the currents that arrive, the rates of the neurons follow the activations of the twin. In residual layers they do
so but roughly: their two branches carry spikes of different worth, which only training in spikes makes up for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snncore.engines import Input
from snncore.engines.interface import as_numbers
from snncore.errors import ConversionFailed
from snncore.image_layers import Convolution
from snncore.layer_lif import LayerLIFs
from snncore.sequential import SequentialNetwork
from snncore.stages import Passage, Residual, SpikingStage
from snncore.synapses import Synapses


class StepPercentile:
    """A percentile of the numbers of each step, `n` of them, which come in parts `[T, B, N]`.

    It is one of the numbers: in increasing order number 1 + round(percentile / 100 (n - 1)), as in the published code.
    Held are as many numbers a step as lie above it.
    """

    def __init__(self, percentile: float, n: int) -> None:
        self.n_held = n - round(percentile / 100 * (n - 1))
        self.held: NDArray[np.floating] | None = None

    def add(self, x: Tensor) -> None:
        """A part of the numbers. One step repeated (stride 0 in time) counts as one."""
        seen = x[:1] if x.stride(0) == 0 else x
        part: NDArray[np.floating] = seen.reshape(seen.shape[0], -1).cpu().numpy()
        self.held = _largest(part if self.held is None else np.concatenate([self.held, part], axis=1), self.n_held)

    def highest(self) -> float:
        """Of the steps' percentiles the highest."""
        assert self.held is not None
        return float(self.held.min(axis=1).max())


def _largest(x: NDArray[np.floating], n: int) -> NDArray[np.floating]:
    """The `n` largest numbers of each row, or all of fewer."""
    return x if x.shape[1] <= n else np.partition(x, -n, axis=1)[:, -n:]


@torch.no_grad()
def take_weights(network: SequentialNetwork, twin: SequentialNetwork) -> None:
    """Give a network the weights of its twin."""
    for target, source in zip(_weights(network), _weights(twin), strict=True):
        assert target.shape == source.shape
        target.copy_(source)


def _weights(network: nn.Module) -> Iterator[Tensor]:
    """Of synapses and convolutions, in the order of the layers."""
    return (module.weight for module in network.modules() if isinstance(module, Synapses | Convolution))


@torch.no_grad()
def set_thresholds(
    network: SequentialNetwork,
    presented: Callable[[], Iterable[Input]],
    n_samples: int,
    *,
    percentile: float,
    interrupted: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Give all layers leak 1 and a threshold, one after the other, and return the thresholds by layer.

    v_threshold = percentile of the currents that arrive in a step, the highest of all steps, found while the layers
    before have theirs. `presented` gives the batches of `n_samples` inputs `[T, B, M]` anew at each call. None if
    `interrupted` said so between two of them. Raises `ConversionFailed` for a layer that gets no positive current.
    """
    for layer in _layers(network).values():
        layer.leak.fill_(1)
    thresholds: dict[str, float] = {}
    for name, neurons in _layers(network).items():
        found = StepPercentile(percentile, n_samples * neurons.n_neurons)
        for inputs in presented():
            if interrupted():
                return None
            found.add(arriving(network, name, inputs))
        thresholds[name] = found.highest()
        if thresholds[name] <= 0:
            raise ConversionFailed(
                f"layer {name!r} gets no positive current in {percentile:g} % of all cases, and finds no threshold; "
                "raise training.conversion.percentile, or train the network before longer"
            )
        neurons.v_threshold.fill_(thresholds[name])
    return thresholds


@torch.no_grad()
def scale_thresholds(network: SequentialNetwork, factor: float) -> None:
    """Multiply all thresholds."""
    for neurons in _layers(network).values():
        neurons.v_threshold.mul_(factor)
    network.constrain()


def _layers(network: SequentialNetwork) -> dict[str, LayerLIFs]:
    layers: dict[str, LayerLIFs] = {}
    for name, layer in network.spiking_layers():
        assert isinstance(layer.units, LayerLIFs)  # by the rules of the spec
        layers[name] = layer.units
    return layers


def arriving(network: SequentialNetwork, name: str, x: Input) -> Tensor:
    """The currents `[T, B, N]` of the spiking layer `name`, while the network is presented `x`."""
    for stage in network.stages.modules():
        if isinstance(stage, SpikingStage) and name in stage.layers:
            passage = Passage(network.dtype, None)
            return _current(stage, name, _before(stage, network.stages, x, passage), passage)
    raise KeyError(name)


def _before(target: nn.Module, stages: nn.ModuleDict, x: Input, passage: Passage) -> Input:
    """What comes to the stage `target`, which is one of `stages` or inside of one."""
    for stage in stages.values():
        if stage is target:
            return x
        if isinstance(stage, Residual):
            for branch in (stage.layers, stage.shortcut):
                if any(inner is target for inner in branch.modules()):
                    return _before(target, branch, x, passage)
        x = passage.through(stage, x)
    raise KeyError(target)


def _current(stage: SpikingStage, name: str, x: Input, passage: Passage) -> Tensor:
    """What the layer `name` of a stage gets, of what comes to the stage."""
    layers = dict(stage.named())
    layer = layers[name]
    before = dict(itertools.takewhile(lambda pair: pair[0] != name, layers.items()))
    if before:
        x = passage.through(SpikingStage(before, stage.engine, stage.backward), x)
    numbers = as_numbers(x, passage.dtype)
    return numbers if layer.synapses is None else layer.synapses.forward(numbers)
