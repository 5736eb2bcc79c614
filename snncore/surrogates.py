"""Spikes: a hard threshold forward, a pseudo-derivative backward.

With x = (v - threshold) / threshold, a spike is z = H(x). Its derivative, zero almost everywhere, is replaced by a
surrogate h(x) (Bellec et al. 2018; Neftci et al. 2019). `scaled` takes dz/dx = h(x) and leaves the rest to the chain
rule, so dz/dv = h(x) / threshold and the threshold gets its gradient too; `raw` takes dz/d(v - threshold) = h(x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from snncore import spec

SpikeFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(v `[B, N]`, threshold `[B, N]` or `[N]`) -> spikes `[B, N]`."""


class Shape(NamedTuple):
    """A surrogate as numbers. Those that its kind does not have are such that they do not matter."""

    kind: str
    dampening: float
    width: float
    lobe_height: float
    lobe_width: float


def shape_of(surrogate: spec.Surrogate) -> Shape:
    """Its kind and its numbers; 'zero' is of height 0."""
    absent = {"dampening": 0.0, "width": 1.0, "lobe_height": 0.0, "lobe_width": 1.0}
    return Shape(surrogate.kind, **{name: getattr(surrogate, name, value) for name, value in absent.items()})


def pseudo_derivative(surrogate: spec.Surrogate, x: Tensor) -> Tensor:
    """h(x) of the surrogate, elementwise."""
    form = shape_of(surrogate)
    scaled = x / form.width
    match surrogate.kind:
        case "triangle":
            shape = (1 - scaled.abs()).clamp_min(0)
        case "fast_sigmoid":
            shape = (1 + scaled.abs()).pow(-2)
        case "arctan":
            shape = 1 / (1 + scaled.square())
        case "gaussian":
            shape = (-0.5 * scaled.square()).exp()
        case "boxcar":
            shape = (scaled.abs() <= 1).to(x.dtype)
        case "constant" | "zero":
            shape = torch.ones_like(x)
        case "sigmoid":
            # 4 s (1 - s) is even, and exp(-|x|) never overflows
            tail = (-scaled.abs()).exp()
            shape = 4 * tail / (1 + tail).square()
        case "exponential":
            shape = (-scaled.abs()).exp()
        case "multi_gaussian":
            shape = _multi_gaussian(scaled, form) / _multi_gaussian(torch.zeros_like(x), form)
    return form.dampening * shape


def _multi_gaussian(x: Tensor, form: Shape) -> Tensor:
    """s sqrt(2 pi) times the density of Yin et al., at `x` in units of s."""
    lobes = sum((-0.5 * ((x - centre) / form.lobe_width).square()).exp() for centre in (1, -1))
    return (1 + form.lobe_height) * (-0.5 * x.square()).exp() - form.lobe_height / form.lobe_width * lobes


class _Fire(torch.autograd.Function):
    """H(distance) forward, h(x) backward."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, x: Tensor, surrogate: spec.Surrogate, inclusive: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (distance >= 0 if inclusive else distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        return grad_outputs[0] * pseudo_derivative(ctx.surrogate, x), None, None, None


@dataclass(frozen=True, slots=True)
class SurrogateSpike:
    """H(v - threshold) forward, the surrogate backward."""

    surrogate: spec.Surrogate
    scaled: bool
    inclusive: bool
    """Whether the threshold itself fires."""

    def __call__(self, v: Tensor, threshold: Tensor) -> Tensor:
        distance = v - threshold
        x = distance / threshold
        if self.scaled:
            distance = x
        spikes: Tensor = _Fire.apply(distance, x.detach(), self.surrogate, self.inclusive)  # type: ignore[no-untyped-call]
        return spikes


@dataclass(frozen=True, slots=True)
class SmoothSpike:
    """sigmoid((v - threshold) / width), forward and backward (Gerum & Schilling 2021, section 2.3)."""

    width: float

    def __call__(self, v: Tensor, threshold: Tensor) -> Tensor:
        return torch.sigmoid((v - threshold) / self.width)


def spike_function(neuron: spec.LIF | spec.ALIF | spec.LIFUnit | spec.LayerLIF) -> SurrogateSpike | SmoothSpike:
    """The spike function that the fields `smoothing`, `fires_at`, `surrogate` and `surrogate_scaling` describe."""
    if isinstance(neuron, spec.LayerLIF):
        return SurrogateSpike(neuron.surrogate, scaled=True, inclusive=False)
    if neuron.smoothing is not None:
        return SmoothSpike(neuron.smoothing.output_width)
    if isinstance(neuron, spec.LIFUnit):
        return SurrogateSpike(neuron.surrogate, scaled=False, inclusive=True)
    return SurrogateSpike(neuron.surrogate, neuron.surrogate_scaling == "scaled", neuron.fires_at == "greater_equal")
