"""The plain loop over time under autograd: what the reference engine is made of, without its bookkeeping.

It neither packs spikes nor counts them for a result, as the peers do not, so that no ratio flatters our engine.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.engine.contestants import Training, ours, torch_training
from benchmarks.engine.workloads import Workload
from snncore.engines import Layer
from snncore.scan import unroll

DIFFERENCES = {"W1": "", "W2": "", "W3": "", "W4": ""}


def _present(layer: Layer, x: Tensor) -> Tensor:
    """The input of all steps in one product, then step by step."""
    assert layer.synapses is not None
    current = layer.synapses(x)
    if layer.bias is not None:
        current = current + layer.bias
    return unroll(current, layer.neurons, layer.spike, layer.recurrence).z


def _recurrent(work: Workload) -> torch_training.Layer:
    layer = ours.recurrent_layer(work)
    assert layer.synapses is not None
    assert layer.recurrence is not None
    return [layer.synapses.weight, layer.recurrence.weight], lambda x: _present(layer, x)


def _feed_forward(work: Workload) -> torch_training.Layers:
    weights = [work.weights["hidden"], work.weights["output"]]
    layers = [
        Layer(ours.neurons(weight.shape[0], work.threshold), ours.TRIANGLE, ours.synapses(weight)) for weight in weights
    ]
    parameters: list[nn.Parameter] = [layer.synapses.weight for layer in layers if layer.synapses]

    def forward(x: Tensor) -> list[Tensor]:
        hidden = _present(layers[0], x)
        return [hidden, _present(layers[1], hidden)]

    return parameters, forward


def _flower(work: Workload) -> torch_training.Layer:
    flower = ours.Flower(work)
    return list(flower.parameters()), lambda x: _present(flower.layer(), x)


def build(work: Workload) -> Training:
    return torch_training.build(work, torch_training.Setting(_recurrent, _feed_forward, _flower))


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}
