"""The peephole LSTM that acts as a LIF unit (Gerum & Schilling 2020, section 3): when it does, and when it does not."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from snncore import spec
from snncore.peephole_lstm import OPEN, PARAMETERS, PeepholeLSTM, lif_as_lstm

CPU = torch.device("cpu")

Form = Literal["last_state", "current_state"]
FORMS: tuple[Form, ...] = ("last_state", "current_state")


def cell(w_input: float, w_leak: float, form: Form, n_units: int = 1) -> PeepholeLSTM:
    layer = spec.PeepholeLSTM(kind="peephole_lstm", output=form, w_input=w_input, w_leak=w_leak)
    return PeepholeLSTM(layer, n_units, dtype=torch.float64, device=CPU)


@torch.no_grad()
def constant_input(w_input: float, w_leak: float, current: float, n_steps: int, form: Form) -> tuple[list[int], Tensor]:
    """The steps with an output above 0.5, and the states."""
    x = torch.full((n_steps, 1, 1), current, dtype=torch.float64, device=CPU)
    y, c = cell(w_input, w_leak, form).run(x)
    return (y[:, 0, 0] > 0.5).nonzero()[:, 0].tolist(), c[:, 0, 0]


def period(w_input: float, w_leak: float, current: float) -> int:
    """Of a LIF unit of threshold 1, in steps."""
    if w_leak == 0:
        return math.ceil(1 / (current * w_input))
    return math.ceil(math.log(1 - w_leak / (current * w_input)) / math.log(1 - w_leak))


def lif(w_input: float, w_leak: float, current: float, n_steps: int) -> tuple[list[int], list[float]]:
    """The spikes and potentials of a LIF unit of threshold 1, by its equation."""
    v, spikes, potentials = 0.0, [], []
    for t in range(n_steps):
        v = w_input * current + (1 - w_leak) * (0.0 if v >= 1 else v)
        potentials.append(v)
        if v >= 1:
            spikes.append(t)
    return spikes, potentials


def draws(n: int) -> list[tuple[float, float, float, int]]:
    """w_input, w_leak, current and period of units that fire, and keep 0.05 away from the threshold while they do."""
    random = np.random.default_rng(0)
    found: list[tuple[float, float, float, int]] = []
    while len(found) < n:
        w_input, w_leak, current = random.uniform(0.05, 1.5), random.uniform(0.01, 0.6), random.uniform(0.1, 2.0)
        if w_input * current <= w_leak:
            continue  # never fires
        k = period(w_input, w_leak, current)
        _, potentials = lif(w_input, w_leak, current, k)
        if 2 <= k <= 30 and min(abs(v - 1) for v in potentials) > 0.05:
            found.append((w_input, w_leak, current, k))
    return found


DRAWS = draws(60)


def test_the_cell_that_sees_its_current_state_spikes_when_the_lif_unit_does() -> None:
    for w_input, w_leak, current, k in DRAWS:
        n_steps = 4 * k
        fired, _ = constant_input(w_input, w_leak, current, n_steps, "current_state")
        assert fired == lif(w_input, w_leak, current, n_steps)[0] == [k - 1, 2 * k - 1, 3 * k - 1, 4 * k - 1]


def test_the_cell_that_sees_its_last_state_puts_out_two_values_a_cycle_of_two_steps_more() -> None:
    """It notices a step late that the threshold is passed, so the state overshoots and the forget gate closes twice."""
    for w_input, w_leak, current, k in DRAWS:
        cycle = k + 2
        fired, _ = constant_input(w_input, w_leak, current, 4 * cycle, "last_state")
        assert fired == [start + t for start in range(0, 4 * cycle, cycle) for t in (k, k + 1)]


def test_the_example_of_the_paper_puts_out_pairs_and_peaks_at_1718() -> None:
    fired, states = constant_input(0.5, 0.1, 1.0, 15, "last_state")
    assert fired == [3, 4, 8, 9, 13, 14]
    assert float(states.max()) == pytest.approx(1.718, abs=5e-4)
    assert constant_input(0.5, 0.1, 1.0, 9, "current_state")[0] == [2, 5, 8]


@pytest.mark.parametrize(("form", "expected", "wanted"), [("last_state", 11, 12), ("current_state", 17, 10)], ids=FORMS)
def test_close_to_the_threshold_a_partial_output_resets_the_cell(form: Form, expected: int, wanted: int) -> None:
    """At (0.2, 0.1, 0.8) V is 0.980 in step 8, and the output gate, of gain 200, lets 1.8 % of it pass. That small
    output, times f_output2 = -200, all but closes the forget gate in the step after. A cell that sees its current state
    falls from 0.980 to 0.35 before it has fired, and fires in step 16. One that sees its last state has passed the
    threshold by then, but is reset a step early, so that of two outputs a cycle there is one. The formula says 10 steps
    for the first, and 12 for the second.
    """
    assert period(0.2, 0.1, 0.8) + (2 if form == "last_state" else 0) == wanted
    fired, states = constant_input(0.2, 0.1, 0.8, 5 * expected, form)
    assert set(np.diff(fired)) == {expected}
    assert float(states[8]) == pytest.approx(0.980, abs=5e-4)
    assert float(states[9 if form == "current_state" else 10]) < 0.4


def test_without_a_leak_the_cell_counts_and_with_nothing_but_leak_it_forgets() -> None:
    fired, states = constant_input(0.3, 0.0, 1.0, 12, "current_state")
    assert fired == [3, 7, 11]
    assert states[:4].tolist() == pytest.approx([0.3, 0.6, 0.9, 1.2], abs=1e-6)
    for current, expected in ((3.0, []), (4.0, [0, 1, 2])):
        fired, states = constant_input(0.3, 1.0, current, 3, "current_state")
        assert fired == expected
        assert states.tolist() == pytest.approx([0.3 * current] * 3, abs=1e-12)


def test_the_mapping_names_parameters_of_the_cell_and_all_others_are_zero() -> None:
    mapping = lif_as_lstm(0.5, 0.1)
    assert mapping == {
        "w_input": 0.5,
        "b1": 100.0,
        "b2": pytest.approx(math.log(9.0)),
        "f_output2": -200.0,
        "f_cell3": 200.0,
        "b3": -200.0,
    }
    layer = cell(0.5, 0.1, "last_state", n_units=3)
    parameters = {name: parameter.tolist() for name, parameter in layer.named_parameters()}
    assert parameters == {name: pytest.approx([mapping.get(name, 0.0)] * 3) for name in PARAMETERS}
    assert len(PARAMETERS) == 15
    assert lif_as_lstm(0.5, 0.0)["b2"] == OPEN
    assert lif_as_lstm(0.5, 1.0)["b2"] == -OPEN
    assert lif_as_lstm(0.5, 0.1, steepness=50.0)["f_cell3"] == 50.0


@pytest.mark.parametrize("form", FORMS)
def test_outputs_and_states_are_those_of_the_equations(form: Form) -> None:
    """With all 15 parameters of each cell at work."""
    layer = cell(0.5, 0.1, form, n_units=4)
    random = np.random.default_rng(1)
    p = {name: random.normal(0, 0.7, 4) for name in PARAMETERS}
    with torch.no_grad():
        for name, values in p.items():
            getattr(layer, name).copy_(torch.from_numpy(values))
    x = random.normal(size=(8, 3, 4))

    def gate(i: int, now: np.ndarray, c: np.ndarray, y: np.ndarray) -> np.ndarray:
        inside = p[f"b{i}"] + p[f"f_input{i}"] * now + p[f"f_cell{i}"] * c + p[f"f_output{i}"] * y
        return np.asarray(1 / (1 + np.exp(-inside)))

    y = c = np.zeros((3, 4))
    outputs, states = layer.run(torch.from_numpy(x))
    for t, now in enumerate(x):
        new = p["b_input"] + p["w_input"] * now + p["w_output"] * y
        after = gate(1, now, c, y) * new + gate(2, now, c, y) * c
        shown = c if form == "last_state" else after
        y, c = gate(3, now, shown, y) * shown, after
        assert outputs[t].detach().numpy() == pytest.approx(y, abs=1e-13)
        assert states[t].detach().numpy() == pytest.approx(c, abs=1e-13)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_finite_differences(form: Form) -> None:
    layer = cell(0.5, 0.1, form, n_units=2)
    draw = torch.Generator().manual_seed(0)
    values = tuple(torch.randn(2, dtype=torch.float64, device=CPU, generator=draw).requires_grad_() for _ in PARAMETERS)
    x = torch.randn(5, 1, 2, dtype=torch.float64, device=CPU, generator=draw).requires_grad_()

    def outputs(x: Tensor, *values: Tensor) -> Tensor:
        parameters = dict(zip(PARAMETERS, values, strict=True))
        y: Tensor = torch.func.functional_call(layer, parameters, (x,))
        return y

    assert torch.autograd.gradcheck(outputs, (x, *values))
