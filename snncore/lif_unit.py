"""The LIF unit of Gerum & Schilling 2020 in closed form: periods, and distances between impulses.

    v[t] = w_input x[t] + (1 - w_leak) v[t-1] (1 - z[t-1])        (eq. 10)
    z[t] = H(v[t] - threshold)                                    (eq. 11)

from v[-1] = 0. These formulas are what simulations are held to.
"""

from __future__ import annotations

import math


def input_threshold(w_input: float, w_leak: float, threshold: float = 1.0) -> float:
    """The constant input that has to be exceeded for the unit ever to spike (eq. 23); `w_input` is positive."""
    return threshold * w_leak / w_input


def exact_period(current: float, w_input: float, w_leak: float, threshold: float = 1.0) -> float | None:
    """The time to the threshold in steps, before it is rounded up; None if a constant input never gets there."""
    drive = w_input * current
    if drive <= 0 or (w_leak < 1 and drive <= threshold * w_leak):
        return None
    if w_leak == 0:
        return threshold / drive
    if w_leak == 1:
        return 0.0 if drive >= threshold else None
    return math.log1p(-threshold * w_leak / drive) / math.log1p(-w_leak)


def period(current: float, w_input: float, w_leak: float, threshold: float = 1.0) -> int | None:
    """Steps from spike to spike at a constant input: spikes come at k-1, 2k-1, ...; None if there are none."""
    steps = exact_period(current, w_input, w_leak, threshold)
    return None if steps is None else max(1, math.ceil(steps))


def impulse_distance(n_spikes: int | None, w_input: float, w_leak: float) -> float:
    """The largest distance in steps at which `n_spikes` unit impulses (2, 3, or None: without end) make the unit fire.

    At threshold 1. `inf` where one impulse is enough or the potential does not leak away, 0 where so many do not
    reach it at any distance.
    """
    kept = _kept(n_spikes, w_input)
    if kept <= 0:
        return math.inf
    if kept > 1:
        return 0
    if w_leak in (0, 1) or kept == 1:
        return math.inf if w_leak == 0 else 0
    return math.floor(math.log(kept) / math.log1p(-w_leak))


def _kept(n_spikes: int | None, w_input: float) -> float:
    """The share of an impulse that has to be left at the next one."""
    if w_input >= 1:
        return 0.0
    if w_input <= 0:
        return math.inf
    if n_spikes == 2:
        return 1 / w_input - 1
    if n_spikes == 3:
        return (math.sqrt(4 / w_input - 3) - 1) / 2
    return 1 - w_input
