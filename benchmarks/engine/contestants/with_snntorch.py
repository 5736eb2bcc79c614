"""snnTorch: its `Leaky` neurons in the loop over time that its documentation writes, input projected before the loop.

Its faster neurons (`LeakyParallel`, `StateLeaky`) leave out the reset, which is another network.
"""

from __future__ import annotations

from collections.abc import Callable

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor
from torch.nn.functional import linear

from benchmarks.engine import workloads
from benchmarks.engine.contestants import Training, torch_training
from benchmarks.engine.contestants.torch_training import parameter
from benchmarks.engine.workloads import Workload

DIFFERENCES = {
    "W1": "no refractory period, no gradient through the reset",
    "W2": "LIF in place of adaptive LIF, no gradient through the reset",
    "W3": "no gradient through the reset",
    "W4": "",
}


def _triangle(threshold: float) -> Callable[[Tensor], Tensor]:
    def gradient(distance: Tensor, grad: Tensor, _spikes: Tensor) -> Tensor:
        return grad * (workloads.DAMPENING / threshold) * torch.relu(1 - distance.abs() / threshold)

    return surrogate.custom_surrogate(gradient)


def _flat(_distance: Tensor, grad: Tensor, _spikes: Tensor) -> Tensor:
    return grad


def _leaky(threshold: float) -> snntorch.Leaky:
    return snntorch.Leaky(beta=workloads.DECAY, threshold=threshold, spike_grad=_triangle(threshold))


def _present(leaky: snntorch.Leaky, current: Tensor) -> Tensor:
    mem = leaky.reset_mem()
    spikes = []
    for incoming in current.unbind():
        z, mem = leaky(incoming, mem)
        spikes.append(z)
    return torch.stack(spikes)


def _recurrent(work: Workload) -> torch_training.Layer:
    weight, back = parameter(work.weights["input"]), parameter(work.weights["recurrent"])
    back.register_hook(lambda gradient: gradient - torch.diag(gradient.diagonal()))
    leaky = _leaky(work.threshold)

    def forward(x: Tensor) -> Tensor:
        mem = leaky.reset_mem()
        spikes = [x.new_zeros(x.shape[1], back.shape[0])]
        for incoming in linear(x, weight).unbind():
            z, mem = leaky(incoming + linear(spikes[-1], back), mem)
            spikes.append(z)
        return torch.stack(spikes[1:])

    return [weight, back], forward


def _feed_forward(work: Workload) -> torch_training.Layers:
    first, second = parameter(work.weights["hidden"]), parameter(work.weights["output"])
    hidden, output = _leaky(work.threshold), _leaky(work.threshold)

    def forward(x: Tensor) -> list[Tensor]:
        z = _present(hidden, linear(x, first))
        return [z, _present(output, linear(z, second))]

    return [first, second], forward


def _flower(work: Workload) -> torch_training.Layer:
    dense, bias = parameter(work.weights["dense"]), parameter(work.weights["dense_bias"])
    w_in = parameter(work.weights["w_in"])
    leaky = snntorch.Leaky(
        beta=1 - torch_training.tensor(work.weights["w_leak"]),
        learn_beta=True,
        threshold=work.threshold,
        spike_grad=surrogate.custom_surrogate(_flat),
        reset_mechanism="zero",
    )

    def forward(x: Tensor) -> Tensor:
        return _present(leaky, w_in * linear(x, dense, bias))

    return [dense, bias, w_in, leaky.beta], forward


def build(work: Workload) -> Training:
    return torch_training.build(work, torch_training.Setting(_recurrent, _feed_forward, _flower))


def versions() -> dict[str, str]:
    return {"snntorch": snntorch.__version__, "torch": torch.__version__}
