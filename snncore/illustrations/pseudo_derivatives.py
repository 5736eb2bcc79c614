"""The surrogates of `snncore.surrogates` in NumPy."""

from __future__ import annotations

import numpy as np

from snncore.illustrations.base import Floats
from snncore.spec.surrogate import (
    Arctan,
    Boxcar,
    Constant,
    Exponential,
    FastSigmoid,
    Gaussian,
    MultiGaussian,
    Sigmoid,
    Surrogate,
    Triangle,
    Zero,
)


def pseudo_derivative(surrogate: Surrogate, x: Floats) -> Floats:
    """h(x), elementwise."""
    match surrogate:
        case Zero():
            return np.zeros_like(x)
        case Constant():
            return np.full_like(x, surrogate.dampening)
    scaled = np.abs(x) / surrogate.width  # all of them are even
    match surrogate:
        case Triangle():
            shape = np.maximum(1 - scaled, 0)
        case FastSigmoid():
            shape = (1 + scaled) ** -2
        case Sigmoid():
            power = np.exp(-scaled)  # of a number that is not positive, so that it cannot overflow
            shape = 4 * power / (1 + power) ** 2
        case Arctan():
            shape = 1 / (1 + scaled**2)
        case Gaussian():
            shape = np.exp(-0.5 * scaled**2)
        case Boxcar():
            shape = (scaled <= 1).astype(np.float64)
        case Exponential():
            shape = np.exp(-scaled)
        case MultiGaussian():
            shape = _multi_gaussian(surrogate, scaled) / _multi_gaussian(surrogate, np.zeros(1))
    return surrogate.dampening * shape


def _multi_gaussian(surrogate: MultiGaussian, x: Floats) -> Floats:
    """A Gaussian less two wide ones at 1 and -1, of `x` in units of the width (Yin et al. 2021), not normalised."""
    lobes = sum(np.exp(-0.5 * ((x - centre) / surrogate.lobe_width) ** 2) for centre in (1, -1))
    height = surrogate.lobe_height
    shape: Floats = (1 + height) * np.exp(-0.5 * x**2) - height / surrogate.lobe_width * lobes
    return shape
