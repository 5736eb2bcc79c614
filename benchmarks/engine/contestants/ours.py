"""The workloads written for snncore: neurons, synapses and layers, and a training with any engine."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from benchmarks.engine import workloads
from benchmarks.engine.contestants import Training
from benchmarks.engine.contestants.torch_training import (
    Ending,
    Rate,
    group_loss,
    lstm,
    parameter,
    tensor,
    training,
)
from benchmarks.engine.workloads import Workload
from snncore.engines import Activity, Engine, Layer
from snncore.neurons import NeuronParameters
from snncore.spec.surrogate import Boxcar, Triangle
from snncore.spec.synapses import ConstantDelay, NormalWeights
from snncore.spikes import SpikeTrain
from snncore.surrogates import SurrogateSpike
from snncore.synapses import Synapses

TRIANGLE = SurrogateSpike(Triangle(kind="triangle", dampening=workloads.DAMPENING), scaled=True, inclusive=True)
FLAT = SurrogateSpike(Boxcar(kind="boxcar", dampening=1.0, width=1e3), scaled=False, inclusive=True)
"""Wide enough to be 1 wherever the potential goes."""


def synapses(weight: np.ndarray, *, delay: int = 0, autapses: bool = True) -> Synapses:
    """Synapses that start with these weights."""
    made = Synapses(
        weight.shape[1],
        weight.shape[0],
        name="benchmark",
        seed=0,
        weights=NormalWeights(kind="normal"),
        delay=ConstantDelay(kind="constant", steps=delay),
        autapses=autapses,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    with torch.no_grad():
        made.weight.copy_(tensor(weight))
    return made


def neurons(
    n: int,
    threshold: float,
    *,
    decay_mem: Tensor | None = None,
    input_scale: Tensor | None = None,
    n_refractory: int = 0,
    n_lif: int | None = None,
    decay_adapt: float = 0.0,
    beta_adapt: float = 0.0,
    reset: Literal["subtract", "value", "none"] = "subtract",
    detach_reset: bool = False,
) -> NeuronParameters:
    """LIF neurons; those from `n_lif` on adapt."""
    adapts = torch.arange(n) >= (n if n_lif is None else n_lif)
    return NeuronParameters(
        decay_mem=torch.full((n,), workloads.DECAY) if decay_mem is None else decay_mem,
        input_scale=torch.ones(n) if input_scale is None else input_scale,
        v_threshold=torch.full((n,), threshold),
        decay_adapt=adapts * decay_adapt,
        beta_adapt=adapts * beta_adapt,
        n_refractory=torch.full((n,), n_refractory, dtype=torch.int32),
        reset=reset,
        v_reset=0.0,
        reset_timing="next_step",
        detach_reset=detach_reset,
        adaptive=bool(adapts.any()),
        refractory=n_refractory > 0,
    )


def recurrent_layer(work: Workload) -> Layer:
    """W1 and W2."""
    weight = work.weights["input"]
    n = weight.shape[0]
    if work.name == "W1":
        cells = neurons(n, work.threshold, n_refractory=1)
    else:
        cells = neurons(n, work.threshold, n_lif=work.n_lif, decay_adapt=work.decay_adapt, beta_adapt=work.beta_adapt)
    back = synapses(work.weights["recurrent"], delay=1, autapses=False)
    return Layer(cells, TRIANGLE, synapses(weight), back)


class Flower(nn.Module):
    """The trainable parts of W4's spiking layer."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.threshold = work.threshold
        self.dense = synapses(work.weights["dense"])
        self.bias = parameter(work.weights["dense_bias"])
        self.w_in = parameter(work.weights["w_in"])
        self.w_leak = parameter(work.weights["w_leak"])

    def layer(self) -> Layer:
        cells = neurons(
            self.w_in.numel(),
            self.threshold,
            decay_mem=1 - self.w_leak,
            input_scale=self.w_in,
            reset="value",
            detach_reset=True,
        )
        return Layer(cells, FLAT, self.dense, bias=self.bias)


class ProjectedLSTM(nn.Module):
    """An LSTM over currents `[T, B, 4 * 30]` that its input weights have made already.

    torch's compiled LSTM with the identity in the place of its input weights: 120 x 120 products more than needed, and
    still several times faster than a loop of torch operators over the steps.
    """

    def __init__(self, work: Workload) -> None:
        super().__init__()
        gates = 4 * workloads.W4_LSTM
        self.module = nn.LSTM(gates, workloads.W4_LSTM)
        with torch.no_grad():
            self.module.weight_ih_l0.copy_(torch.eye(gates)).requires_grad_(False)
            self.module.weight_hh_l0.copy_(tensor(work.weights["lstm_recurrent"]))
            self.module.bias_ih_l0.copy_(tensor(work.weights["lstm_bias"]))
            self.module.bias_hh_l0.zero_().requires_grad_(False)

    def forward(self, currents: Tensor) -> Tensor:
        outputs: Tensor = self.module(currents)[0]
        return outputs


def spikes_or_numbers(work: Workload) -> Tensor | SpikeTrain:
    """The input as the product's encoders give it: spikes packed, numbers as they are."""
    x = tensor(work.x)
    return SpikeTrain.pack(x) if work.name in ("W1", "W3") else x


def rate_of_activity(activity: Activity) -> Rate:
    trains = activity.spikes

    def rate() -> float:
        fired = sum(int(train.dense(torch.bool).sum()) for train in trains)
        return fired / sum(train.n_steps * train.batch * train.n_neurons for train in trains)

    return rate


def build(work: Workload, engine: Engine, *, projection: bool = True) -> Training:
    """The training of a workload with one of our engines. `projection`: W4's LSTM weights are applied by the engine."""
    x, target = spikes_or_numbers(work), tensor(work.target)
    if work.name in ("W1", "W2"):
        assert work.kernel is not None
        layer, kernel = recurrent_layer(work), tensor(work.kernel)
        assert layer.synapses is not None
        assert layer.recurrence is not None
        readout = parameter(work.weights["readout"]) if work.name == "W2" else None

        def forward() -> tuple[Tensor, Rate]:
            activity = engine(x, [layer], kernel=kernel)
            assert activity.weighted is not None
            if readout is None:
                return group_loss(activity.weighted, target), rate_of_activity(activity)
            return cross_entropy(linear(activity.weighted, readout), target), rate_of_activity(activity)

        learned = [layer.synapses.weight, layer.recurrence.weight]
        return training(learned + ([] if readout is None else [readout]), forward)
    if work.name == "W3":
        layers = [
            Layer(neurons(weight.shape[0], work.threshold), TRIANGLE, synapses(weight))
            for weight in (work.weights["hidden"], work.weights["output"])
        ]

        def forward_3() -> tuple[Tensor, Rate]:
            activity = engine(x, layers)
            return cross_entropy(activity.totals[-1], target), rate_of_activity(activity)

        return training([layer.synapses.weight for layer in layers if layer.synapses], forward_3)

    flower, ending = Flower(work), Ending(work)
    if projection:
        to_lstm, recurrence = synapses(work.weights["lstm_input"]), ProjectedLSTM(work)

        def forward_4() -> tuple[Tensor, Rate]:
            activity = engine(x, [flower.layer()], projection=to_lstm)
            assert activity.projected is not None
            return ending(recurrence(activity.projected)), rate_of_activity(activity)

        modules: list[nn.Module] = [flower, to_lstm, recurrence, ending]
    else:
        memory = lstm(work)

        def forward_4() -> tuple[Tensor, Rate]:
            activity = engine(x, [flower.layer()], keep_z=True)
            assert activity.z is not None
            return ending(memory(activity.z)[0]), rate_of_activity(activity)

        modules = [flower, memory, ending]
    return training([p for module in modules for p in module.parameters() if p.requires_grad], forward_4)
