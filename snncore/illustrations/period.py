"""How often a LIF unit spikes at a constant input."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from snncore.illustrations.base import Illustration, Parameters, Result, Threshold, Vector, WeightLeak
from snncore.lif_unit import input_threshold, period, time_to_threshold


class PeriodParameters(Parameters):
    w_input: float = Field(default=0.5, ge=0.001, le=10, description="Weight of the input, dt / C.")
    w_leak: WeightLeak = 0.1
    threshold: Threshold = 1.0
    largest_current: float = Field(default=2.0, ge=0.01, le=100, description="Where the curve ends; it begins near 0.")
    points: int = Field(default=300, ge=2, le=2_000, description="Currents, evenly spaced.")


class PeriodCurve(Result):
    current: Vector = Field(description="Constant inputs I, `[P]`.")
    period_steps: list[int | None] = Field(description="k(I), steps from spike to spike, `[P]`; null: no spike ever.")
    exact_steps: list[float | None] = Field(description="The same before it is rounded up to whole steps.")
    input_threshold: float = Field(description="I_min: there are spikes only above it.")


def compute(parameters: PeriodParameters) -> PeriodCurve:
    """k = ceil(ln(1 - threshold w_leak / (I w_input)) / ln(1 - w_leak))"""
    unit = (parameters.w_input, parameters.w_leak, parameters.threshold)
    current = parameters.largest_current * np.arange(1, parameters.points + 1) / parameters.points
    return PeriodCurve(
        current=current,
        period_steps=[int(k) if np.isfinite(k) else None for k in period(current, *unit)],
        exact_steps=[float(time) if np.isfinite(time) else None for time in time_to_threshold(current, *unit)],
        input_threshold=float(input_threshold(*unit)),
    )


ILLUSTRATION = Illustration(
    name="period",
    title="The period of a LIF unit",
    shows="The time from spike to spike over a constant input, and the least input that makes the unit spike.",
    source="Gerum & Schilling 2020, section 2.2 (eqs. 22-23)",
    parameters=PeriodParameters,
    result=PeriodCurve,
    compute=compute,
    examples=({"w_leak": 0.0}, {"w_input": 0.3, "w_leak": 0.4, "largest_current": 5}),
)
