"""Norse: its modules that loop over time (W1, W2), its cells in a loop over projected input where those would project
or index step by step (W3, W4).

Weights are divided by the threshold and by the factor that Norse puts on currents, so that its neurons, with a
threshold of 1, do what ours do as nearly as they can.
"""

from __future__ import annotations

import importlib.metadata

import numpy as np
import torch
from norse.torch import (
    LIFBoxCell,
    LIFParameters,
    LIFRefracParameters,
    LIFRefracRecurrent,
    LSNNParameters,
    LSNNRecurrent,
)
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract, reset_value
from torch import Tensor
from torch.nn.functional import linear

from benchmarks.engine import workloads
from benchmarks.engine.contestants import Training, torch_training
from benchmarks.engine.contestants.torch_training import parameter
from benchmarks.engine.workloads import Workload

DIFFERENCES = {
    "W1": "reset to zero without gradient; the potential stands still while refractory; synaptic state, here decaying "
    "within its step",
    "W2": "reset to zero, no gradient through reset and adaptation; synaptic state with a delay of one step",
    "W3": "reset of the same step, before the leak",
    "W4": "gradient through the reset",
}
DT = 0.001
LEAK = 1 - workloads.DECAY
"""Norse multiplies currents by it."""


def _recurrent(work: Workload) -> torch_training.Layer:
    scale = np.float32(1 / (work.threshold * LEAK))
    weight, back = parameter(work.weights["input"] * scale), parameter(work.weights["recurrent"] * scale)
    n, n_inputs = weight.shape
    if work.name == "W1":
        lif = LIFParameters(
            tau_syn_inv=torch.tensor(1 / DT),
            tau_mem_inv=torch.tensor(LEAK / DT),
            method="triangle",
            alpha=workloads.DAMPENING,
        )
        layer = LIFRefracRecurrent(
            n_inputs,
            n,
            p=LIFRefracParameters(lif, rho_reset=torch.tensor(1.0)),
            input_weights=weight,
            recurrent_weights=back,
            dt=DT,
        )
    else:
        rise = work.beta_adapt * (1 - work.decay_adapt) / work.threshold
        lsnn = LSNNParameters(
            tau_syn_inv=torch.tensor(1 / DT),
            tau_mem_inv=torch.tensor(LEAK / DT),
            tau_adapt_inv=torch.tensor((1 - work.decay_adapt) / DT),
            beta=(torch.arange(n) >= work.n_lif) * rise,
            method="triangle",
            alpha=workloads.DAMPENING,
        )
        layer = LSNNRecurrent(n_inputs, n, p=lsnn, input_weights=weight, recurrent_weights=back, dt=DT)
    return [weight, back], lambda x: layer(x)[0]


def _present(cell: LIFBoxCell, current: Tensor) -> Tensor:
    spikes, state = [], None
    for incoming in current.unbind():
        z, state = cell(incoming, state)
        spikes.append(z)
    return torch.stack(spikes)


def _feed_forward(work: Workload) -> torch_training.Layers:
    scale = np.float32(1 / (work.threshold * LEAK))
    first, second = parameter(work.weights["hidden"] * scale), parameter(work.weights["output"] * scale)
    p = LIFBoxParameters(
        tau_mem_inv=torch.tensor(LEAK / DT),
        method="triangle",
        alpha=workloads.DAMPENING,
        reset_method=reset_subtract,
    )
    hidden, output = LIFBoxCell(p, dt=DT), LIFBoxCell(p, dt=DT)

    def forward(x: Tensor) -> list[Tensor]:
        z = _present(hidden, linear(x, first))
        return [z, _present(output, linear(z, second))]

    return [first, second], forward


def _flower(work: Workload) -> torch_training.Layer:
    dense, bias = parameter(work.weights["dense"]), parameter(work.weights["dense_bias"])
    w_in, w_leak = parameter(work.weights["w_in"]), parameter(work.weights["w_leak"])

    def forward(x: Tensor) -> Tensor:
        # Norse 1.1 ignores alpha: its SuperSpike is 1 / (1 + |x|)**2, not flat as it should be, for the same work
        p = LIFBoxParameters(tau_mem_inv=w_leak / DT, method="super", alpha=torch.tensor(0.0), reset_method=reset_value)
        return _present(LIFBoxCell(p, dt=DT), (w_in / w_leak) * linear(x, dense, bias))

    return [dense, bias, w_in, w_leak], forward


def build(work: Workload) -> Training:
    unit = 1 / (work.threshold * LEAK)
    return torch_training.build(work, torch_training.Setting(_recurrent, _feed_forward, _flower, unit))


def versions() -> dict[str, str]:
    return {"norse": importlib.metadata.version("norse"), "torch": torch.__version__}
