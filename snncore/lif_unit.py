"""What is known in closed form of the LIF unit of Gerum & Schilling (2021), for whoever does not want to simulate it.

With the leak `w_leak`, a share from 0 to 1 in each step, and the factor `w_input` on the input, from V[-1] = 0 (their
eqs. 10 and 11; the reset to zero takes effect in the next step):

    V[t] = w_input I[t] + (1 - w_leak) V[t-1] (1 - y[t-1])
    y[t] = 1 if V[t] >= threshold, else 0

All arguments may be arrays, and are broadcast. No torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def input_threshold(w_input: ArrayLike, w_leak: ArrayLike, threshold: ArrayLike = 1.0) -> Floats:
    """The constant input that is never enough, and every larger one is (eq. 23): I_min = threshold w_leak / w_input.

    Raises `ValueError` where `w_input` is not positive.
    """
    w_input, w_leak, threshold = _checked(w_input, w_leak, threshold)
    if not (w_input > 0).all():
        raise ValueError("w_input must be positive: there is no such input for another")
    return np.asarray(threshold * w_leak / w_input)


def period(current: ArrayLike, w_input: ArrayLike, w_leak: ArrayLike, threshold: ArrayLike = 1.0) -> Floats:
    """Steps between spikes under a constant input `current`; infinite where the unit is silent.

    The spikes are at k - 1, 2 k - 1, ... with k = ceil(ln(1 - threshold w_leak / (I w_input)) / ln(1 - w_leak)), or
    ceil(threshold / (I w_input)) without a leak. That is eq. 22; eq. 21 starts with one input already in, and is less
    by one. Where the quotient is an integer but for rounding, a simulation may take a step more or less.

    Raises `ValueError` for a leak outside of 0 to 1, or a threshold that is not positive; so do the others.
    """
    w_input, w_leak, threshold = _checked(w_input, w_leak, threshold)
    drive, w_leak, threshold = np.broadcast_arrays(np.asarray(current, np.float64) * w_input, w_leak, threshold)
    fires = (drive > threshold * w_leak) | ((w_leak == 1) & (drive >= threshold))
    missing = np.where(fires, threshold, 0.0) / np.where(fires, drive, 1.0)
    leaks = (w_leak > 0) & (w_leak < 1)
    leak = np.where(leaks, w_leak, 0.5)
    leaky = np.log1p(-leak * np.where(leaks, missing, 0.0)) / np.log1p(-leak)
    # with a leak of 1, a step forgets all before it: the first has to be enough
    exact = np.where(leaks, leaky, np.where(w_leak == 1, 1.0, missing))
    return np.where(fires, np.maximum(np.ceil(exact), 1.0), np.inf)


def largest_distance(
    n_impulses: int | None, w_input: ArrayLike, w_leak: ArrayLike, threshold: ArrayLike = 1.0
) -> Floats:
    """The most steps between unit impulses at which the unit fires with the `n_impulses`-th at the latest.

    `n_impulses` is 2, 3, or None for any number. For a threshold of 1 it is floor(ln q / ln(1 - w_leak)) with
    q = 1 / w_input - 1, (sqrt(4 / w_input - 3) - 1) / 2, or 1 - w_input: as much of an impulse has to be left at the
    next one. Infinite where any distance will do, and NaN where none will; 0 where the impulses have to coincide. For
    None, the potential just tends to the threshold where ln q / ln(1 - w_leak) is an integer.

    Raises `ValueError` for another number of impulses.
    """
    if n_impulses not in (2, 3, None):
        raise ValueError(f"n_impulses must be 2, 3 or None, not {n_impulses}")
    w_input, w_leak, threshold = _checked(w_input, w_leak, threshold)
    share, w_leak = np.broadcast_arrays(w_input / threshold, w_leak)
    positive = np.where(share > 0, share, 1.0)
    match n_impulses:
        case 2:
            needed = 1 / positive - 1
        case 3:
            needed = (np.sqrt(np.maximum(4 / positive - 3, 0.0)) - 1) / 2
        case _:
            needed = 1 - positive
    reachable = (share > 0) & (needed <= 1)
    always = reachable & ((needed <= 0) | (w_leak == 0))
    limited = reachable & ~always
    ratio = np.log(np.where(limited, needed, 1.0)) / np.log1p(-np.where(limited & (w_leak < 1), w_leak, 0.5))
    distance = np.where(w_leak == 1, 0.0, np.floor(ratio))
    return np.where(always, np.inf, np.where(reachable, distance, np.nan))


def _checked(w_input: ArrayLike, w_leak: ArrayLike, threshold: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """As arrays. Raises `ValueError` for a leak outside of 0 to 1 or a threshold that is not positive."""
    leak, level = np.asarray(w_leak, np.float64), np.asarray(threshold, np.float64)
    if not ((leak >= 0) & (leak <= 1)).all():
        raise ValueError("w_leak must lie between 0 and 1")
    if not (level > 0).all():
        raise ValueError("threshold must be positive")
    return np.asarray(w_input, np.float64), leak, level
