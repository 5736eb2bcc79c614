"""The compiled kernel of the competitive network against plain loops: the same spikes, step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.snncore import kernel_competition, numpy_competition
from tests.snncore.competition_cases import KINDS, RULES, Case, Outcome, noisy

DT = 0.5
SEED = 3
CIRCUITS = {
    "inhibitory neurons": noisy(SEED),
    "inhibitory neurons as strong as published": noisy(SEED, w_inh_exc=17.0),
    "without delays": noisy(SEED, delays_ms=np.zeros((20, 5))),
    "direct inhibition": noisy(SEED, inh=None, w_inh_exc=3.0),
    "one spike a step": noisy(SEED, inh=None, w_inh_exc=0.2, one_spike=True, delays_ms=np.zeros((20, 5))),
}


def assert_same(found: Outcome, loops: Outcome, relative: float = 1e-10) -> None:
    assert loops.spikes.sum() >= 5
    assert np.array_equal(found.spikes, loops.spikes)
    assert np.array_equal(found.spikes_inh, loops.spikes_inh)
    for name in ("v", "g_exc", "g_inh", "weights", "theta"):
        assert getattr(found, name) == pytest.approx(getattr(loops, name), rel=relative, abs=relative), name


@pytest.mark.parametrize("circuit", CIRCUITS)
@pytest.mark.parametrize("dt_ms", [DT, 0.1])
def test_the_kernel_does_what_the_loops_do(circuit: str, dt_ms: float) -> None:
    case = replace(CIRCUITS[circuit], duration_ms=100.0)
    assert_same(kernel_competition.simulate(case, dt_ms), numpy_competition.simulate(case, dt_ms))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_the_kernel_learns_what_the_loops_learn(circuit: str, kind: str) -> None:
    assert_learns_the_same(replace(CIRCUITS[circuit], rule=RULES[kind]))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rectangular"])
def test_with_traces_that_add_up_too(kind: str) -> None:
    assert_learns_the_same(replace(CIRCUITS["inhibitory neurons"], rule=replace(RULES[kind], additive=True)))


def assert_learns_the_same(case: Case) -> None:
    case = replace(case, tau_theta_ms=1000.0)
    loops = numpy_competition.simulate(case, DT)
    assert not np.allclose(loops.weights, case.weights, atol=0.01)
    assert_same(kernel_competition.simulate(case, DT), loops)


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_in_single_precision_the_kernel_starts_alike(circuit: str) -> None:
    case = replace(CIRCUITS[circuit], rule=RULES["triplet"], duration_ms=60.0)
    found = kernel_competition.simulate(case, DT, "float32")
    assert_same(found, numpy_competition.simulate(case, DT), relative=1e-4)


def test_of_neurons_above_threshold_together_only_the_farthest_fires() -> None:
    case: Case = replace(CIRCUITS["one spike a step"], w_inh_exc=0.0)
    several = numpy_competition.simulate(replace(case, one_spike=False), DT)
    assert several.spikes.sum(axis=1).max() > 1
    assert kernel_competition.simulate(case, DT).spikes.sum(axis=1).max() == 1
