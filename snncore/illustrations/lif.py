"""The LIF unit of `snncore.units` in NumPy."""

from __future__ import annotations

import numpy as np

from snncore import lif_unit
from snncore.illustrations.base import Floats


def run(
    current: Floats, w_input: float, w_leak: float, threshold: float, *, non_negative: bool = False
) -> tuple[Floats, Floats]:
    """Potentials before their reset and spikes, 0 or 1, each `[T, N]`, of an input `[T, N]` (Gerum & Schilling, 10-11).

    v[t] = w_input x[t] + (1 - w_leak) v[t-1] (1 - z[t-1]),  z[t] = H(v[t] - threshold)

    With `non_negative`, v[t] is cut off at 0 before it is compared.
    """
    potentials, spikes = np.empty_like(current), np.empty_like(current)
    incoming = w_input * current
    kept = 1 - w_leak
    v = z = np.zeros(current.shape[1])
    for t in range(len(current)):
        v = kept * (v * (1 - z)) + incoming[t]
        if non_negative:
            v = np.maximum(v, 0)
        z = (v >= threshold).astype(np.float64)
        potentials[t], spikes[t] = v, z
    return potentials, spikes


def run_one(
    current: Floats, w_input: float, w_leak: float, threshold: float, *, non_negative: bool = False
) -> tuple[Floats, Floats]:
    """The same for one unit: everything is `[T]`."""
    v, z = run(current[:, None], w_input, w_leak, threshold, non_negative=non_negative)
    return v[:, 0], z[:, 0]


def period(current: float, w_input: float, w_leak: float, threshold: float) -> int | None:
    """By formula, the steps from spike to spike at a constant input; None if there are none."""
    with np.errstate(over="ignore", invalid="ignore"):  # an input that is hardly there takes for ever
        steps = float(lif_unit.period(current, w_input, w_leak, threshold))
    return int(steps) if np.isfinite(steps) else None
