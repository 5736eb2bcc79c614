"""Spikes: a hard threshold forward, a pseudo-derivative backward.

With x = (v - threshold) / threshold, a spike is z = H(x). Its derivative, zero almost everywhere, is replaced by a
surrogate h(x) (Bellec et al. 2018; Neftci et al. 2019). `scaled` takes dz/dx = h(x) and leaves the rest to the chain
rule, so dz/dv = h(x) / threshold and the threshold gets its gradient too; `raw` takes dz/d(v - threshold) = h(x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from snncore import spec

SpikeFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(v `[B, N]`, threshold `[B, N]` or `[N]`) -> spikes `[B, N]`."""


def pseudo_derivative(surrogate: spec.Surrogate, x: Tensor) -> Tensor:
    """h(x) of the surrogate, elementwise."""
    scaled = x / surrogate.width
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
    return surrogate.dampening * shape


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


def spike_function(neuron: spec.LIF | spec.ALIF) -> SurrogateSpike:
    """The spike function that the fields `fires_at`, `surrogate` and `surrogate_scaling` describe."""
    return SurrogateSpike(neuron.surrogate, neuron.surrogate_scaling == "scaled", neuron.fires_at == "greater_equal")
