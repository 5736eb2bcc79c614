"""The competitive network against brian2, and its learning rules against what they come to by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.snncore import brian_competition, kernel_competition, numpy_competition
from tests.snncore.brian_competition import Request
from tests.snncore.competition_cases import KINDS, RULES, Case, Outcome, Rule, noisy

Simulate = Callable[[Case, float], Outcome]
SIMULATORS: dict[str, Simulate] = {"loops": numpy_competition.simulate, "kernel": kernel_competition.simulate}

DT = 0.5
FINE = 0.05
"""Of what counts as exact."""
FIRST_MS = 100.0
"""Networks are compared for so long. Once two neurons are as close to each other as errors are large, one or the other
wins, and everything after it is different."""
SEEDS = (0, 1)


@pytest.fixture(params=SIMULATORS)
def simulate(request: pytest.FixtureRequest) -> Simulate:
    return SIMULATORS[request.param]


def alone(seed: int) -> Case:
    """Neurons that do not inhibit each other: what one does late changes nothing for the others."""
    return noisy(seed, w_inh_exc=0.0, duration_ms=FIRST_MS)


def competing(seed: int) -> Case:
    return noisy(seed, duration_ms=FIRST_MS)


def strongly_competing(seed: int) -> Case:
    return noisy(seed, w_inh_exc=17.0, duration_ms=FIRST_MS)


def learning(kind: str) -> Case:
    return noisy(0, rule=RULES[kind], duration_ms=FIRST_MS)


def pairs(rule: Rule) -> Case:
    """A synapse with four input spikes, and a neuron that two other inputs make fire three times."""
    first = [(10.0, 0), (22.0, 0), (41.0, 0), (75.0, 0)]
    teachers = [(time, teacher) for time in (15.0, 40.0, 70.0) for teacher in (1, 2)]
    times, sources = zip(*first, *teachers, strict=True)
    return Case(
        times_ms=np.array(times),
        sources=np.array(sources),
        weights=np.array([[0.3], [1.0], [1.0]]),
        delays_ms=np.zeros((3, 1)),
        theta=np.array([7.4]),
        duration_ms=90.0,
        rule=rule,
        theta_plus=0.0,
    )


@dataclass(frozen=True)
class Solutions:
    """What brian2 comes to."""

    alone: list[Outcome]
    competing: list[Outcome]
    strongly_competing: list[Outcome]
    pairs: dict[str, Outcome]
    learning: dict[str, Outcome]


@pytest.fixture(scope="module")
def brian() -> Solutions:
    by_case = [
        *(Request(alone(seed), FINE) for seed in SEEDS),
        *(Request(competing(seed), DT / 4) for seed in SEEDS),
        *(Request(strongly_competing(seed), DT / 4) for seed in SEEDS),
        *(Request(pairs(rule), DT, "exponential_euler") for rule in RULES.values()),
        *(Request(learning(kind), DT / 4) for kind in KINDS),
    ]
    outcomes = iter(brian_competition.simulate(by_case))
    groups = [[next(outcomes) for _ in SEEDS] for _ in range(3)]
    return Solutions(*groups, *({kind: next(outcomes) for kind in KINDS} for _ in range(2)))


def first_spikes_ms(outcome: Outcome) -> list[float]:
    return [float(outcome.spike_times_ms(j)[0]) for j in range(outcome.spikes.shape[1])]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dt_ms", [DT, DT / 2, DT / 4])
def test_a_neuron_first_spikes_within_a_step_of_when_brian2_has_it_spike(
    simulate: Simulate, brian: Solutions, seed: int, dt_ms: float
) -> None:
    found, exact = first_spikes_ms(simulate(alone(seed), dt_ms)), first_spikes_ms(brian.alone[seed])
    assert all(-FINE <= late <= dt_ms + 1e-9 for late in np.subtract(found, exact))


@pytest.mark.parametrize("seed", SEEDS)
def test_spikes_come_closer_to_those_of_brian2_with_shorter_steps(
    simulate: Simulate, brian: Solutions, seed: int
) -> None:
    exact = brian.alone[seed]
    errors = []
    for dt_ms in (DT, DT / 4):
        found = simulate(alone(seed), dt_ms)
        late = [
            abs(ours - theirs)
            for j in range(exact.spikes.shape[1])
            for ours, theirs in zip(found.spike_times_ms(j), exact.spike_times_ms(j), strict=False)
        ]
        errors.append(float(np.median(late)))
    # A spike is found at the end of its step, half a step late on average, and late by all those before it.
    assert errors[0] < 2 * DT
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("strength", ["competing", "strongly_competing"])
def test_competing_neurons_spike_in_the_same_steps_as_in_brian2(
    simulate: Simulate, brian: Solutions, strength: str, seed: int
) -> None:
    case = {"competing": competing, "strongly_competing": strongly_competing}[strength](seed)
    found, theirs = simulate(case, DT / 4), getattr(brian, strength)[seed]
    assert found.spikes.sum() >= 5
    assert np.array_equal(found.spikes, theirs.spikes)
    assert np.array_equal(found.spikes_inh, theirs.spikes_inh)
    assert found.v == pytest.approx(theirs.v, abs=0.001)
    assert found.g_exc == pytest.approx(theirs.g_exc, abs=1e-4)
    assert found.g_inh == pytest.approx(theirs.g_inh, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_changes_weights_by_what_brian2_changes_them(simulate: Simulate, brian: Solutions, kind: str) -> None:
    found = simulate(pairs(RULES[kind]), DT)
    assert np.array_equal(found.spikes, brian.pairs[kind].spikes)
    assert found.weights == pytest.approx(brian.pairs[kind].weights, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_learning_network_ends_with_the_weights_and_thresholds_of_brian2(
    simulate: Simulate, brian: Solutions, kind: str
) -> None:
    found, theirs = simulate(learning(kind), DT / 4), brian.learning[kind]
    assert np.array_equal(found.spikes, theirs.spikes)
    assert found.weights == pytest.approx(theirs.weights, abs=1e-9)
    assert found.theta == pytest.approx(theirs.theta, abs=1e-7)


@dataclass(frozen=True)
class Gaps:
    """Times in ms between spikes of `pairs`: from an input's to the neuron's (`caused`) and the other way (`late`)."""

    caused: list[float]
    late: list[float]
    between: list[float]
    """Of the neuron's own."""


def gaps(outcome: Outcome) -> Gaps:
    """In steps from that in which an input spike acts to that in which the neuron spikes, which is later by the end."""
    spikes = outcome.spike_times_ms(0) - outcome.dt_ms
    inputs = (10.0, 22.0, 41.0, 75.0)
    assert len(spikes) == 3
    return Gaps(
        caused=[float(spikes[k] - inputs[k]) for k in range(3)],
        late=[float(inputs[k + 1] - spikes[k]) for k in range(3)],
        between=[float(spikes[k + 1] - spikes[k]) for k in range(2)],
    )


def trace(gap_ms: float, tau_ms: float = 20.0) -> float:
    return math.exp(-gap_ms / tau_ms)


def first_weight(simulate: Simulate, rule: Rule) -> tuple[float, Gaps]:
    outcome = simulate(pairs(rule), DT)
    return float(outcome.weights[0, 0]), gaps(outcome)


def test_triplet_by_hand(simulate: Simulate) -> None:
    w, gap = first_weight(simulate, Rule("triplet", eta_pre=0.01, eta_post=0.1))
    by_hand = 0.3  # the first spike finds no earlier one
    by_hand -= 0.01 * trace(gap.late[0])
    by_hand += 0.1 * trace(gap.caused[1]) * trace(gap.between[0], 40.0)
    by_hand -= 0.01 * trace(gap.late[1])
    by_hand += 0.1 * trace(gap.caused[2]) * trace(gap.between[1], 40.0)
    by_hand -= 0.01 * trace(gap.late[2])
    assert w == pytest.approx(by_hand, abs=1e-12)


def test_pair_by_hand(simulate: Simulate) -> None:
    w, gap = first_weight(simulate, Rule("pair", eta_pre=0.01, eta_post=0.1))
    by_hand = 0.3 + 0.1 * sum(map(trace, gap.caused)) - 0.01 * sum(map(trace, gap.late))
    assert w == pytest.approx(by_hand, abs=1e-12)


def test_traces_that_add_up_by_hand(simulate: Simulate) -> None:
    w, gap = first_weight(simulate, Rule("pair", eta_pre=0.01, eta_post=0.1, additive=True))
    by_hand = 0.3
    x_pre, x_post = 1.0, 0.0
    for k in range(3):
        x_pre *= trace(gap.caused[k])
        by_hand += 0.1 * x_pre
        x_post += 1
        x_post, x_pre = x_post * trace(gap.late[k]), x_pre * trace(gap.late[k])
        by_hand -= 0.01 * x_post
        x_pre += 1
        if k < 2:
            x_post *= trace(gap.caused[k + 1])
    assert w == pytest.approx(by_hand, abs=1e-12)


def test_power_by_hand(simulate: Simulate) -> None:
    w, gap = first_weight(simulate, Rule("power", eta_post=0.1, x_tar=0.4, mu=0.9))
    by_hand = 0.3
    for caused in gap.caused:
        by_hand += 0.1 * (trace(caused) - 0.4) * (1 - by_hand) ** 0.9
    assert w == pytest.approx(by_hand, abs=1e-12)


def test_exponential_by_hand(simulate: Simulate) -> None:
    w, gap = first_weight(simulate, Rule("exponential", eta_post=0.1, x_tar=0.4, beta=3.0))
    by_hand = 0.3
    for caused in gap.caused:
        by_hand += 0.1 * (trace(caused) * math.exp(-3 * by_hand) - 0.4 * math.exp(-3 * (1 - by_hand)))
    assert w == pytest.approx(by_hand, abs=1e-12)


def test_symmetric_by_hand(simulate: Simulate) -> None:
    w, gap = first_weight(simulate, Rule("symmetric", eta_pre=0.01, eta_post=0.1, x_tar=0.4, mu=0.9))
    by_hand = 0.3
    for caused, late in zip(gap.caused, gap.late, strict=True):
        by_hand += 0.1 * (trace(caused) - 0.4) * (1 - by_hand) ** 0.9
        by_hand -= 0.01 * trace(late) * by_hand**0.9
    assert w == pytest.approx(by_hand, abs=1e-12)


def test_rectangular_by_hand(simulate: Simulate) -> None:
    rule = Rule("rectangular", eta_post=0.1, beta=3.0, alpha_minus=0.05, beta_minus=2.0)
    w, gap = first_weight(simulate, rule)
    assert gap.caused[0] < 20 > gap.caused[1]
    assert gap.caused[2] > 20
    by_hand = 0.3
    by_hand += 0.1 * math.exp(-3 * by_hand)
    by_hand += 0.1 * math.exp(-3 * by_hand)
    by_hand -= 0.05 * math.exp(-2 * (1 - by_hand))
    assert w == pytest.approx(by_hand, abs=1e-12)


def test_an_input_that_never_spiked_is_no_cause(simulate: Simulate) -> None:
    case = pairs(Rule("rectangular", eta_post=0.1, alpha_minus=0.05, beta_minus=2.0))
    teachers_only = case.sources > 0
    soon = replace(case, times_ms=case.times_ms[teachers_only] - 14.5, sources=case.sources[teachers_only])
    outcome = simulate(replace(soon, duration_ms=10.0), DT)
    assert outcome.spikes.sum() == 1
    assert outcome.weights[0, 0] == pytest.approx(0.3 - 0.05 * math.exp(-2 * 0.7), abs=1e-12)


def test_weights_stay_between_zero_and_one(simulate: Simulate) -> None:
    up = simulate(pairs(Rule("pair", eta_pre=0.0, eta_post=1.0)), DT)
    down = simulate(pairs(Rule("pair", eta_pre=1.0, eta_post=1e-9)), DT)
    assert up.weights[0, 0] == 1
    assert down.weights[0, 0] == 0


def test_a_threshold_grows_at_each_spike_and_decays_between(simulate: Simulate) -> None:
    case = replace(pairs(RULES["pair"]), theta_plus=0.01, tau_theta_ms=5000.0)
    outcome = simulate(case, DT)
    after = [90.0 - time for time in outcome.spike_times_ms(0)]
    by_hand = 7.4 * trace(90.0, 5000.0) + sum(0.01 * trace(rest, 5000.0) for rest in after)
    assert len(after) == 3
    assert outcome.theta[0] == pytest.approx(by_hand, abs=1e-12)


def test_thresholds_and_weights_are_frozen_without_a_rule(simulate: Simulate) -> None:
    case = replace(noisy(0), tau_theta_ms=100.0)
    outcome = simulate(case, DT)
    assert outcome.spikes.any()
    assert np.array_equal(outcome.theta, case.theta)
    assert np.array_equal(outcome.weights, case.weights)


@pytest.mark.parametrize("refractory_ms", [2.0, 5.0])
def test_a_driven_neuron_waits_out_its_refractory_period(simulate: Simulate, refractory_ms: float) -> None:
    case = Case(
        times_ms=np.repeat(np.arange(0.0, 60.0, DT), 5),
        sources=np.tile(np.arange(5), 120),
        weights=np.ones((5, 1)),
        delays_ms=np.zeros((5, 1)),
        theta=np.array([20.0]),
        duration_ms=60.0,
        exc=replace(noisy(0).exc, refractory_ms=refractory_ms),
    )
    outcome = simulate(case, DT)
    spikes = np.flatnonzero(outcome.spikes[:, 0])
    assert len(spikes) > 3
    resting = round(refractory_ms / DT)
    for spike in spikes[:-1]:
        assert (outcome.v[spike : spike + resting + 1, 0] == case.exc.v_reset).all()
        assert outcome.v[spike + resting + 1, 0] != case.exc.v_reset


@pytest.mark.parametrize("delay_ms", [0.0, 0.5, 3.5, 10.0])
def test_an_input_spike_acts_after_its_delay(simulate: Simulate, delay_ms: float) -> None:
    case = Case(
        times_ms=np.array([4.0]),
        sources=np.array([1]),
        weights=np.array([[0.4, 0.4], [0.7, 0.2]]),
        delays_ms=np.array([[0.0, 0.0], [delay_ms, 1.5]]),
        theta=np.array([20.0, 20.0]),
        duration_ms=20.0,
    )
    outcome = simulate(case, DT)
    times = np.arange(0.0, 20.0, DT)
    for j, (weight, delay) in enumerate([(0.7, delay_ms), (0.2, 1.5)]):
        since = times - 4.0 - delay
        by_hand = np.where(since >= 0, weight * np.exp(-np.maximum(since, 0.0)), 0.0)
        assert outcome.g_exc[:, j] == pytest.approx(by_hand, abs=1e-12)


def test_a_spike_inhibits_the_others_one_inhibitory_spike_later(simulate: Simulate) -> None:
    case = replace(pairs(RULES["pair"]), rule=None, w_exc_inh=10.4, w_inh_exc=17.0)
    both = replace(
        case,
        weights=np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]),
        delays_ms=np.zeros((3, 2)),
        theta=np.array([7.4, 7.4]),
    )
    outcome = simulate(both, DT)
    spikes, spikes_inh = np.flatnonzero(outcome.spikes[:, 0]), np.flatnonzero(outcome.spikes_inh[:, 0])
    assert len(spikes) == len(spikes_inh) == 3
    assert not outcome.spikes[:, 1].any()
    assert not outcome.spikes_inh[:, 1].any()
    assert not outcome.g_inh[:, 0].any()
    assert np.flatnonzero(outcome.g_inh[:, 1])[0] == spikes_inh[0] + 1
    assert outcome.g_inh[spikes_inh[0] + 1, 1] == 17.0
