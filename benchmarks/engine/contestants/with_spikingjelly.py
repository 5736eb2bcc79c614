"""SpikingJelly: nodes in multi-step mode where nothing recurs (W3, W4), one step at a time where it does (W1, W2).

In multi-step mode its CPU kernel takes the whole sequence, with one of its own surrogates.
"""

from __future__ import annotations

import importlib.metadata

import torch
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import Tensor
from torch.nn.functional import linear

from benchmarks.engine import workloads
from benchmarks.engine.contestants import Training, torch_training
from benchmarks.engine.contestants.torch_training import parameter
from benchmarks.engine.workloads import Workload

DIFFERENCES = {
    "W1": "no refractory period; reset before the leak; triangle of height 1",
    "W2": "LIF in place of adaptive LIF; reset before the leak; triangle of height 1",
    "W3": "reset before the leak; triangle of height 1",
    "W4": "one trainable leak for all units; arctan surrogate, nearly flat",
}


def _node(step_mode: str) -> neuron.LIFNode:
    """Its threshold is 1: the weights are divided by ours."""
    return neuron.LIFNode(
        tau=1 / (1 - workloads.DECAY),
        decay_input=False,
        v_threshold=1.0,
        v_reset=None,
        surrogate_function=surrogate.PiecewiseQuadratic(alpha=1.0),
        step_mode=step_mode,
    )


def _recurrent(work: Workload) -> torch_training.Layer:
    weight = parameter(work.weights["input"] / work.threshold)
    back = parameter(work.weights["recurrent"] / work.threshold)
    back.register_hook(lambda gradient: gradient - torch.diag(gradient.diagonal()))
    node = _node("s")

    def forward(x: Tensor) -> Tensor:
        functional.reset_net(node)
        spikes = [x.new_zeros(x.shape[1], back.shape[0])]
        for incoming in linear(x, weight).unbind():
            spikes.append(node(incoming + linear(spikes[-1], back)))
        return torch.stack(spikes[1:])

    return [weight, back], forward


def _feed_forward(work: Workload) -> torch_training.Layers:
    first = parameter(work.weights["hidden"] / work.threshold)
    second = parameter(work.weights["output"] / work.threshold)
    hidden, output = _node("m"), _node("m")

    def forward(x: Tensor) -> list[Tensor]:
        functional.reset_net(hidden)
        functional.reset_net(output)
        z = hidden(linear(x, first))
        return [z, output(linear(z, second))]

    return [first, second], forward


def _flower(work: Workload) -> torch_training.Layer:
    dense, bias = parameter(work.weights["dense"]), parameter(work.weights["dense_bias"])
    w_in = parameter(work.weights["w_in"])
    node = neuron.ParametricLIFNode(
        init_tau=1 / float(work.weights["w_leak"][0]),
        decay_input=False,
        v_threshold=work.threshold,
        v_reset=0.0,
        surrogate_function=surrogate.ATan(alpha=0.1),
        detach_reset=True,
        step_mode="m",
    )

    def forward(x: Tensor) -> Tensor:
        functional.reset_net(node)
        return node(w_in * linear(x, dense, bias))

    return [dense, bias, w_in, *node.parameters()], forward


def build(work: Workload) -> Training:
    unit = 1 / work.threshold
    return torch_training.build(work, torch_training.Setting(_recurrent, _feed_forward, _flower, unit))


def versions() -> dict[str, str]:
    return {"spikingjelly": importlib.metadata.version("spikingjelly"), "torch": torch.__version__}
