"""The potential and the spikes of one LIF unit."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from snncore.illustrations.base import (
    Illustration,
    Integers,
    Result,
    Stimulus,
    Threshold,
    Vector,
    WeightInput,
    WeightLeak,
)
from snncore.illustrations.lif import period, run_one
from snncore.lif_unit import input_threshold


class UnitParameters(Stimulus):
    w_input: WeightInput = 0.5
    w_leak: WeightLeak = 0.1
    threshold: Threshold = 1.0
    non_negative: bool = Field(default=False, description="Whether the potential is cut off at 0 in every step.")


class UnitTrace(Result):
    input: Vector = Field(description="What the unit received, `[T]`.")
    v: Vector = Field(description="Potential before the reset of its own spike, `[T]`.")
    spikes: Integers = Field(description="0 or 1, `[T]`.")
    spike_steps: Integers = Field(description="The steps of the spikes, counted from 0.")
    period_steps: int | None = Field(
        description="By formula, the steps from spike to spike; null: the input is not constant, or there are none."
    )
    input_threshold: float | None = Field(
        description="The constant input above which the unit spikes; null if `w_input` is not positive."
    )


def compute(parameters: UnitParameters) -> UnitTrace:
    w_input, w_leak, threshold = parameters.w_input, parameters.w_leak, parameters.threshold
    current = parameters.values()
    with np.errstate(over="ignore"):  # of a weight that is hardly there; such a number is null in JSON
        least = float(input_threshold(w_input, w_leak, threshold)) if w_input > 0 else None
    v, z = run_one(current, w_input, w_leak, threshold, non_negative=parameters.non_negative)
    return UnitTrace(
        input=current,
        v=v,
        spikes=z.astype(np.int64),
        spike_steps=np.flatnonzero(z),
        period_steps=period(parameters.current, w_input, w_leak, threshold) if parameters.is_constant else None,
        input_threshold=least,
    )


ILLUSTRATION = Illustration(
    name="unit",
    title="A LIF unit",
    shows="The membrane potential and the spikes of one unit, for a constant or a drawn input.",
    source="Gerum & Schilling 2020, section 2.1 (eqs. 10-11)",
    parameters=UnitParameters,
    result=UnitTrace,
    compute=compute,
    examples=(
        {"w_input": 0.3, "w_leak": 0.05, "drawn_input": [0, 1, 2, 3, 3, 3, 2, 1, 0, 0, 1, 1]},
        {"pattern": "impulses", "w_leak": 0.02},
    ),
)
