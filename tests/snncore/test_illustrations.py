"""Illustrations show what the library does: every number is held to the torch code, or to a formula of its own."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from snncore import spec
from snncore.encoders import encode
from snncore.illustrations import ILLUSTRATIONS
from snncore.illustrations.base import Result
from snncore.illustrations.digits import N_DIGITS, digit
from snncore.illustrations.gradient import Gradients
from snncore.illustrations.image import COLUMNS, ROWS, photograph, random_weights
from snncore.lif_unit import period
from snncore.peephole_lstm import PeepholeLSTM
from snncore.scan import Scan, unroll
from snncore.spec.neuron import Smoothing
from snncore.spec.surrogate import Constant, Surrogate
from snncore.spikes import SpikeTrain
from snncore.streams import stream
from snncore.surrogates import SmoothSpike, SpikeFunction, SurrogateSpike
from snncore.units import LIFUnits

CPU = torch.device("cpu")
DRAWN = [0.0, 0.5, 2.5, -1.0, 1.5, 0.75, 3.0, 0.0, 0.25, 1.0, 1.0, 4.0, -2.0, 0.5]


def show(name: str, **parameters: Any) -> Any:
    one = ILLUSTRATIONS[name]
    return one.compute(one.parameters(**parameters))


def units(n: int, w_input: float, w_leak: float, threshold: float = 1.0, **form: Any) -> LIFUnits:
    fields = {"w_input": w_input, "w_leak": w_leak, "v_threshold": threshold, "sharing": "layer", **form}
    unit = spec.LIFUnit.model_validate({"kind": "lif_unit", **fields})
    return LIFUnits(unit, n, name="hidden", seed=0, n_channels=None, dtype=torch.float64, device=CPU)


HARD = SurrogateSpike(Constant(kind="constant", dampening=1.0), scaled=False, inclusive=True)


def in_library(values: NDArray[np.float64] | Tensor, weights: LIFUnits, spike: SpikeFunction = HARD) -> Scan:
    """The plain loop over an input `[T, N]`."""
    return unroll(torch.as_tensor(values)[:, None], weights.parameters_of_neurons(), spike, keep_v=True)


def trace(scan: Scan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Potentials and spikes `[T]` of the first unit."""
    assert scan.v is not None
    return scan.v[:, 0, 0].detach().numpy(), scan.z[:, 0, 0].detach().numpy()


def random_units(n: int) -> list[tuple[float, float, float]]:
    """w_input, w_leak and a current that makes such a unit of threshold 1 spike, or just not."""
    draw = np.random.default_rng(2)
    w_input, w_leak = draw.uniform(0.05, 1.5, n), draw.uniform(0, 0.9, n)
    current = draw.uniform(0.7, 4, n) * np.maximum(w_leak, 0.05) / w_input
    return list(zip(w_input.tolist(), w_leak.tolist(), current.tolist(), strict=True))


# -- the unit and its period


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"current": 1.0},
        {"pattern": "impulses", "current": 0.9, "w_leak": 0.02, "steps": 211},
        {"drawn_input": DRAWN, "threshold": 1.3, "w_input": 0.7, "w_leak": 0.25},
        {"drawn_input": DRAWN, "w_input": -0.4, "w_leak": 1.0},
        {"drawn_input": DRAWN, "w_input": 0.8, "non_negative": True},
        {"w_leak": 0.0, "w_input": 0.3},
    ],
)
def test_a_unit_does_to_the_bit_what_the_plain_loop_does(parameters: dict[str, Any]) -> None:
    shown = show("unit", **parameters)
    asked = {"w_input": 0.5, "w_leak": 0.1, "threshold": 1.0, "non_negative": False, **parameters}
    form = [asked[name] for name in ("w_input", "w_leak", "threshold")]
    v, z = trace(in_library(shown.input[:, None], units(1, *form, non_negative=asked["non_negative"])))
    np.testing.assert_array_equal(shown.v, v)
    np.testing.assert_array_equal(shown.spikes, z)
    assert shown.spike_steps.tolist() == np.flatnonzero(z).tolist()


def test_the_example_of_the_paper_has_the_period_three() -> None:
    shown = show("unit", w_input=0.5, w_leak=0.1, current=1.0, steps=10)
    assert shown.spike_steps.tolist() == [2, 5, 8]
    assert (shown.period_steps, shown.input_threshold) == (3, 0.2)


def test_drawn_input_has_no_period() -> None:
    assert show("unit", drawn_input=[1.0] * 10).period_steps is None


def test_impulses_come_closer_and_closer() -> None:
    at = np.flatnonzero(show("unit", pattern="impulses", steps=90, current=2.0).input)
    assert np.diff(at, prepend=0).tolist() == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 10]


def test_the_formula_of_the_period_is_that_of_simulated_units() -> None:
    n_silent = 0
    for w_input, w_leak, current in random_units(200):
        shown = show("unit", w_input=w_input, w_leak=w_leak, current=current, steps=250)
        k = shown.period_steps
        if k is None:
            n_silent += 1
            assert current <= shown.input_threshold
        expected = [] if k is None else list(range(k - 1, 250, k))
        assert shown.spike_steps.tolist() == expected, (w_input, w_leak, current)
    assert 10 < n_silent < 190


def test_the_curve_of_the_period_is_the_formula_at_each_current() -> None:
    shown = show("period", w_input=0.4, w_leak=0.2, threshold=1.5, largest_current=3.0, points=60)
    assert shown.current[[0, -1]].tolist() == pytest.approx([0.05, 3.0])
    assert shown.input_threshold == pytest.approx(1.5 * 0.2 / 0.4)
    for current, k, exact in zip(shown.current.tolist(), shown.period_steps, shown.exact_steps, strict=True):
        assert (math.inf if k is None else k) == period(current, 0.4, 0.2, 1.5)
        assert (k is None) == (current <= shown.input_threshold)
        assert k is None or k == max(1, math.ceil(exact))


@pytest.mark.parametrize(
    ("current", "w_leak", "k"), [(0.3, 0.0, 7), (2.0, 0.0, 1), (2.5, 1.0, 1), (1.9, 1.0, None), (-1.0, 0.0, None)]
)
def test_periods_without_leak_and_without_memory(current: float, w_leak: float, k: int | None) -> None:
    shown = show("unit", w_leak=w_leak, current=current, steps=20)
    assert shown.period_steps == k
    assert shown.spike_steps.tolist() == ([] if k is None else list(range(k - 1, 20, k)))


# -- smoothing


@pytest.mark.parametrize(("output", "reset"), [(0.01, 0.004), (0.3, 0.2), (1e-4, 1e-4)])
def test_smoothed_steps_are_those_of_the_library(output: float, reset: float) -> None:
    given = {"w_input": 0.5, "w_leak": 0.15, "threshold": 1.2, "output_width": output, "reset_width": reset}
    shown = show("smoothing", drawn_input=DRAWN, **given)
    smoothing = Smoothing(output_width=output, reset_width=reset)
    v, y = trace(
        in_library(np.array(DRAWN)[:, None], units(1, 0.5, 0.15, 1.2, smoothing=smoothing), SmoothSpike(output))
    )
    np.testing.assert_allclose(shown.v_smooth, v, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(shown.y_smooth, y, rtol=1e-8, atol=1e-12)


def test_narrow_steps_are_hard_ones_away_from_the_threshold() -> None:
    compared = 0
    for w_input, w_leak, current in random_units(60):
        shown = show("smoothing", w_input=w_input, w_leak=w_leak, current=current, output_width=1e-4, reset_width=1e-4)
        if np.abs(shown.v_hard - 1).min() > 0.01:
            compared += 1
            assert shown.largest_difference < 1e-3
            np.testing.assert_allclose(shown.v_smooth, shown.v_hard, atol=1e-6)
    assert compared > 20


def test_wide_steps_differ_from_hard_ones() -> None:
    assert show("smoothing", output_width=0.5, reset_width=0.5).largest_difference > 0.2


# -- gradients

KINDS: dict[str, dict[str, Any]] = {
    "constant": {"dampening": 0.8},
    "zero": {},
    "triangle": {"dampening": 0.9, "width": 0.4},
    "fast_sigmoid": {"dampening": 1.0, "width": 0.1},
    "sigmoid": {"dampening": 0.25, "width": 0.1},
    "arctan": {"dampening": 0.5, "width": 0.3},
    "gaussian": {"dampening": 0.3, "width": 0.5},
    "boxcar": {"dampening": 0.7, "width": 0.25},
    "exponential": {"dampening": 0.6, "width": 0.2},
    "multi_gaussian": {"dampening": 0.4, "width": 0.5, "lobe_height": 0.2, "lobe_width": 3.0},
}
"""Every surrogate with numbers of its own."""

SURROGATES: dict[str, Any] = {
    member.model_fields["kind"].annotation.__args__[0]: member for member in get_args(get_args(Surrogate)[0])
}


def map_of(shown: Gradients, index: int = 0) -> NDArray[np.float64]:
    """The map `[output step, input step]` with its zeros."""
    dense = np.zeros((len(shown.v), len(shown.v)))
    for t, (start, row) in enumerate(zip(shown.first_step.tolist(), shown.maps[index].dy_dx, strict=True)):
        dense[t, start : t + 1] = row
    return dense


def test_every_surrogate_of_the_library_can_be_shown() -> None:
    assert set(KINDS) == set(SURROGATES)


@pytest.mark.parametrize("scaling", ["raw", "scaled"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_map_is_what_autograd_finds_in_the_library(kind: str, scaling: str) -> None:
    surrogate = {"kind": kind, **KINDS[kind]}
    given = {"drawn_input": DRAWN, "w_input": 0.6, "w_leak": 0.2, "threshold": 1.4}
    shown = show("gradient", **given, surrogates=[surrogate], surrogate_scaling=scaling)
    weights = units(1, 0.6, 0.2, 1.4)
    x = torch.tensor(DRAWN, dtype=torch.float64, requires_grad=True)
    spike = SurrogateSpike(SURROGATES[kind](**surrogate), scaled=scaling == "scaled", inclusive=True)
    scan = in_library(x[:, None], weights, spike)
    rows, by_input, by_leak = [], [], []
    for y in scan.z[:, 0, 0]:
        row, w_input, w_leak = torch.autograd.grad(y, (x, weights.w_input, weights.w_leak), retain_graph=True)
        rows.append(row.numpy())
        by_input.append(float(w_input))
        by_leak.append(float(w_leak))
    assert 2 <= shown.spikes.sum() <= 8
    np.testing.assert_allclose(map_of(shown), rows, rtol=1e-12, atol=1e-14)
    derivative = shown.maps[0].derivative
    np.testing.assert_allclose(derivative * shown.dv_dw_input, by_input, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(derivative * shown.dv_dw_leak, by_leak, rtol=1e-12, atol=1e-14)


def test_a_constant_surrogate_has_the_gradient_of_the_paper() -> None:
    """dy[t]/dx[t-n] = w_input (1 - w_leak)^n back to the step after the last spike (eqs. 52-54)."""
    shown = show("gradient", pattern="constant", steps=7, w_input=0.5, w_leak=0.1, current=1.0)
    assert shown.spikes.nonzero()[0].tolist() == [2, 5]
    dense = map_of(shown)
    assert dense[5].tolist() == pytest.approx([0, 0, 0, 0.5 * 0.9**2, 0.5 * 0.9, 0.5, 0])
    assert dense[2].tolist() == pytest.approx([0.5 * 0.9**2, 0.5 * 0.9, 0.5, 0, 0, 0, 0])
    assert shown.first_step.tolist() == [0, 0, 0, 3, 3, 3, 6]
    assert shown.dv_dw_input[5] == pytest.approx(1 + 0.9 + 0.81)
    assert shown.dv_dw_leak[5] == pytest.approx(-(shown.v[4] + 0.9 * shown.v[3]))


def test_the_surrogates_of_the_paper_are_the_defaults() -> None:
    """Their shapes at x = v - threshold with beta = 10, and nothing where the gradient is cut."""
    shown = show("gradient")
    x = shown.v - 1
    s = 1 / (1 + np.exp(-10 * x))
    expected = [np.ones_like(x), np.zeros_like(x), (10 * np.abs(x) + 1) ** -2.0, s * (1 - s)]
    expected.append(np.maximum(0, 1 - 10 * np.abs(x)))
    for one, shape in zip(shown.maps, expected, strict=True):
        np.testing.assert_allclose(one.derivative, shape, rtol=1e-9, atol=1e-12)


def test_means_by_distance_are_those_of_the_map() -> None:
    shown = show("gradient", w_input=0.4, w_leak=0.1, steps=80)
    for index, one in enumerate(shown.maps):
        dense = map_of(shown, index)
        means = [np.trace(dense, offset=-n) / 80 for n in range(80)]
        np.testing.assert_allclose(one.mean_by_distance, means, rtol=1e-10, atol=1e-15)


# -- the LSTM


@pytest.mark.parametrize(("form", "name"), [("current_state", "standard"), ("last_state", "paper")])
def test_the_lstm_is_the_layer_of_the_library(form: str, name: str) -> None:
    shown = show("lstm", drawn_input=DRAWN, w_input=0.6, w_leak=0.15, steepness=50.0)
    layer = spec.PeepholeLSTM(kind="peephole_lstm", output=form, w_input=0.6, w_leak=0.15, steepness=50.0)
    cell = PeepholeLSTM(layer, 1, dtype=torch.float64, device=CPU)
    assert shown.weights == {name: float(value.detach()) for name, value in cell.named_parameters()}
    y, c = cell.run(torch.tensor(DRAWN, dtype=torch.float64)[:, None])
    np.testing.assert_allclose(getattr(shown, name).v, c[:, 0].detach(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(getattr(shown, name).y, y[:, 0].detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("form", ["standard", "paper"])
def test_the_lstm_is_the_equations_of_the_paper(form: str) -> None:
    """Equations 33 and 34, written down once more."""
    shown = show("lstm", drawn_input=DRAWN, w_input=0.6, w_leak=0.15)
    v = y = torch.zeros((), dtype=torch.float64)
    b2 = math.log((1 - 0.15) / 0.15)
    for now, state, output in zip(DRAWN, getattr(shown, form).v, getattr(shown, form).y, strict=True):
        before = v
        v = 0.6 * now * torch.sigmoid(torch.tensor(100.0, dtype=torch.float64)) + v * torch.sigmoid(b2 - 200 * y)
        seen = v if form == "standard" else before
        y = seen * torch.sigmoid(200 * (seen - 1))
        assert (state, output) == pytest.approx((float(v), float(y)), rel=1e-10, abs=1e-14)


def test_standard_has_the_period_of_the_unit_and_the_paper_two_steps_more() -> None:
    """The oracle of driving an LSTM as a LIF unit, where no potential is close to the threshold."""
    compared = 0
    for w_input, w_leak, current in random_units(400):
        shown = show("lstm", w_input=w_input, w_leak=w_leak, current=current, steps=120)
        k = shown.lif.period_steps
        if shown.is_close or k is None or not 2 <= k <= 40:
            continue
        compared += 1
        assert shown.standard.spike_steps.tolist() == shown.lif.spike_steps.tolist()
        assert shown.standard.measured_period_steps == shown.standard.period_steps == k
        assert shown.paper.measured_period_steps == shown.paper.period_steps == k + 2
        first = shown.paper.spike_steps[:4].tolist()
        assert first == [k, k + 1, 2 * k + 2, 2 * k + 3]
    assert compared > 60


def test_the_example_of_the_paper_overshoots_once_a_cycle() -> None:
    paper = show("lstm", w_input=0.5, w_leak=0.1, current=1.0, steps=15).paper
    assert paper.spike_steps.tolist() == [3, 4, 8, 9, 13, 14]
    assert paper.v.max() == pytest.approx(1.718, abs=1e-3)


def test_potentials_close_to_the_threshold_are_said_to_be() -> None:
    shown = show("lstm", w_input=0.2, w_leak=0.1, current=0.8, steps=40)
    assert shown.is_close
    assert (shown.standard.period_steps, shown.standard.measured_period_steps) == (10, 17)
    assert (shown.paper.period_steps, shown.paper.measured_period_steps) == (12, 11)


@pytest.mark.parametrize("w_leak", [0.0, 1.0])
def test_a_cell_without_leak_or_without_memory_spikes_with_the_unit(w_leak: float) -> None:
    shown = show("lstm", w_leak=w_leak, drawn_input=[1.5, 0.7, 0.2, 2.5, 0.4, 1.2, 0.1, 0.1, 0.1, 1.2] * 3)
    assert len(shown.lif.spike_steps) >= 3
    assert shown.standard.spike_steps.tolist() == shown.lif.spike_steps.tolist()


# -- coincidences


def spikes_at(distance: int, n_impulses: int, w_input: float, w_leak: float) -> bool:
    """Whether unit impulses at this distance make a unit of threshold 1 spike, step by step."""
    v = 0.0
    for t in range(distance * (n_impulses - 1) + 1):
        v = (1 - w_leak) * v + (w_input if t % distance == 0 else 0.0)
        if v >= 1:
            return True
    return False


@pytest.mark.parametrize(("panel", "n_impulses"), [("two_spikes", 2), ("three_spikes", 3), ("infinite_spikes", 190)])
def test_phase_diagrams_are_what_simulated_units_do(panel: str, n_impulses: int) -> None:
    shown = show("coincidence", resolution=9, cap_steps=10)
    distances = getattr(shown, panel)
    assert {0, 10} < set(distances.flatten().tolist())
    for row, w_leak in enumerate(shown.w_leak.tolist()):
        for column, w_input in enumerate(shown.w_input.tolist()):
            if n_impulses > 3 and row == column:
                continue  # all impulses together come to the threshold exactly, and no finite number of them does
            firing = [m for m in range(1, 11) if spikes_at(m, n_impulses, w_input, w_leak)]
            assert distances[row, column] == max(firing, default=0), (w_input, w_leak)


def test_the_cap_is_what_larger_distances_count_as() -> None:
    low, high = (show("coincidence", resolution=12, cap_steps=cap).infinite_spikes for cap in (4, 40))
    assert high.max() > 4
    np.testing.assert_array_equal(low, np.minimum(high, 4))


# -- encodings

DIGIT: dict[str, Any] = {"digit_index": 42, "steps_a_column": 6, "seed": 5, "levels": 5, "delta_threshold": 0.2}


def dense(events: Any, n_steps: int) -> NDArray[np.float64]:
    spikes = np.zeros((n_steps, events.n_neurons))
    spikes[events.spike_steps, events.spike_neurons] = 1
    return spikes


@pytest.mark.parametrize("scan", ["columns", "rows"])
def test_encodings_are_those_of_the_library(scan: Any) -> None:
    shown = show("encodings", **DIGIT, scan=scan, spike_probability=0.35, latency_time_scale=0.8, gain=2.5)
    time = {"duration_ms": 48.0}
    frames = {**time, "frames": 8, "scan": scan}
    encodings = {
        "poisson": spec.Poisson(kind="poisson", max_rate_hz=350.0, **time),
        "latency": spec.Latency(kind="latency", time_scale=0.8, **time),
        "threshold_crossing": spec.ThresholdCrossing(kind="threshold_crossing", levels=5, **frames),
        "delta": spec.Delta(kind="delta", threshold=0.2, off=True, **frames),
    }
    x = torch.from_numpy(digit(42).reshape(1, 64).copy())
    assert shown.n_steps == 48
    for name, encoding in encodings.items():
        train = encode(encoding, x, stream(5, "illustrations/poisson"), (8, 8, 1))
        assert isinstance(train, SpikeTrain)
        events = getattr(shown, name)
        assert len(events.spike_steps) > 10
        np.testing.assert_array_equal(dense(events, 48), train.dense(torch.float64)[:, 0].numpy(), err_msg=name)
    current = encode(spec.Direct(kind="direct", gain=2.5, **time), x, stream(0, "none"))
    assert isinstance(current, Tensor)
    np.testing.assert_array_equal(np.tile(shown.direct, (48, 1)), current[:, 0].numpy())


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    shown = show("encodings", digit_index=N_DIGITS - 1)
    assert shown.label == y[-1]
    np.testing.assert_array_equal(shown.digit.flatten(), x[-1] / 16)
    assert len(x) == N_DIGITS


# -- the image


@pytest.mark.parametrize("parameters", [{"pooling": 20}, {"image": "digit", "digit_index": 3, "steps_a_column": 3}])
def test_the_image_goes_through_the_layers_of_the_library(parameters: dict[str, Any]) -> None:
    shown = show("image", **parameters, w_input=0.5, n_lstm=7, n_classes=4, seed=9)
    every = parameters.get("steps_a_column", 1)
    columns = shown.image.transpose(1, 0, 2).reshape(shown.image.shape[1], -1).repeat(every, axis=0)
    scan = in_library(columns, units(columns.shape[1], 0.5, 0.1))
    assert scan.v is not None
    np.testing.assert_array_equal(shown.v, scan.v[:, 0].detach())
    spikes = np.zeros_like(shown.v)
    spikes[shown.spike_steps, shown.spike_units] = 1
    np.testing.assert_array_equal(spikes, scan.z[:, 0].detach())
    assert spikes.sum() > 5

    weights = random_weights(columns.shape[1], 7, 4, 9)
    lstm = nn.LSTM(columns.shape[1], 7, dtype=torch.float64)
    state = {"weight_ih_l0": weights.input, "weight_hh_l0": weights.recurrent, "bias_ih_l0": weights.bias}
    tensors = {name: torch.from_numpy(value) for name, value in state.items()}
    lstm.load_state_dict({**tensors, "bias_hh_l0": torch.zeros(28, dtype=torch.float64)})
    hidden = lstm(scan.z)[0]
    logits = hidden @ torch.from_numpy(weights.output).T + torch.from_numpy(weights.output_bias)
    np.testing.assert_allclose(shown.lstm, hidden[:, 0].detach(), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(shown.softmax, logits.softmax(-1)[:, 0].detach(), rtol=1e-10)


def test_a_photograph_is_the_pooled_middle_of_scikit_learns() -> None:
    from sklearn.datasets import load_sample_image

    pixels = load_sample_image("flower.jpg")
    shown = photograph("flower", 10)
    assert shown.shape == (ROWS // 10, COLUMNS // 10, 3)
    top, left = (pixels.shape[0] - ROWS) // 2, (pixels.shape[1] - COLUMNS) // 2
    assert shown[2, 3, 1] == pytest.approx(pixels[top + 20 : top + 30, left + 30 : left + 40, 1].mean() / 255)
    assert shown.min() >= 0
    assert shown.max() <= 1


def test_random_weights_follow_the_seed_and_are_said_to_be_random() -> None:
    first, other = (show("image", pooling=20, seed=seed) for seed in (1, 2))
    assert first.weights == "random"
    assert not np.array_equal(first.softmax, other.softmax)


# -- all of them


def json_of(result: Result) -> str:
    return result.model_dump_json()


@pytest.mark.parametrize("name", ILLUSTRATIONS)
def test_an_illustration_is_a_function_of_its_parameters(name: str) -> None:
    one = ILLUSTRATIONS[name]
    for parameters in ({}, *one.examples):
        assert json_of(show(name, **parameters)) == json_of(show(name, **parameters))


@pytest.mark.parametrize("name", ILLUSTRATIONS)
def test_every_parameter_has_a_default_and_a_range(name: str) -> None:
    schema = ILLUSTRATIONS[name].parameters.model_json_schema()
    for field, said in schema["properties"].items():
        assert "default" in said, field
        assert said["description"], field
        if said.get("type") in ("number", "integer") and "enum" not in said:
            assert {"minimum", "exclusiveMinimum"} & set(said), field
            assert {"maximum", "exclusiveMaximum"} & set(said), field


@pytest.mark.parametrize("name", ILLUSTRATIONS)
@pytest.mark.parametrize("end", ["minimum", "maximum"])
def test_the_ends_of_all_ranges_come_to_finite_numbers(name: str, end: str) -> None:
    """One parameter at a time goes to the end of its range; NaN and infinity would be null in JSON."""
    schema = ILLUSTRATIONS[name].parameters.model_json_schema()
    allowed_null = {"period", "unit", "lstm"}  # periods that there are not
    for field, said in schema["properties"].items():
        if end in said:
            text = json_of(show(name, **{field: said[end]}))
            assert name in allowed_null or "null" not in text, field
            assert "NaN" not in text, field


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["w_input", "w_leak", "threshold", "current"])
def test_numbers_have_to_be_finite(field: str, value: float) -> None:
    with pytest.raises(ValidationError, match=field):
        show("unit", **{field: value})
    with pytest.raises(ValidationError, match="drawn_input"):
        show("unit", drawn_input=[0.0, value])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("unit", {"steps": 2_001}),
        ("unit", {"steps": 0}),
        ("unit", {"drawn_input": []}),
        ("unit", {"drawn_input": [0.0] * 2_001}),
        ("gradient", {"steps": 401}),
        ("gradient", {"drawn_input": [0.0] * 401}),
        ("gradient", {"surrogates": []}),
        ("coincidence", {"resolution": 101}),
        ("image", {"pooling": 2}),
        ("encodings", {"digit_index": N_DIGITS}),
    ],
)
def test_what_would_take_long_is_refused(name: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(parameters))):
        show(name, **parameters)
