"""Membrane trajectories worked out by hand, with decays of one half so that every number is exact in binary."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from snncore.neurons import neuron_parameters
from snncore.scan import Scan, unroll
from snncore.spec import form_of, parse_job_spec
from snncore.spec.neuron import Neuron
from snncore.surrogates import spike_function
from tests.snncore.jobs import tiny_job

HALF = 1 / math.log(2)  # a time constant in ms after which exp(-1 ms / tau) is one half


def neuron(**fields: Any) -> Neuron:
    return parse_job_spec(tiny_job(neuron=fields)).neuron


def run(spec: Neuron, currents: list[float] | Tensor) -> Scan:
    current = torch.as_tensor(currents, dtype=torch.float64)
    if current.ndim == 1:
        current = current[:, None, None]
    parameters = neuron_parameters(spec, current.shape[2], 1.0, dtype=torch.float64, device=torch.device("cpu"))
    parameters = replace(parameters, decay_mem=parameters.decay_mem.round(decimals=12))
    return unroll(current, parameters, spike_function(form_of(spec)), keep_v=True)


def trajectory(scan: Scan) -> list[float]:
    assert scan.v is not None
    return [float(v) for v in scan.v.flatten()]


def spike_times(scan: Scan) -> list[int]:
    return scan.z.flatten().nonzero().flatten().tolist()


# v[t] = v[t-1] / 2 + 0.75 until 1 is reached at t = 1 with v = 1.125; then by reset and timing:
#   subtract, next step:  1.125 / 2 + 0.75 - 1      subtract, same step: (1.125 - 1) / 2 + 0.75
#   value,    next step:  0 + 0.25 + 0.75           value,    same step: 0.25 / 2 + 0.75
@pytest.mark.parametrize(
    ("reset", "v_reset", "timing", "expected"),
    [
        ("subtract", 0.0, "next_step", [0.75, 1.125, 0.3125, 0.90625, 1.203125, 0.3515625]),
        ("subtract", 0.0, "same_step", [0.75, 1.125, 0.8125, 1.15625, 0.828125, 1.1640625]),
        ("value", 0.0, "next_step", [0.75, 1.125, 0.75, 1.125, 0.75, 1.125]),
        ("value", 0.125, "next_step", [0.75, 1.125, 0.875, 1.1875, 0.875, 1.1875]),
        ("value", 0.125, "same_step", [0.75, 1.125, 0.8125, 1.15625, 0.8125, 1.15625]),
        ("none", 0.0, "next_step", [0.75, 1.125, 1.3125, 1.40625, 1.453125, 1.4765625]),
    ],
)
def test_lif_follows_the_hand_computed_trajectory(
    reset: str, v_reset: float, timing: str, expected: list[float]
) -> None:
    spec = neuron(kind="lif", tau_mem_ms=HALF, reset=reset, v_reset=v_reset, reset_timing=timing)
    scan = run(spec, [0.75] * 6)
    assert trajectory(scan) == expected
    assert spike_times(scan) == [t for t, v in enumerate(expected) if v >= 1]


def test_alif_threshold_rises_with_its_spikes_and_falls_back() -> None:
    """a: 0, 0, 1/2, 1/4, 1/8, 9/16; the threshold 1 + a resets and decides.

    v[5] = 1.203125 / 2 + 0.75 - 1.125, the threshold at the spike in t = 4 being 1.125.
    """
    spec = neuron(kind="alif", tau_mem_ms=HALF, tau_adapt_ms=HALF, beta_adapt=1.0)
    scan = run(spec, [0.75] * 6)
    assert trajectory(scan) == pytest.approx([0.75, 1.125, 0.3125, 0.90625, 1.203125, 0.2265625], abs=1e-12)
    assert spike_times(scan) == [1, 4]
    assert float(scan.state.neurons.a) == pytest.approx(0.5625, abs=1e-12)


def test_a_refractory_neuron_waits_exactly_its_steps_and_integrates_meanwhile() -> None:
    spec = neuron(kind="lif", tau_mem_ms=HALF, reset="none", n_refractory=2)
    scan = run(spec, [2.0] * 8)
    assert spike_times(scan) == [0, 3, 6]
    assert trajectory(scan)[:3] == [2.0, 3.0, 3.5]


def test_a_non_negative_potential_is_cut_off_at_zero_after_the_reset_and_every_input() -> None:
    """1.5 / 2 - 0.5 - 1, with the reset, and 0.25 / 2 - 0.5 are below zero."""
    spec = neuron(kind="lif", tau_mem_ms=HALF, non_negative=True)
    scan = run(spec, [1.5, -0.5, 0.25, -0.5, 1.0])
    assert trajectory(scan) == [1.5, 0.0, 0.25, 0.0, 1.0]
    assert spike_times(scan) == [0, 4]


@pytest.mark.parametrize(("comparison", "spikes"), [("greater_equal", [0]), ("greater", [])])
def test_the_threshold_itself_fires_only_when_the_comparison_includes_it(comparison: str, spikes: list[int]) -> None:
    assert spike_times(run(neuron(kind="lif", fires_at=comparison), [1.0])) == spikes


@pytest.mark.parametrize(
    ("scaling", "factor"), [("plain", 1.0), ("one_minus_decay", 1 - math.exp(-0.1)), ("dt_over_tau", 0.1)]
)
def test_input_scaling_is_what_its_name_says(scaling: str, factor: float) -> None:
    scan = run(neuron(kind="lif", tau_mem_ms=10.0, input_scaling=scaling), [0.5])
    assert trajectory(scan) == pytest.approx([0.5 * factor], rel=1e-12)


def test_a_mixed_layer_is_its_populations_side_by_side() -> None:
    lif = {"kind": "lif", "tau_mem_ms": 5.0, "v_threshold": 0.7, "n_refractory": 1}
    alif = {"kind": "alif", "tau_mem_ms": 12.0, "tau_adapt_ms": 30.0, "beta_adapt": 2.0}
    current = torch.rand(40, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    populations = [{"proportion": 2.0, "neuron": lif}, {"proportion": 1.0, "neuron": alif}]
    mixed = run(neuron(kind="mixed", populations=populations), current)
    assert torch.equal(mixed.z[..., :4], run(neuron(**lif), current[..., :4]).z)
    assert torch.equal(mixed.z[..., 4:], run(neuron(**alif), current[..., 4:]).z)
    assert 0 < mixed.z.mean() < 1


def test_the_firing_period_is_the_exact_one_for_every_input() -> None:
    """Reset to zero, constant input I: the period is ceil(ln(1 - w_leak / (w_in I)) / ln(1 - w_leak)) updates,
    with spikes at k - 1, 2k - 1, ..., and no spike at all iff I <= w_leak / w_in (Gerum & Schilling 2020, eqs. 21-23;
    threshold 1)."""
    n_steps, n_draws = 400, 3_000
    draw = torch.Generator().manual_seed(0)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n_draws, generator=draw, dtype=torch.float64)

    w_leak, w_in, current = uniform(0.01, 0.9), uniform(0.05, 1.5), uniform(0.01, 4.0)
    drive = w_in * current
    exact = torch.log(1 - w_leak / drive) / torch.log(1 - w_leak)
    silent = drive <= w_leak
    # the closed form and the recurrence round differently where the period is an integer to within rounding
    clear = silent | ((exact - exact.round()).abs() > 1e-9)
    period = torch.where(silent, torch.inf, exact.ceil())

    spec = neuron(kind="lif", reset="value", v_threshold=1.0)
    parameters = neuron_parameters(spec, n_draws, 1.0, dtype=torch.float64, device=torch.device("cpu"))
    parameters = replace(parameters, decay_mem=1 - w_leak)
    z = unroll(drive.expand(n_steps, 1, -1), parameters, spike_function(form_of(spec))).z[:, 0]
    t = torch.arange(1, n_steps + 1, dtype=torch.float64)[:, None]
    expected = ((t % period == 0) & ~silent).to(z)
    assert clear.sum() > 0.99 * n_draws
    assert 100 < silent.sum() < n_draws - 1000
    assert torch.equal(z[:, clear], expected[:, clear])


def test_the_sweep_of_the_input_gives_the_published_example() -> None:
    """w_in = 0.5, w_leak = 0.1, I = 1: period 3, spikes at 2, 5, 8."""
    spec = neuron(kind="lif", reset="value", tau_mem_ms=-1 / math.log(0.9))
    assert spike_times(run(spec, [0.5] * 9)) == [2, 5, 8]


def adaptive_run(fields: dict[str, Any], current: Tensor) -> tuple[Scan, Tensor]:
    """What a layer of adaptive neurons does, and the gradient of the weighted sum of its spikes for the current."""
    spec = neuron(kind="alif", tau_mem_ms=HALF, tau_adapt_ms=HALF / 2, n_refractory=1, **fields)
    free = current.clone().requires_grad_()
    scan = run(spec, free)
    weights = torch.arange(scan.z.numel(), dtype=torch.float64).reshape(scan.z.shape)
    (scan.z * weights).sum().backward()  # type: ignore[no-untyped-call]
    assert free.grad is not None
    return scan, free.grad


def test_the_two_unit_systems_of_adaptive_neurons_are_one() -> None:
    """((1 - d) I, b0, beta) and (I, b0 / (1 - d), beta / (1 - d)): the same spikes, potentials in other units, and the
    same gradients, since the surrogate is a function of (v - threshold) / threshold."""
    current = torch.rand(200, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    b0, beta, one_minus_decay = 0.125, 0.5, 0.5
    normalised, gradient = adaptive_run(
        {"input_scaling": "one_minus_decay", "v_threshold": b0, "beta_adapt": beta}, current
    )
    plain, gradient_plain = adaptive_run(
        {"input_scaling": "plain", "v_threshold": b0 / one_minus_decay, "beta_adapt": beta / one_minus_decay}, current
    )
    assert torch.equal(normalised.z, plain.z)
    assert 0.1 < float(normalised.z.detach().mean()) < 0.5
    assert normalised.v is not None
    assert plain.v is not None
    assert torch.allclose(normalised.v / one_minus_decay, plain.v, rtol=1e-12)
    assert torch.allclose(gradient, gradient_plain, rtol=1e-9, atol=1e-12)


def test_an_adaptation_that_sums_spikes_is_one_that_averages_them_with_another_strength() -> None:
    """a' = r a' + z with beta' = beta (1 - r) / (1 - d) in plain units (Bellec et al. 2020), by a loop of its own."""
    decay, decay_adapt, b0, beta = 0.5, 0.25, 0.125, 0.5
    current = torch.rand(200, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scan, _ = adaptive_run(
        {"input_scaling": "one_minus_decay", "v_threshold": b0, "beta_adapt": beta}, current[:, None, None]
    )
    v = a = z = wait = 0.0
    threshold = b0 / (1 - decay)
    spikes = []
    for incoming in current.tolist():
        v = decay * v + incoming - threshold * z
        a = decay_adapt * a + z
        threshold = b0 / (1 - decay) + beta * (1 - decay_adapt) / (1 - decay) * a
        z = float(v >= threshold and wait == 0)
        wait = 1.0 if z else max(0.0, wait - 1)
        spikes.append(z)
    assert scan.z.flatten().tolist() == spikes
    assert sum(spikes) > 20
