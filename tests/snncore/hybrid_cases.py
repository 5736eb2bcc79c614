"""Networks of layers in sequence, and a plain loop over time that is what they should be.

The loop is written from the equations: one time step after the other through all layers, in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncore import spec
from snncore.encoders import encode
from snncore.engines import Input
from snncore.peephole_lstm import PeepholeLSTM
from snncore.sequential import SequentialNetwork
from snncore.spikes import SpikeTrain
from snncore.stages import Dropout
from snncore.streams import stream
from tests.snncore.jobs import tiny_spec

CPU = torch.device("cpu")

UNIT: dict[str, Any] = {
    "kind": "lif_unit",
    "w_input": {"low": 0.3, "high": 0.9},
    "w_leak": {"low": 0.05, "high": 0.4},
}
LIF: dict[str, Any] = {"kind": "lif", "tau_mem_ms": 6.0, "v_threshold": 0.5}
STRONG = {"kind": "normal", "gain": 2.5}

COLUMNS: dict[str, Any] = {"kind": "direct", "duration_ms": 16.0, "frames": 8, "scan": "columns", "gain": 1.5}
SPIKES: dict[str, Any] = {"kind": "poisson", "duration_ms": 15.0, "max_rate_hz": 300.0}


def dense(n_units: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "dense", "n_units": n_units, "weights": STRONG, **fields}


def spiking(neuron: dict[str, Any] | None = None, **recurrence: Any) -> dict[str, Any]:
    recurrent = {"recurrence": {"weights": {"kind": "normal", "gain": 0.8}, **recurrence}} if recurrence else {}
    return {"kind": "spiking", "neuron": neuron, **recurrent}


def sequential(layers: list[dict[str, Any]], readout: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """Parts of a job in double precision, for `tiny_spec`."""
    return {
        "architecture": {"kind": "sequential", "layers": layers, "readout": readout},
        "neuron": None,
        "training": {"precision": "float64"},
        **parts,
    }


CASES: dict[str, dict[str, Any]] = {
    "dense, units, lstm, dropout, dense; every step": sequential(
        [
            dense(9),
            spiking(UNIT),
            {"kind": "lstm", "n_units": 4},
            {"kind": "dropout", "rate": 0.4},
            dense(5, activation="tanh"),
        ],
        {"kind": "every_step"},
        encoding=COLUMNS,
    ),
    "dense, recurrent lif of spikes; spike count": sequential(
        [dense(12, bias=False), spiking(delay={"kind": "uniform", "low": 1, "high": 3})],
        {"kind": "spike_count", "group_size": 2, "warmup_ms": 3.0, "weights": STRONG},
        encoding=SPIKES,
        neuron=LIF,
    ),
    "two spiking layers of numbers; leaky": sequential(
        [dense(11), spiking(UNIT), dense(7), spiking(LIF)],
        {"kind": "leaky", "tau_ms": 5.0, "reduction": "mean", "window_ms": 6.0},
        encoding=COLUMNS,
    ),
    "dense layers that are not linear; leaky": sequential(
        [dense(6, activation="relu"), dense(7), dense(8, activation="sigmoid", bias=False), spiking(UNIT)],
        {"kind": "leaky", "tau_ms": 5.0, "bias": False},
        encoding=COLUMNS,
    ),
    "units without synapses, of spikes; accumulator": sequential(
        [spiking(UNIT), spiking({**UNIT, "v_threshold": 0.4})],
        {"kind": "accumulator"},
        encoding=SPIKES,
    ),
    "dense, units of spikes; accumulator at 0 or above": sequential(
        [dense(12), spiking({**UNIT, "non_negative": True})],
        {"kind": "accumulator", "non_negative": True},
        encoding=SPIKES,
    ),
    "peephole lstm, dropout, dense, units, dropout; leaky": sequential(
        [
            {"kind": "peephole_lstm", "output": "last_state"},
            {"kind": "dropout", "rate": 0.2, "over_time": "constant"},
            dense(6),
            spiking(UNIT),
            {"kind": "dropout", "rate": 0.3},
        ],
        {"kind": "leaky", "tau_ms": 4.0},
        encoding=COLUMNS,
    ),
    "units; leaky by frame": sequential(
        [dense(12), spiking(UNIT)],
        {"kind": "leaky", "tau_ms": 4.0, "reduction": "mean_by_frame"},
        task={"kind": "recall"},
        dataset={"kind": "store_recall", "n_values": 3, "n_slots": 5, "n_train": 256},
        encoding={**SPIKES, "frames": 5},
    ),
}


def job_of(case: str, **training: Any) -> spec.JobSpec:
    return tiny_spec(**{**CASES[case], "training": {"precision": "float64", **training}})


def batch_of(job: spec.JobSpec, batch: int = 3) -> Input:
    """Encoded random samples."""
    draw = np.random.default_rng(5)
    x = torch.from_numpy(draw.uniform(0, 1, (batch, spec.n_features(job.dataset)))).to(CPU)
    return encode(job.encoding, x, draw, spec.image_shape(job.dataset))


def network_of(job: spec.JobSpec) -> SequentialNetwork:
    """The network, with peephole cells of any weights: those that act as LIF units have saturated gates."""
    network = SequentialNetwork(job, CPU)
    draw = np.random.default_rng(2)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, PeepholeLSTM):
                for parameter in module.parameters():
                    parameter.copy_(torch.from_numpy(draw.normal(0, 0.7, parameter.shape)))
    return network


def draws(name: str) -> np.random.Generator:
    """A stream for each layer, the same at every call."""
    return stream(0, f"test/{name}")


def fire(v: Tensor, neuron: spec.Neuron) -> Tensor:
    """H(v - threshold), with h(x) or h(x) / threshold as its derivative."""
    assert isinstance(neuron, spec.LIF | spec.LIFUnit)
    if isinstance(neuron, spec.LIFUnit):
        slope = torch.ones_like(v)
    else:
        slope = 0.3 * (1 - ((v - neuron.v_threshold) / neuron.v_threshold).abs()).clamp_min(0) / neuron.v_threshold
    return (v >= neuron.v_threshold).to(v.dtype) + slope.detach() * (v - v.detach())


def plain_loop(job: spec.JobSpec, network: SequentialNetwork, x: Input) -> tuple[Tensor, dict[str, Tensor]]:
    """The values that are read, `[B, S, K]`, and the spikes `[T, B, N]` of each spiking layer."""
    assert isinstance(job.architecture, spec.Sequential)
    p = dict(network.named_parameters())
    buffers = dict(network.named_buffers())
    numbers = x.dense(torch.float64) if isinstance(x, SpikeTrain) else x
    n_steps, batch, width = numbers.shape
    readout = job.architecture.readout
    steps: list[Callable[[Tensor], Tensor]] = []
    spikes: dict[str, list[Tensor]] = {}

    def named(*ends: str) -> Tensor:
        (found,) = [value for name, value in (p | buffers).items() if name.endswith(ends)]
        return found

    layers = list(spec.named_layers(job))
    for i, (name, layer) in enumerate(layers):
        match layer:
            case spec.Dense():
                follower = layers[i + 1] if i + 1 < len(layers) else None
                joined = layer.activation == "linear" and follower and isinstance(follower[1], spec.Spiking)
                owner = f"layers.{follower[0]}" if joined and follower else f"stages.{name}"
                weight = named(f"{owner}.synapses.weight")
                bias = named(f"{owner}.bias") if layer.bias else torch.zeros(len(weight), dtype=torch.float64)
                steps.append(_dense(weight, bias, layer.activation))
                width = layer.n_units
            case spec.Spiking():
                spikes[name] = []
                steps.append(_spiking(job, layer, f"layers.{name}", named, spikes[name], batch, width))
            case spec.LSTM():
                steps.append(
                    _lstm(*(named(f"{name}.cell.{part}_l0") for part in ("weight_ih", "weight_hh", "bias_ih")))
                )
                width = layer.n_units
            case spec.PeepholeLSTM():
                steps.append(_peephole(layer, lambda part, name=name: named(f"stages.{name}.{part}")))
            case spec.Dropout():
                stage = network.stages[name]
                assert isinstance(stage, Dropout)
                ones = torch.ones(n_steps, batch, width, dtype=torch.float64, device=CPU)
                masks = iter(stage(ones, draws))
                steps.append(lambda h, masks=masks: h * next(masks))

    last: list[Tensor] = []
    for h in numbers:
        for step in steps:
            h = step(h)
        last.append(h)
    return _read(job, readout, last, named), {name: torch.stack(fired) for name, fired in spikes.items()}


def _dense(weight: Tensor, bias: Tensor, activation: str) -> Callable[[Tensor], Tensor]:
    shape = {"linear": lambda x: x, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[activation]
    return lambda h: shape(h @ weight.T + bias)


def _spiking(
    job: spec.JobSpec,
    layer: spec.Spiking,
    place: str,
    named: Callable[[str], Tensor],
    fired: list[Tensor],
    batch: int,
    width: int,
) -> Callable[[Tensor], Tensor]:
    """v and z of one step after the other, into `fired`."""
    neuron = layer.neuron or job.population
    state = [torch.zeros(batch, width, dtype=torch.float64, device=CPU)] * 2

    def step(current: Tensor) -> Tensor:
        if layer.recurrence is not None:
            weight, delay = named(f"{place}.recurrence.weight"), named(f"{place}.recurrence.delay")
            for k in range(1, int(delay.max()) + 1):
                if len(fired) >= k:
                    current = current + fired[-k] @ (weight * (delay == k)).T
        v, z = state
        if isinstance(neuron, spec.LIFUnit):
            keep = 1 - named(f"{place}.units.w_leak")
            v = named(f"{place}.units.w_input") * current + keep * v * (1 - z.detach())
            v = torch.relu(v) if neuron.non_negative else v
        else:
            assert isinstance(neuron, spec.LIF)
            v = math.exp(-job.encoding.dt_ms / neuron.tau_mem_ms) * v + current - neuron.v_threshold * z
        z = fire(v, neuron)
        state[:] = v, z
        fired.append(z)
        return z

    return step


def _lstm(kernel: Tensor, recurrent: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    state: list[Tensor] = []

    def step(x: Tensor) -> Tensor:
        h, c = state or [torch.zeros(len(x), recurrent.shape[1], dtype=torch.float64, device=CPU)] * 2
        i, f, g, o = (x @ kernel.T + h @ recurrent.T + bias).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        state[:] = torch.sigmoid(o) * torch.tanh(c), c
        return state[0]

    return step


def _peephole(layer: spec.PeepholeLSTM, named: Callable[[str], Tensor]) -> Callable[[Tensor], Tensor]:
    state: list[Tensor] = []

    def step(x: Tensor) -> Tensor:
        y, c = state or [torch.zeros_like(x)] * 2

        def gate(i: int, seen: Tensor) -> Tensor:
            inside = named(f"b{i}") + named(f"f_input{i}") * x + named(f"f_cell{i}") * seen
            return torch.sigmoid(inside + named(f"f_output{i}") * y)

        after = gate(1, c) * (named("b_input") + named("w_input") * x + named("w_output") * y) + gate(2, c) * c
        shown = c if layer.output == "last_state" else after
        state[:] = gate(3, shown) * shown, after
        return state[0]

    return step


def _read(job: spec.JobSpec, readout: spec.Readout, last: list[Tensor], named: Callable[[str], Tensor]) -> Tensor:
    """What the readout makes of the last layer, `[B, S, K]`."""
    if isinstance(readout, spec.SpikeCountReadout):
        counted = sum(last[round(readout.warmup_ms / job.encoding.dt_ms) :])
        assert isinstance(counted, Tensor)
        return counted.reshape(len(counted), 1, job.n_outputs, readout.group_size).mean(dim=3)
    weight = named("output.synapses.weight")
    bias = named("output.bias") if readout.bias else torch.zeros(len(weight), dtype=torch.float64, device=CPU)
    currents = [h @ weight.T for h in last]
    y = torch.zeros_like(currents[0])
    match readout:
        case spec.EveryStepReadout():
            return torch.stack([current + bias for current in currents], dim=1)
        case spec.AccumulatorReadout():
            for current in currents:
                y = y + current + bias
                y = torch.relu(y) if readout.non_negative else y
            return y[:, None]
        case spec.LeakyReadout():
            decay, trace = math.exp(-job.encoding.dt_ms / readout.tau_ms), []
            for current in currents:
                y = decay * y + (1 - decay) * current
                trace.append(y + bias)
            if readout.reduction == "last":
                return trace[-1][:, None]
            frames = job.encoding.frames if readout.by_frame else 1
            if readout.window_ms is not None:
                trace = trace[-round(readout.window_ms / job.encoding.dt_ms) :]
            return torch.stack(trace, dim=1).unflatten(1, (frames, -1)).mean(dim=2)
