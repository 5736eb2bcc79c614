"""How far back the spikes of a LIF unit send an error, for each surrogate gradient."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from snncore.illustrations.base import (
    Floats,
    Illustration,
    Integers,
    Result,
    Stimulus,
    Threshold,
    Vector,
    WeightInput,
    WeightLeak,
)
from snncore.illustrations.lif import run_one
from snncore.illustrations.pseudo_derivatives import pseudo_derivative
from snncore.spec.surrogate import Constant, FastSigmoid, Sigmoid, Surrogate, Triangle, Zero

MOST_STEPS = 400
"""A unit that never spikes sends its error to every input: the map has steps * (steps + 1) / 2 numbers."""

_WIDTH = 0.1
"""Of the surrogates of tf_spiking, the package of Gerum & Schilling 2020, whose beta is 10."""

SURROGATES: list[Surrogate] = [
    Constant(kind="constant", dampening=1.0),
    Zero(kind="zero"),
    FastSigmoid(kind="fast_sigmoid", dampening=1.0, width=_WIDTH),
    Sigmoid(kind="sigmoid", dampening=0.25, width=_WIDTH),
    Triangle(kind="triangle", dampening=1.0, width=_WIDTH),
]
"""Their constant surrogate, no gradient, SuperSpike, the sigmoid's and Esser's."""


class GradientParameters(Stimulus):
    steps: int = Field(default=211, ge=1, le=MOST_STEPS, description="Length in time steps.")
    pattern: Literal["constant", "impulses"] = Field(
        default="impulses",
        description="`current` at every step, or only at impulses 11, 10, 9, ..., 1 steps apart, over and over.",
    )
    current: float = Field(default=1.0, ge=-100, le=100, description="Input, or the height of an impulse.")
    drawn_input: list[Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_STEPS,
        description="An input number for each step, in place of `steps`, `pattern` and `current`.",
    )
    w_input: WeightInput = 0.14
    w_leak: WeightLeak = 0.02
    threshold: Threshold = 1.0
    surrogates: list[Surrogate] = Field(
        default=SURROGATES, min_length=1, max_length=10, description="There is a map for each of these."
    )
    surrogate_scaling: Literal["raw", "scaled"] = Field(
        default="raw", description="With x = (v - threshold) / threshold, dz/dv is h(x), or h(x) / threshold."
    )


class GradientMap(Result):
    """The gradient of every output with respect to every input that reaches it."""

    surrogate: Surrogate
    derivative: Vector = Field(description="dy[t]/dv[t], which the surrogate stands for, `[T]`.")
    dy_dx: list[Vector] = Field(
        description="Row t: dy[t]/dx[s] for the steps s from `first_step[t]` to t. It is 0 for all others."
    )
    mean_by_distance: Vector = Field(
        description="dy[t]/dx[t - n] for n = 0, 1, ..., summed over t and divided by T, `[T]`."
    )


class Gradients(Result):
    input: Vector = Field(description="`[T]`")
    v: Vector = Field(description="Potential before the reset of its own spike, `[T]`.")
    spikes: Integers = Field(description="0 or 1, `[T]`.")
    first_step: Integers = Field(description="The earliest input that reaches each output: the step after a spike.")
    dv_dw_input: Vector = Field(description="dv[t]/dw_input, `[T]`; times `derivative` it is dy[t]/dw_input.")
    dv_dw_leak: Vector = Field(description="dv[t]/dw_leak, `[T]`; times `derivative` it is dy[t]/dw_leak.")
    maps: list[GradientMap]


def compute(parameters: GradientParameters) -> Gradients:
    """The sums that backpropagation through time comes to (Gerum & Schilling 2020, eqs. 52-54).

    With g[t] = 1 - z[t], through which no gradient flows, and h the surrogate,

        dy[t]/dx[t-n] = h(v[t]) w_input (1 - w_leak)^n g[t-1] ... g[t-n]

    so that an error reaches every input since the last spike, and none before it.
    """
    p = parameters
    current = p.values()
    v, z = run_one(current, p.w_input, p.w_leak, p.threshold)
    n_steps, kept = len(v), 1 - p.w_leak
    steps = np.arange(n_steps)
    first = _first_steps(z)
    powers = kept**steps
    x = (v - p.threshold) / p.threshold
    rows = [p.w_input * powers[t - start :: -1] for t, start in zip(steps.tolist(), first.tolist(), strict=True)]
    maps = []
    for surrogate in p.surrogates:
        derivative = pseudo_derivative(surrogate, x)
        if p.surrogate_scaling == "scaled":
            derivative = derivative / p.threshold
        maps.append(
            GradientMap(
                surrogate=surrogate,
                derivative=derivative,
                dy_dx=[h * row for h, row in zip(derivative, rows, strict=True)],
                mean_by_distance=p.w_input * powers * _reaching(derivative, steps - first) / n_steps,
            )
        )
    dv_dw_input, dv_dw_leak = _by_parameters(current, v, z, kept)
    return Gradients(
        input=current,
        v=v,
        spikes=z.astype(np.int64),
        first_step=first,
        dv_dw_input=dv_dw_input,
        dv_dw_leak=dv_dw_leak,
        maps=maps,
    )


def _first_steps(z: Floats) -> NDArray[np.int64]:
    """The step after the last spike before each step, `[T]`."""
    after_spike = np.where(z[:-1] > 0, np.arange(1, len(z)), 0)
    return np.maximum.accumulate(np.concatenate([[0], after_spike]))


def _reaching(derivative: Floats, longest: NDArray[np.int64]) -> Floats:
    """The sum of the derivatives of those outputs that the input n steps before reaches, for each n, `[T]`."""
    by_longest = np.bincount(longest, weights=derivative, minlength=len(derivative))
    return by_longest[::-1].cumsum()[::-1]


def _by_parameters(current: Floats, v: Floats, z: Floats, kept: float) -> tuple[Floats, Floats]:
    """dv/dw_input and dv/dw_leak, each `[T]`, by the recursions that differentiating eq. 10 gives."""
    by_input, by_leak = np.zeros_like(v), np.zeros_like(v)
    for t in range(len(v)):
        open_gate = 1 - z[t - 1] if t else 0.0
        by_input[t] = current[t] + kept * open_gate * by_input[t - 1]
        by_leak[t] = open_gate * (kept * by_leak[t - 1] - v[t - 1])
    return by_input, by_leak


ILLUSTRATION = Illustration(
    name="gradient",
    title="Surrogate gradients",
    shows="The gradient of every output with respect to every earlier input, one map for each surrogate.",
    source="Gerum & Schilling 2020, section 2.4 (eqs. 50-54)",
    parameters=GradientParameters,
    result=Gradients,
    compute=compute,
    examples=(
        {"w_input": 0.099, "w_leak": 0},
        {"w_input": 0.5, "w_leak": 0.3, "surrogates": [{"kind": "constant"}, {"kind": "gaussian"}]},
    ),
)
