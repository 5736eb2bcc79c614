"""A peephole LSTM that is driven as a LIF unit."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from snncore.illustrations.base import Floats, Illustration, Integers, Result, Stimulus, Vector, WeightLeak
from snncore.illustrations.lif import period, run_one
from snncore.illustrations.smoothing import sigmoid

THRESHOLD = 1.0
CLOSE = 0.05
"""Within about this distance of the threshold a partial output resets the cell, and the two units part."""

OPEN_GATE = 100.0
"""A bias from which on a sigmoid is 1 in double precision."""


class LSTMParameters(Stimulus):
    w_input: float = Field(default=0.5, ge=-10, le=10, description="Weight of the input.")
    w_leak: WeightLeak = 0.1
    steepness: float = Field(default=200.0, ge=1, le=1_000, description="Steepness of the gates that spike and reset.")


class PeepholeWeights(NamedTuple):
    """Of one cell with linear input and output, by the names of `snncore.peephole_lstm`.

    Gate n (1 input, 2 forget, 3 output) is sigmoid(b + f_input x[t] + f_cell c + f_output y[t-1]) of its weights.
    """

    b_input: float = 0.0
    w_input: float = 0.0
    w_output: float = 0.0
    b1: float = 0.0
    f_input1: float = 0.0
    f_cell1: float = 0.0
    f_output1: float = 0.0
    b2: float = 0.0
    f_input2: float = 0.0
    f_cell2: float = 0.0
    f_output2: float = 0.0
    b3: float = 0.0
    f_input3: float = 0.0
    f_cell3: float = 0.0
    f_output3: float = 0.0


class Trace(Result):
    v: Vector = Field(description="State of the cell, `[T]`.")
    y: Vector = Field(description="Output, which is the potential and not 1 where it spikes, `[T]`.")
    spike_steps: Integers = Field(description="Where the output is above one half.")
    period_steps: int | None = Field(
        description="By rule, the steps from spike to spike (k, or k + 2); null: as in `lif`."
    )
    measured_period_steps: int | None = Field(
        description="Steps from the first to the second time that the output rises above one half; null: it does not."
    )


class LIFTrace(Result):
    v: Vector = Field(description="Potential before the reset of its own spike, `[T]`.")
    spike_steps: Integers
    period_steps: int | None = Field(
        description="k, by formula; null: the input is not constant, or there are no spikes."
    )


class Overlay(Result):
    input: Vector = Field(description="`[T]`")
    lif: LIFTrace
    standard: Trace = Field(description="The output gate sees the new state: the LIF unit's spikes, period k.")
    paper: Trace = Field(
        description="The output gate sees the state before, as the paper has it: two outputs a cycle, period k + 2."
    )
    weights: dict[str, float] = Field(
        description="Of the cell: b, f_input, f_cell, f_output of the gates 1 input, 2 forget, 3 output; of its input."
    )
    least_distance: float = Field(description="Of the LIF unit's potential from the threshold 1, over all steps.")
    is_close: bool = Field(
        description="Whether it is below 0.05, where the LSTM may spike at other steps than the unit."
    )


def compute(parameters: LSTMParameters) -> Overlay:
    p = parameters
    current = p.values()
    v, z = run_one(current, p.w_input, p.w_leak, THRESHOLD)
    k = period(p.current, p.w_input, p.w_leak, THRESHOLD) if p.is_constant else None
    weights = as_lif(p.w_input, p.w_leak, p.steepness)
    least = float(np.abs(v - THRESHOLD).min())
    return Overlay(
        input=current,
        lif=LIFTrace(v=v, spike_steps=np.flatnonzero(z), period_steps=k),
        standard=_trace(*run(current, weights, "standard"), k),
        paper=_trace(*run(current, weights, "paper"), None if k is None else k + 2),
        weights=weights._asdict(),
        least_distance=least,
        is_close=least < CLOSE,
    )


def as_lif(w_input: float, w_leak: float, steepness: float = 200.0) -> PeepholeWeights:
    """The weights with which a cell is a LIF unit of threshold 1.

    v[t] = w_input x[t] + sigma(b2 - steepness y[t-1]) v[t-1],  b2 = ln((1 - w_leak) / w_leak)
    y = v sigma(steepness (v - 1)), of v[t] or of v[t-1]
    """
    if 0 < w_leak < 1:
        forget = math.log((1 - w_leak) / w_leak)
    else:
        forget = OPEN_GATE if w_leak == 0 else -OPEN_GATE
    return PeepholeWeights(
        w_input=w_input,
        b1=OPEN_GATE,
        b2=forget,
        f_output2=-steepness,
        f_cell3=steepness,
        b3=-steepness * THRESHOLD,
    )


def run(current: Floats, weights: PeepholeWeights, form: Literal["standard", "paper"]) -> tuple[Floats, Floats]:
    """States and outputs of the cell, each `[T]`, from zero.

    c[t] = i[t] (b_input + w_input x[t] + w_output y[t-1]) + f[t] c[t-1],  y[t] = o[t] s[t]

    `standard`: output and output gate see s[t] = c[t] (Gers & Schmidhuber 2000). `paper`: both see s[t] = c[t-1]
    (Gerum & Schilling 2020, eq. 34).
    """
    w = weights
    c = y = 0.0
    states, outputs = [], []
    for x in current.tolist():
        into = sigmoid(w.b1 + w.f_input1 * x + w.f_cell1 * c + w.f_output1 * y)
        keep = sigmoid(w.b2 + w.f_input2 * x + w.f_cell2 * c + w.f_output2 * y)
        after = into * (w.b_input + w.w_input * x + w.w_output * y) + keep * c
        seen = after if form == "standard" else c
        y = seen * sigmoid(w.b3 + w.f_input3 * x + w.f_cell3 * seen + w.f_output3 * y)
        c = after
        states.append(c)
        outputs.append(y)
    return np.array(states), np.array(outputs)


def _trace(v: Floats, y: Floats, period_steps: int | None) -> Trace:
    active = y > 0.5
    rises = np.flatnonzero(active & ~np.concatenate([[False], active[:-1]]))
    return Trace(
        v=v,
        y=y,
        spike_steps=np.flatnonzero(active),
        period_steps=period_steps,
        measured_period_steps=int(rises[1] - rises[0]) if len(rises) > 1 else None,
    )


ILLUSTRATION = Illustration(
    name="lstm",
    title="An LSTM that is driven as a LIF unit",
    shows="State and output of a peephole LSTM whose gates are set to spike and reset, over the LIF unit's potential.",
    source="Gerum & Schilling 2020, section 3 (eqs. 27-34); Gers & Schmidhuber 2000",
    parameters=LSTMParameters,
    result=Overlay,
    compute=compute,
    examples=({"w_input": 0.2, "w_leak": 0.1, "current": 0.8},),
)
