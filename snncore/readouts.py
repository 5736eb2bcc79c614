"""How the output of a network is read from its spikes."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from snncore import spec


class Reading(NamedTuple):
    """The outputs of a batch, `[B, K]`: what a softmax takes, and the same as firing rates where there are any."""

    values: Tensor
    rates_hz: Tensor | None


def leaky_kernel(readout: spec.LeakyReadout, n_steps: int, dt_ms: float) -> Tensor:
    """How much a spike at each step `[T]` weighs in the reduced output of a leaky unit, float64.

    The unit psp[t] = d psp[t-1] + (1 - d) z[t], d = exp(-dt / tau), is linear in the spikes, and so is its last value
    or its mean over a window; both are sums over z[t] with these weights (Renner 2020, section 2.3).
    """
    decay = math.exp(-dt_ms / readout.tau_ms)
    steps_ago = torch.arange(n_steps - 1, -1, -1, dtype=torch.float64)
    if readout.reduction == "last":
        return (1 - decay) * decay**steps_ago
    window = n_steps if readout.window_ms is None else max(1, round(readout.window_ms / dt_ms))
    # a spike `k` steps before the end has been low-passed for min(k, window - 1) + 1 steps of the window, the first of
    # them k - min(k, window - 1) steps after it
    inside = steps_ago.clamp_max(window - 1)
    return decay ** (steps_ago - inside) * (1 - decay ** (inside + 1)) / window


def readout_kernel(readout: spec.Readout, n_steps: int, dt_ms: float) -> Tensor:
    """How much a spike at each step `[T]` weighs in what is read: float64."""
    if isinstance(readout, spec.LeakyReadout):
        return leaky_kernel(readout, n_steps, dt_ms)
    return (torch.arange(n_steps) >= warmup_steps(readout, dt_ms)).double()


def warmup_steps(readout: spec.SpikeCountReadout, dt_ms: float) -> int:
    """Steps whose spikes do not count."""
    return round(readout.warmup_ms / dt_ms)


def group_counts(counted: Tensor, readout: spec.SpikeCountReadout, n_steps: int, dt_ms: float) -> Reading:
    """Mean spike count of each group of output neurons; `counted` is `[B, K * group_size]`, without the warm-up.

    The rate is over the time that counts, T - warm-up (Renner 2020, eq. 4.3).
    """
    counts = counted.reshape(counted.shape[0], -1, readout.group_size).mean(dim=2)
    return Reading(counts, counts * (1000.0 / ((n_steps - warmup_steps(readout, dt_ms)) * dt_ms)))
