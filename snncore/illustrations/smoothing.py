"""A LIF unit whose step functions are smoothed, beside the one that it stands for."""

from __future__ import annotations

import math

import numpy as np
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


class SmoothingParameters(Stimulus):
    w_input: WeightInput = 0.5
    w_leak: WeightLeak = 0.1
    threshold: Threshold = 1.0
    output_width: float = Field(default=0.010, ge=1e-4, le=1, description="Width of the step that makes spikes, d1.")
    reset_width: float = Field(default=0.004, ge=1e-4, le=1, description="Width of the step that resets, d2.")


class SmoothedTrace(Result):
    input: Vector = Field(description="`[T]`")
    v_hard: Vector = Field(description="Potential of the unit with hard steps, `[T]`.")
    spikes_hard: Integers = Field(description="Its spikes, 0 or 1, `[T]`.")
    v_smooth: Vector = Field(description="Potential of the smoothed unit, `[T]`.")
    y_smooth: Vector = Field(description="Its output, between 0 and 1, `[T]`.")
    largest_difference: float = Field(description="Of the outputs of the two, over all steps.")


def compute(parameters: SmoothingParameters) -> SmoothedTrace:
    p = parameters
    current = p.values()
    v_hard, z = run_one(current, p.w_input, p.w_leak, p.threshold)
    v_smooth, y_smooth = _run_smoothed(current, p)
    return SmoothedTrace(
        input=current,
        v_hard=v_hard,
        spikes_hard=z.astype(np.int64),
        v_smooth=v_smooth,
        y_smooth=y_smooth,
        largest_difference=float(np.abs(y_smooth - z).max()),
    )


def _run_smoothed(current: Floats, p: SmoothingParameters) -> tuple[Floats, Floats]:
    """Both steps H(x) in the place of sigma(x / d) (Gerum & Schilling, eq. 24).

    v[t] = w_input x[t] + (1 - w_leak) v[t-1] sigma((threshold - v[t-1]) / reset_width)
    y[t] = sigma((v[t] - threshold) / output_width)
    """
    v, potentials, outputs = 0.0, [], []
    for incoming in (p.w_input * current).tolist():
        v = (1 - p.w_leak) * (v * sigmoid((p.threshold - v) / p.reset_width)) + incoming
        potentials.append(v)
        outputs.append(sigmoid((v - p.threshold) / p.output_width))
    return np.array(potentials), np.array(outputs)


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    power = math.exp(x)
    return power / (1 + power)


ILLUSTRATION = Illustration(
    name="smoothing",
    title="Smoothed steps",
    shows="The unit with sigmoids of widths d1 and d2 in place of its two steps, beside the hard one.",
    source="Gerum & Schilling 2020, section 2.3 (eq. 24)",
    parameters=SmoothingParameters,
    result=SmoothedTrace,
    compute=compute,
    examples=({"output_width": 0.1, "reset_width": 0.05},),
)
