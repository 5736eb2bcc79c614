"""The surrogates of `snncore.surrogates` in NumPy."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from snncore.illustrations.base import Floats
from snncore.spec.base import Part
from snncore.spec.neuron import Arctan, Boxcar, FastSigmoid, Gaussian, Triangle


class Constant(Part):
    """`dampening`, wherever the potential is."""

    kind: Literal["constant"]
    dampening: float = Field(default=1.0, gt=0, le=100, description="Height of the pseudo-derivative.")


class Zero(Part):
    """No gradient."""

    kind: Literal["zero"]


class Sigmoid(Part):
    """`4 * dampening * s * (1 - s)` with the sigmoid s of `x / width`."""

    kind: Literal["sigmoid"]
    dampening: float = Field(default=0.3, gt=0, le=100, description="Height of the pseudo-derivative at the threshold.")
    width: float = Field(default=1.0, gt=0, le=1e3, description="Its half-width, in the units of the scaled potential.")


Surrogate = Annotated[
    Constant | Zero | FastSigmoid | Sigmoid | Triangle | Arctan | Gaussian | Boxcar, Field(discriminator="kind")
]


def pseudo_derivative(surrogate: Surrogate, x: Floats) -> Floats:
    """h(x), elementwise."""
    match surrogate:
        case Zero():
            return np.zeros_like(x)
        case Constant():
            return np.full_like(x, surrogate.dampening)
    scaled = np.abs(x) / surrogate.width
    match surrogate:
        case Triangle():
            shape = np.maximum(1 - scaled, 0)
        case FastSigmoid():
            shape = (1 + scaled) ** -2
        case Sigmoid():
            power = np.exp(-scaled)  # of -|x|, which cannot overflow; the shape is even
            shape = 4 * power / (1 + power) ** 2
        case Arctan():
            shape = 1 / (1 + scaled**2)
        case Gaussian():
            shape = np.exp(-0.5 * scaled**2)
        case Boxcar():
            shape = (scaled <= 1).astype(np.float64)
    return surrogate.dampening * shape
