"""Networks that see images, and a plain loop over time that is what they should be.

The loop is written from the equations, one time step after the other in double precision, with images as torch likes
them best, [B, channels, height, width]: only what comes in and goes out of it is in the order of the features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from snncore import spec
from snncore.engines import Input
from snncore.engines.interface import as_numbers
from snncore.sequential import SequentialNetwork
from tests.snncore.hybrid_cases import CPU, STRONG, dense, draws, sequential

DIET: dict[str, Any] = {"kind": "layer_lif", "leak": 0.9, "v_threshold": 0.7}
SAME_STEP: dict[str, Any] = {"kind": "layer_lif", "leak": 0.8, "v_threshold": 1.2, "reset_timing": "same_step"}
IMAGE: dict[str, Any] = {"kind": "direct", "duration_ms": 4.0}
SPIKES: dict[str, Any] = {"kind": "poisson", "duration_ms": 6.0, "max_rate_hz": 500.0, "group_size": 2}
POOL: dict[str, Any] = {"kind": "average_pool"}
RELU: dict[str, Any] = {"kind": "relu"}


def conv(channels: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "conv2d", "channels": channels, "weights": STRONG, **fields}


def lif(neuron: dict[str, Any] = DIET) -> dict[str, Any]:
    return {"kind": "spiking", "neuron": neuron}


def residual(layers: list[dict[str, Any]], shortcut: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"kind": "residual", "layers": layers, "shortcut": shortcut or []}


def dropout(over_time: str) -> dict[str, Any]:
    return {"kind": "dropout", "rate": 0.3, "over_time": over_time}


CASES: dict[str, dict[str, Any]] = {
    "convolutions and pooling, as in DIET-SNN": sequential(
        [conv(4), lif(), dropout("constant"), conv(5, bias=False), lif(SAME_STEP), POOL, dense(9), lif()],
        {"kind": "accumulator"},
        encoding=IMAGE,
    ),
    "residual blocks with and without a convolution beside": sequential(
        [
            conv(4, bias=False),
            lif(),
            residual(
                [conv(6, stride=2), lif(), dropout("constant"), conv(6)], [conv(6, kernel=1, stride=2, padding=0)]
            ),
            lif(SAME_STEP),
            residual([conv(6), lif(), dropout("independent"), conv(6)]),
            lif(),
            {"kind": "average_pool", "size": 4},
        ],
        {"kind": "every_step"},
        encoding=IMAGE,
    ),
    "spikes in, spikes added up, an even kernel": sequential(
        [
            conv(5, kernel=4, padding=2, stride=3),
            lif(),
            residual([conv(5, activation="tanh"), lif()]),
            RELU,
            conv(2, kernel=2, padding=0),
            lif(),
        ],
        {"kind": "leaky", "tau_ms": 5.0, "bias": False},
        encoding=SPIKES,
    ),
    "numbers alone": sequential(
        [
            conv(4),
            RELU,
            POOL,
            residual([conv(4), RELU, dropout("constant"), conv(4)]),
            RELU,
            dense(6, activation="relu"),
        ],
        {"kind": "accumulator", "bias": False},
        encoding=IMAGE,
    ),
}

Step = Callable[[Tensor], Tensor]


def fire(u: Tensor, v: Tensor) -> Tensor:
    """o = H(z), z = u / v - 1, with do/dz = 0.3 max(0, 1 - |z|)."""
    z = u / v - 1
    return (z > 0).to(u.dtype) + 0.3 * (1 - z.abs()).clamp_min(0).detach() * (z - z.detach())


class PlainLoop:
    """A network by its parameters; `spikes` are those of the last presentation, `[T, B, N]`."""

    def __init__(self, job: spec.JobSpec, network: SequentialNetwork) -> None:
        self.job = job
        self.p = dict(network.named_parameters())
        self.fired: dict[str, list[Tensor]] = {}

    def named(self, *ends: str) -> Tensor:
        (found,) = [value for name, value in self.p.items() if name.endswith(ends)]
        return found

    @property
    def spikes(self) -> dict[str, Tensor]:
        return {name: torch.stack([_rows(o) for o in fired]) for name, fired in self.fired.items()}

    def __call__(self, x: Input) -> Tensor:
        """The values that are read, `[B, S, K]`."""
        numbers = as_numbers(x, torch.float64)
        n_steps, batch, width = numbers.shape
        step = self.stack(list(spec.named_layers(self.job)), n_steps)
        channels = width // 64
        shown = numbers.reshape(n_steps, batch, 8, 8, channels).permute(0, 1, 4, 2, 3)
        last = [_rows(step(image)) for image in shown]
        assert isinstance(self.job.architecture, spec.Sequential)
        readout = self.job.architecture.readout
        weight = self.named("output.synapses.weight")
        bias = self.named("output.bias") if readout.bias else torch.zeros(len(weight), dtype=torch.float64, device=CPU)
        sent = [h @ weight.T for h in last]
        match readout:
            case spec.EveryStepReadout():
                return torch.stack([current + bias for current in sent], dim=1)
            case spec.AccumulatorReadout():
                return torch.stack([current + bias for current in sent]).sum(dim=0)[:, None]
            case _:
                decay = torch.exp(torch.tensor(-1.0 / 5.0, dtype=torch.float64, device=CPU))
                y = torch.zeros_like(sent[0])
                for current in sent:
                    y = decay * y + (1 - decay) * current
                return y[:, None]

    def stack(self, layers: spec.NamedLayers, n_steps: int) -> Step:
        steps = [self.layer(name, layer, n_steps, i, layers) for i, (name, layer) in enumerate(layers)]

        def through(h: Tensor) -> Tensor:
            for step in steps:
                h = step(h)
            return h

        return through

    def layer(self, name: str, layer: spec.SequentialLayer, n_steps: int, i: int, layers: spec.NamedLayers) -> Step:
        match layer:
            case spec.Conv2d():
                weight = self.named(f".{name}.weight")
                bias = self.named(f".{name}.bias") if layer.bias else None
                padding = (layer.kernel - 1) // 2 if layer.padding == "same" else layer.padding
                act = torch.tanh if layer.activation == "tanh" else lambda x: x
                return lambda h: act(conv2d(h, weight, bias, stride=layer.stride, padding=padding))
            case spec.Dense():
                follows = i + 1 < len(layers) and isinstance(layers[i + 1][1], spec.Spiking)
                owner = layers[i + 1][0] if follows and layer.activation == "linear" else name
                weight, bias = self.named(f".{owner}.synapses.weight"), self.named(f".{owner}.bias")
                act = torch.relu if layer.activation == "relu" else lambda x: x
                return lambda h: act(_rows(h) @ weight.T + bias)
            case spec.AveragePool():
                return lambda h: avg_pool2d(h, layer.size)
            case spec.ReLU():
                return torch.relu
            case spec.Residual():
                main, beside = (self.stack(branch, n_steps) for branch in layer.branches(name))
                return lambda h: main(h) + beside(h)
            case spec.Dropout():
                return self.dropout(name, layer, n_steps)
            case spec.Spiking():
                assert isinstance(layer.neuron, spec.LayerLIF)
                return self.neurons(name, layer.neuron)
            case _:
                raise NotImplementedError(layer.kind)

    def dropout(self, name: str, layer: spec.Dropout, n_steps: int) -> Step:
        """The mask is drawn in the order of the features."""
        now = iter(range(n_steps))
        masks: list[Tensor] = []

        def step(h: Tensor) -> Tensor:
            t = next(now)
            if not masks:
                n_masks = n_steps if layer.over_time == "independent" else 1
                kept = draws(name).random((n_masks, *_rows(h).shape), dtype="f4") >= layer.rate
                masks.extend(torch.from_numpy(kept).to(h.dtype).unbind())
            mask = masks[t if layer.over_time == "independent" else 0] / (1 - layer.rate)
            return h * mask.reshape(len(h), *h.shape[2:], h.shape[1]).permute(0, 3, 1, 2)

        return step

    def neurons(self, name: str, form: spec.LayerLIF) -> Step:
        leak, v = self.named(f".{name}.units.leak"), self.named(f".{name}.units.v_threshold")
        fired = self.fired[name] = []
        u: list[Tensor] = []

        def step(current: Tensor) -> Tensor:
            if not u:
                u.append(current)
            elif form.reset_timing == "next_step":
                u[0] = leak * u[0] + current - v * fired[-1]
            else:
                u[0] = leak * (u[0] - v * fired[-1]) + current
            fired.append(fire(u[0], v))
            return fired[-1]

        return step


def _rows(h: Tensor) -> Tensor:
    """Images in the order of the features; what is none as it is."""
    return h if h.dim() == 2 else h.permute(0, 2, 3, 1).reshape(len(h), -1)
