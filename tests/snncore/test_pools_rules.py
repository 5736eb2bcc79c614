"""What decision pools and their teacher ask of the rest of a spec, and what a spec of them costs."""

from __future__ import annotations

from typing import Any

import pytest

from snncore.spec import SpecError, deep_merge, estimate, parse_job_spec, useful_threads
from tests.snncore.jobs import TINY
from tests.snncore.pools_cases import pools_job, pools_spec


def problems(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse_job_spec(document)
    return {".".join(map(str, problem.loc)): problem.msg for problem in caught.value.problems}


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "neuron": ({"neuron": {"kind": "lif"}}, "has no effect"),
    "task": ({"task": {"loss": "mse"}}, "must be {'kind': 'classification'}"),
    "dataset.kind": ({"dataset": {"kind": "exponential", "n_features": 5}}, "must hold features and classes"),
    "encoding.kind": ({"encoding": {"kind": "latency", "duration_ms": 10.0}}, "must be 'poisson'"),
    "encoding.frames": ({"encoding": {"frames": 4}}, "must be 1"),
    "encoding.feature_sum": ({"encoding": {"feature_sum": 0.0}}, "greater than 0"),
    "device": ({"device": "cuda"}, "simulated on the CPU"),
    "architecture.readout": ({"architecture": {"readout": {"kind": "leaky"}}}, "is not a field here"),
    "architecture.decision.duration_ms": ({"architecture": {"decision": {"duration_ms": 10.5}}}, "whole number"),
    "architecture.neuron.v_reset": ({"architecture": {"neuron": {"v_reset": 1.0}}}, "below v_threshold"),
    "architecture.initial_weight": ({"architecture": {"initial_weight": 2.0}}, "must lie within training.w_min = -1"),
    "training.w_min": ({"training": {"w_min": 1.0}}, "must lie below w_max"),
    "training.teacher_rate_hz": ({"training": {"teacher_rate_hz": 1_001.0}}, "more than a spike in each step"),
    "training.calcium.down_from": ({"training": {"calcium": {"down_from": 5.0}}}, "must lie below down_to"),
    "training.batch_size": ({"training": {"batch_size": 2_000}}, "must not exceed the 1258"),
    "training.final_weights": ({"dataset": {"validation_fraction": 0.0}}, "give it one or take 'last'"),
    "training.optimiser": ({"training": {"optimiser": {"kind": "adam"}}}, "is not a field here"),
    "training.kind": ({"training": {"kind": "bptt", "epochs": 1, "batch_size": 9}}, "is trained by 'teacher_stdp'"),
}


@pytest.mark.parametrize("field", CASES)
def test_what_cannot_work_with_pools_is_named_with_what_to_do(field: str) -> None:
    parts, said = CASES[field]
    assert said in problems(pools_job(parts))[field]


def test_a_presentation_of_too_many_steps_is_refused() -> None:
    long = {"architecture": {"decision": {"duration_ms": 200_000.0}}}
    assert "200000 time steps" in problems(pools_job(long))["architecture.decision.duration_ms"]


def test_other_networks_have_no_teacher() -> None:
    document = deep_merge(TINY, {"training": {"kind": "teacher_stdp", "epochs": 1}})
    assert "decision_pools" in problems(document)["architecture.kind"]


def test_the_competitive_network_takes_features_as_they_are() -> None:
    document = {
        "task": {"kind": "classification"},
        "dataset": {"kind": "digits"},
        "encoding": {"kind": "poisson", "duration_ms": 350.0, "feature_sum": 100.0},
        "architecture": {"kind": "competitive", "n_neurons": 10},
        "neuron": {"kind": "conductance_lif"},
        "training": {"kind": "stdp", "epochs": 1},
    }
    assert "leave it out" in problems(document)["encoding.feature_sum"]


def test_a_job_of_pools_is_estimated_by_its_synapses_and_presentations() -> None:
    one, twice = estimate(pools_spec()), estimate(pools_spec({"training": {"epochs": 2}}))
    assert one.parameters == 64 * 30
    assert one.steps == 13
    assert 1.5 < twice.flops / one.flops < 2.5
    assert one.peak_memory_bytes < 2**20
    assert useful_threads(pools_spec(), 8) == 1
