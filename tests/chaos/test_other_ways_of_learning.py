"""`kill -9` of trainers that learn in other ways: the job succeeds, with the bits of one that was left alone."""

from __future__ import annotations

from typing import Any

import pytest

from snncore.presets import get_preset
from snncore.spec import deep_merge, parse_job_spec
from tests.chaos import points
from tests.chaos.harness import Service, assert_same, until
from tests.snncore.diet_cases import diet_parts
from tests.snncore.jobs import tiny_job

ON_DIGITS: dict[str, Any] = {"dataset": {"kind": "digits"}, "recording": {"n_samples": 1}}
COMPETITIVE: dict[str, Any] = {
    "encoding": {"max_rate_hz": 450.0},
    "training": {"weight_total": 16.0, "evaluate_every": None, "labelling": {"n_samples": 300}},
}


def from_preset(name: str, *changes: dict[str, Any]) -> dict[str, Any]:
    document = deep_merge(get_preset(name).spec, ON_DIGITS)
    for change in changes:
        document = deep_merge(document, change)
    return document


def jobs() -> dict[str, dict[str, Any]]:
    """Some seconds of each way of learning."""
    large = {"architecture": {"n_neurons": 1_500}, "neuron": {"theta_step_mv": 0.05}, "training": {"epochs": 6}}
    small = {"architecture": {"n_neurons": 150}, "training": {"epochs": 2}}
    pools = {"training": {"epochs": 60, "batch_size": 20, "n_measured": 200}}
    diet = diet_parts(epochs=30, batch_size=40, ann={"epochs": 60, "batch_size": 20})
    return {
        "fast": from_preset("diehl-cook/100", COMPETITIVE, large),
        "original": from_preset("diehl-cook/400-original", COMPETITIVE, small),
        "pools": from_preset("beyeler/decision", pools),
        "diet": tiny_job(**diet),
    }


@pytest.mark.parametrize("form", ["fast", "original", "pools", "diet"])
def test_a_killed_trainer_costs_time_and_nothing_else(service: Service, form: str) -> None:
    spec = parse_job_spec(jobs()[form]).model_dump(mode="json")
    alone = service.submit(spec)
    assert service.wait(alone, "succeeded").attempt == 1
    job_id = service.submit(spec)
    for attempt in (1, 2):
        until(lambda n=attempt: service.job(job_id).attempt == n, what=f"attempt {attempt}")
        points.just_after_a_checkpoint(service, job_id)
        service.signal("trainer")
    assert service.wait(job_id, "succeeded").attempt == 3
    assert_same(service.outcome(job_id), service.outcome(alone))
