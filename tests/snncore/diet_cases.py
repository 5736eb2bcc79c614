"""Small networks to train, convert and train on, and a plain loop over time that is what they should be."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from snncore.sequential import SequentialNetwork
from snncore.spec import JobSpec
from tests.snncore.jobs import tiny_spec

CPU = torch.device("cpu")
SPIKING: dict[str, Any] = {"kind": "spiking"}
POOL: dict[str, Any] = {"kind": "average_pool"}


def conv(channels: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "conv2d", "channels": channels, "bias": False, "weights": {"kind": "he_fan_out"}, **fields}


def dense(n_units: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "dense", "n_units": n_units, "bias": False, **fields}


LAYERS = [conv(4), SPIKING, POOL, dense(12), SPIKING, {"kind": "dropout", "rate": 0.3, "over_time": "constant"}]


def diet_parts(layers: list[dict[str, Any]] | None = None, **training: Any) -> dict[str, Any]:
    """Parts of a job on digits: 4 steps, of which a batch takes a moment."""
    form = {
        "kind": "diet",
        "epochs": 2,
        "batch_size": 256,
        "optimiser": {"kind": "adam", "learning_rate": 0.01, "amsgrad": True},
        "ann": {"epochs": 2, "batch_size": 256, "optimiser": {"kind": "adam", "learning_rate": 0.01}},
        "conversion": {"n_samples": 40, "steps": 8, "compared": [{"steps": 9}], "scaling_factor": 0.5},
    }
    return {
        "encoding": {"kind": "direct", "duration_ms": 4.0},
        "architecture": {
            "kind": "sequential",
            "layers": LAYERS if layers is None else layers,
            "readout": {"kind": "accumulator", "bias": False},
        },
        "neuron": {"kind": "layer_lif"},
        "training": {**form, **training},
    }


def diet_spec(layers: list[dict[str, Any]] | None = None, **training: Any) -> JobSpec:
    return tiny_spec(**diet_parts(layers, **training))


class Surrogate(torch.autograd.Function):
    """o = 1 where x > 0; do/dx = 0.3 max(0, 1 - |x|)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        return (x > 0).to(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return gradient * 0.3 * (1 - x.abs()).clamp_min(0)


def weights_of(network: SequentialNetwork) -> list[Tensor]:
    """Of `LAYERS`: convolution, dense layer, output."""
    return [parameter for name, parameter in network.named_parameters() if name.endswith("weight")]


def pooled(x: Tensor) -> Tensor:
    """The 2 x 2 means of images `[B, C, 8, 8]`, features in the order row, column, channel."""
    return avg_pool2d(x, 2).permute(0, 2, 3, 1).flatten(1)


def plain_ann(weights: list[Tensor], images: Tensor) -> Tensor:
    """The twin of `LAYERS` without dropout."""
    first, second, last = weights
    hidden = torch.relu(conv2d(images, first, padding=1))
    return torch.relu(pooled(hidden) @ second.T) @ last.T


def plain_loop(
    weights: list[Tensor], leaks: list[Tensor], thresholds: list[Tensor], images: Tensor, n_steps: int, timing: str
) -> tuple[Tensor, list[Tensor]]:
    """`LAYERS` step by step (eq. 4 of the source): what the outputs add up to, and the spikes of each neuron."""
    first, second, last = weights
    n = len(images)
    u = [images.new_zeros(n, 4, 8, 8), images.new_zeros(n, 12)]
    o = [torch.zeros_like(part) for part in u]
    counts = [torch.zeros_like(part) for part in u]
    outputs = images.new_zeros(n, 10)

    def fired(i: int, current: Tensor) -> Tensor:
        if timing == "next_step":
            u[i] = leaks[i] * u[i] + current - thresholds[i] * o[i]
        else:
            u[i] = leaks[i] * (u[i] - thresholds[i] * o[i]) + current
        o[i] = Surrogate.apply(u[i] / thresholds[i] - 1)  # type: ignore[no-untyped-call]
        counts[i] = counts[i] + o[i]
        return o[i]

    for _ in range(n_steps):
        hidden = fired(0, conv2d(images, first, padding=1))
        outputs = outputs + fired(1, pooled(hidden) @ second.T) @ last.T
    return outputs, [counts[0].permute(0, 2, 3, 1).flatten(1), counts[1]]
