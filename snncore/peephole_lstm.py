"""A peephole LSTM cell a unit, and the LIF unit as a case of it (Gerum & Schilling 2020, section 3).

    i[t] = sigmoid(b1 + f_input1 x[t] + f_cell1 c[t-1] + f_output1 y[t-1])                             (27)
    f[t] = sigmoid(b2 + f_input2 x[t] + f_cell2 c[t-1] + f_output2 y[t-1])
    c[t] = i[t] (b_input + w_input x[t] + w_output y[t-1]) + f[t] c[t-1]
    o[t] = sigmoid(b3 + f_input3 x[t] + f_cell3 s[t] + f_output3 y[t-1])
    y[t] = o[t] s[t]                                                                                   (30)

with s[t] = c[t-1] in the paper (`last_state`), and s[t] = c[t] where the output gate sees the state of this step, as
Gers & Schmidhuber (2000) have it (`current_state`). The cell is linear: neither its input nor its output is squashed.
Driven as a LIF unit, the second form spikes with its period k; the first one puts out two values above 0.5 a cycle and
has the period k + 2, since it notices a step late that the threshold is passed. What comes out is the state, not 1.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from snncore import spec

OPEN = 100.0
"""The bias of a gate that lets all through."""

PARAMETERS = (
    *("b_input", "w_input", "w_output"),
    *(f"{kind}{gate}" for gate in (1, 2, 3) for kind in ("b", "f_input", "f_cell", "f_output")),
)


def lif_as_lstm(w_input: float, w_leak: float, steepness: float = 200.0) -> dict[str, float]:
    """The parameters by which the cell acts as a LIF unit of threshold 1; those that are not named are 0.

    The forget gate keeps 1 - w_leak of the state, since sigmoid(ln((1 - w) / w)) = 1 - w, and closes after an output:
    f_output2 = -steepness; the output gate opens at c = 1: f_cell3 = steepness, b3 = -steepness.
    """
    keeps = OPEN if w_leak <= 0 else -OPEN if w_leak >= 1 else math.log((1 - w_leak) / w_leak)
    return {
        "w_input": w_input,
        "b1": OPEN,
        "b2": keeps,
        "f_output2": -steepness,
        "f_cell3": steepness,
        "b3": -steepness,
    }


class PeepholeLSTM(nn.Module):
    """`[T, B, N]` to `[T, B, N]`: a cell for each of the N channels, from rest. 15 parameters a cell."""

    def __init__(self, layer: spec.PeepholeLSTM, n_units: int, *, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.form: Literal["last_state", "current_state"] = layer.output
        start = lif_as_lstm(layer.w_input, layer.w_leak, layer.steepness)
        for name in PARAMETERS:
            value = torch.full((n_units,), start.get(name, 0.0), dtype=dtype, device=device)
            self.register_parameter(name, nn.Parameter(value))

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)[0]

    def run(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs y and states c."""
        p = {name: getattr(self, name) for name in PARAMETERS}
        y = c = torch.zeros_like(x[0])
        outputs, states = [], []
        for now in x.unbind():
            into = torch.sigmoid(p["b1"] + p["f_input1"] * now + p["f_cell1"] * c + p["f_output1"] * y)
            keep = torch.sigmoid(p["b2"] + p["f_input2"] * now + p["f_cell2"] * c + p["f_output2"] * y)
            after = into * (p["b_input"] + p["w_input"] * now + p["w_output"] * y) + keep * c
            shown = c if self.form == "last_state" else after
            out = torch.sigmoid(p["b3"] + p["f_input3"] * now + p["f_cell3"] * shown + p["f_output3"] * y)
            y, c = out * shown, after
            outputs.append(y)
            states.append(c)
        return torch.stack(outputs), torch.stack(states)
