"""How the output of a network is read from its spikes."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from snncore import spec


class Reading(NamedTuple):
    """The outputs of a batch in each window that is read, `[B, S, K]`: what a softmax takes, and the same as firing
    rates where there are any."""

    values: Tensor
    rates_hz: Tensor | None


def leaky_kernel(tau_ms: float, dt_ms: float, start: int, stop: int) -> Tensor:
    """How much a spike at each step up to `stop` weighs in the mean of a leaky unit from `start` to `stop`, float64.

    The unit psp[t] = d psp[t-1] + (1 - d) z[t], d = exp(-dt / tau), is linear in the spikes, and so is its mean over a
    window; it is a sum over z[t] with these weights (Renner 2020, section 2.3). A window of one step is its value
    there.
    """
    decay = math.exp(-dt_ms / tau_ms)
    steps_ago = torch.arange(stop - 1, -1, -1, dtype=torch.float64)
    # a spike `k` steps before the end has been low-passed for min(k, window - 1) + 1 steps of the window, the first of
    # them k - min(k, window - 1) steps after it
    inside = steps_ago.clamp_max(stop - start - 1)
    return decay ** (steps_ago - inside) * (1 - decay ** (inside + 1)) / (stop - start)


def windows(job: spec.JobSpec) -> list[tuple[int, int]]:
    """The time steps (from, to) that each output is about: one window, or the frames of the encoding."""
    encoding, readout = job.encoding, job.layered.readout
    n_steps = encoding.n_steps
    if isinstance(readout, spec.EveryStepReadout):
        return [(t, t + 1) for t in range(n_steps)]
    if isinstance(readout, spec.AccumulatorReadout):
        return [(0, n_steps)]
    if readout.by_frame:
        steps = encoding.steps_a_frame
        leads = round(readout.warmup_ms / encoding.dt_ms) if isinstance(readout, spec.SpikeCountReadout) else 0
        return [(start + leads, start + steps) for start in range(0, n_steps, steps)]
    if isinstance(readout, spec.SpikeCountReadout):
        return [(round(readout.warmup_ms / encoding.dt_ms), n_steps)]
    if readout.reduction == "last":
        return [(n_steps - 1, n_steps)]
    length = n_steps if readout.window_ms is None else max(1, round(readout.window_ms / encoding.dt_ms))
    return [(n_steps - length, n_steps)]


def readout_kernel(job: spec.JobSpec) -> Tensor:
    """How much a spike at each step weighs in what is read of each window: `[S, T]`, float64. Of readouts that look at
    every step, none."""
    readout, n_steps = job.layered.readout, job.encoding.n_steps
    if not isinstance(readout, spec.LeakyReadout | spec.SpikeCountReadout):
        return torch.empty(0, n_steps, dtype=torch.float64)
    rows = []
    for start, stop in windows(job):
        row = torch.zeros(n_steps, dtype=torch.float64)
        if isinstance(readout, spec.LeakyReadout):
            row[:stop] = leaky_kernel(readout.tau_ms, job.encoding.dt_ms, start, stop)
        else:
            row[start:stop] = 1
        rows.append(row)
    return torch.stack(rows)


def group_counts(counted: Tensor, group_size: int, window_ms: float) -> Reading:
    """Mean spike count of each group of output neurons; `counted` is `[B, S, K * group_size]`.

    The rate is over the time that counts (Renner 2020, eq. 4.3).
    """
    counts = counted.reshape(*counted.shape[:2], -1, group_size).mean(dim=3)
    return Reading(counts, counts * (1000.0 / window_ms))
