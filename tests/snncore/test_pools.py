"""Decision pools: the compiled kernel against the equations in NumPy, and what the equations say by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from snncore import spec
from snncore.plasticity.pools import NOBODY, Draws, Pools, draws, initial_weights
from snncore.spec import deep_merge
from snncore.streams import stream
from tests.snncore import pools_reference
from tests.snncore.pools_cases import pools_spec

N_INPUTS, N = 64, 30
CALCIUM = {"training": {"calcium": {"up_from": 0.5, "up_to": 4.0, "down_from": 0.2, "down_to": 2.5}}}
OTHER_CONSTANTS = {
    "encoding": {"dt_ms": 0.5},
    "architecture": {"neuron": {"n_refractory": 0, "v_reset": -0.3, "tau_mem_ms": 7.0, "input_gain": 0.5}},
    "training": {"w_min": -0.02, "w_max": 0.08, "tau_trace_ms": 5.0},
}


def samples(n: int, rate: float = 0.1) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Spike probabilities of inputs, some of which never spike and one always does."""
    probabilities = stream(5, "samples").uniform(-rate, 2 * rate, (n, N_INPUTS)).astype(np.float32)
    probabilities[:, 7] = 1.5
    return probabilities


def prepared(parts: Mapping[str, Any], *, high: float = 0.2) -> tuple[spec.JobSpec, Pools]:
    job = pools_spec(parts)
    weights = stream(1, "weights").uniform(-high / 2, high, (N_INPUTS, N)).astype(job.training.precision)
    return job, Pools(job, weights)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("parts", [{}, CALCIUM, OTHER_CONSTANTS], ids=["plain", "calcium", "other constants"])
def test_the_kernel_learns_to_the_bits_of_the_equations(parts: Mapping[str, Any], precision: str) -> None:
    """Spikes, decisions, accumulators and weights, over samples that are learned one after the other."""
    job, pools = prepared(deep_merge(parts, {"training": {"precision": precision}}))
    weights, labels = pools.weights.copy(), np.array([3, 0, 9, 3, 5])
    before = weights.copy()
    shown = pools.learn(samples(5), labels, draws(0, "test"), 0.01, record=True)
    kept = shown.recorded
    assert kept is not None
    for b in range(5):
        expected = pools_reference.present(job, weights, kept.input[b], kept.teachers[b], 0.01)
        assert expected.recorded is not None
        np.testing.assert_array_equal(kept.pools[b], expected.recorded.pools[0])
        np.testing.assert_array_equal(kept.evidence[b], expected.recorded.evidence[0])
        for name in ("responses", "decision_steps", "pool_spikes"):
            np.testing.assert_array_equal(getattr(shown, name)[b], getattr(expected, name)[0])
    np.testing.assert_array_equal(pools.weights, weights)
    assert np.any(pools.weights > before)
    assert np.any(pools.weights < before)
    assert kept.pools.sum() == shown.neuron_spikes.sum() > 50
    assert kept.input.sum() == shown.input_spikes[0]


def test_decisions_leave_the_weights_as_they_are_and_follow_the_equations() -> None:
    job, pools = prepared({"architecture": {"decision": {"bound": 6.0}}})
    patterns = samples(5)
    pools.learn(np.tile(patterns, (30, 1)), np.tile([1, 3, 5, 7, 9], 30), draws(0, "learn"), 0.01)
    before = pools.weights.copy()
    patterns[4] /= 3  # too weak to be told
    shown = pools.decide(np.tile(patterns, (3, 1)), draws(0, "test"), record=True)
    np.testing.assert_array_equal(pools.weights, before)
    assert shown.recorded is not None
    found = [pools_reference.present(job, before, inputs) for inputs in shown.recorded.input]
    assert list(shown.responses) == [int(one.responses[0]) for one in found]
    assert list(shown.decision_steps) == [int(one.decision_steps[0]) for one in found]
    assert NOBODY in shown.responses
    assert len(set(shown.responses)) > 2
    assert not shown.recorded.teachers.any()


def test_a_sample_spikes_the_same_in_whichever_batch_it_is_shown() -> None:
    _, pools = prepared({})
    _, apart = prepared({})
    probabilities, labels = samples(7), np.arange(7)
    whole = pools.learn(probabilities, labels, draws(3, "test"), 0.01)
    parts = [
        apart.learn(probabilities[part], labels[part], draws(3, "test").beginning_with(part.start), 0.01)
        for part in (slice(0, 2), slice(2, 7))
    ]
    np.testing.assert_array_equal(pools.weights, apart.weights)
    np.testing.assert_array_equal(whole.pool_spikes, np.concatenate([part.pool_spikes for part in parts]))


def test_inputs_and_teachers_spike_at_their_rates() -> None:
    _, pools = prepared({"encoding": {"duration_ms": 1_000.0}})
    probabilities = np.full((20, N_INPUTS), 0.05, np.float32)
    shown = pools.learn(probabilities, np.full(20, 4), Draws(1, 2), 1e-9, record=True)
    assert shown.recorded is not None
    assert shown.recorded.input.mean() == pytest.approx(0.05, rel=0.02)
    teachers = shown.recorded.teachers.reshape(20, 1_000, 10, 3)
    assert teachers[:, :, 4].mean() == pytest.approx(0.1, rel=0.03)  # 100 Hz
    assert teachers.sum() == teachers[:, :, 4].sum()
    per_input = shown.recorded.input.mean(axis=(0, 1))
    assert per_input.std() == pytest.approx((0.05 * 0.95 / 20_000) ** 0.5, rel=0.3)


def by_hand(parts: Mapping[str, Any], inputs: list[int], teacher: list[int], n_steps: int, weight: float) -> np.ndarray:
    """Weights after a sample in which input 0 spikes at the steps `inputs`, and the teacher of neuron 0 at its own."""
    job = pools_spec(parts)
    weights = np.full((N_INPUTS, N), weight)
    spikes, teachers = np.zeros((n_steps, N_INPUTS), bool), np.zeros((n_steps, N), bool)
    spikes[inputs, 0], teachers[teacher, 0] = True, True
    pools_reference.present(job, weights, spikes, teachers, 0.01)
    return weights


def test_a_teachers_spike_raises_the_weights_by_the_traces() -> None:
    weights = by_hand({}, inputs=[0, 10], teacher=[15], n_steps=20, weight=0.0)
    trace = np.exp(-15 / 20) + np.exp(-5 / 20)
    assert weights[0, 0] == pytest.approx(0.01 * trace)
    assert np.count_nonzero(weights) == 1


def test_an_own_spike_lowers_them_as_much() -> None:
    """A weight of 10 brings v over the threshold at once; the neuron spikes with its input, whose trace is 1."""
    bounds = {"training": {"w_max": 20.0}}
    weights = by_hand(bounds, inputs=[4], teacher=[], n_steps=8, weight=10.0)
    assert weights[0] == pytest.approx(np.full(N, 10.0 - 0.01))
    assert np.all(weights[1:] == 10.0)


def test_weights_stay_within_their_bounds() -> None:
    weights = by_hand(
        {"architecture": {"initial_weight": 0.0}, "training": {"w_max": 0.005}},
        inputs=[0],
        teacher=[0],
        n_steps=2,
        weight=0.0,
    )
    assert weights[0, 0] == 0.005


def test_with_calcium_a_neuron_learns_within_its_windows_only() -> None:
    """The third teacher's spike in a row brings the calcium to about 3, where learning begins; at 13 it ends."""
    calcium = {"training": {"calcium": {}}}
    early = by_hand(calcium, inputs=[0], teacher=[1, 2, 3], n_steps=4, weight=0.0)
    assert early[0, 0] == 0
    later = by_hand(calcium, inputs=[0], teacher=[1, 2, 3, 4], n_steps=5, weight=0.0)
    assert later[0, 0] == pytest.approx(0.01 * np.exp(-4 / 20))
    many = list(range(1, 30))
    calcium_at = [sum(np.exp(-(t - s) / 60) for s in many if s <= t) for t in many]
    learning = [t for t, c in zip(many, calcium_at, strict=True) if 3 <= c <= 13]
    assert learning[-1] < many[-1]
    expected = 0.01 * sum(np.exp(-t / 20) for t in learning)
    assert by_hand(calcium, inputs=[0], teacher=many, n_steps=30, weight=0.0)[0, 0] == pytest.approx(expected)


def test_the_own_rate_settles_at_the_taught_one() -> None:
    """One pattern, taught again and again: its pool comes to the teacher's 100 Hz, the others to silence."""
    job, pools = prepared({"encoding": {"duration_ms": 100.0}})
    probabilities = np.tile(samples(1, 0.05).clip(0, 0.2), (300, 1))
    pools.learn(probabilities, np.full(300, 6), draws(0, "learn"), 0.002)
    shown = pools.decide(probabilities[:50], draws(0, "look"))
    seconds = 50 * 0.12
    rates = shown.neuron_spikes.reshape(10, 3).mean(axis=1) / seconds
    assert rates[6] == pytest.approx(100, rel=0.15)
    assert np.delete(rates, 6).max() < 10
    assert job.n_outputs == 10


def test_initial_weights_are_uniform_up_to_the_largest() -> None:
    weights = initial_weights(pools_spec({"architecture": {"initial_weight": 0.5}}))
    assert weights.shape == (N_INPUTS, N)
    assert 0 <= weights.min() < 0.01
    assert 0.49 < weights.max() <= 0.5
