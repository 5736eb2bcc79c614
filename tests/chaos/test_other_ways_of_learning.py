"""`kill -9` of trainers that learn without the gradient: the job succeeds, with the bits of one that was left alone."""

from __future__ import annotations

from typing import Any

import pytest

from snncore.presets import get_preset
from snncore.spec import deep_merge, parse_job_spec
from tests.chaos import points
from tests.chaos.harness import Service, assert_same, until

COMPETITIVE: dict[str, Any] = {
    "dataset": {"kind": "digits"},
    "encoding": {"max_rate_hz": 450.0},
    "architecture": {"n_neurons": 1500},
    "neuron": {"theta_step_mv": 0.05},
    "training": {"epochs": 6, "weight_total": 16.0, "evaluate_every": None, "labelling": {"n_samples": 300}},
    "recording": {"n_samples": 1},
}


@pytest.mark.parametrize("fidelity", ["fast", "original"])
def test_a_competitive_network_goes_on_to_the_same_bits(service: Service, fidelity: str) -> None:
    base = get_preset({"fast": "diehl-cook/100", "original": "diehl-cook/400-original"}[fidelity]).spec
    smaller = {"architecture": {"n_neurons": 150}, "training": {"epochs": 2}} if fidelity == "original" else {}
    document = deep_merge(deep_merge(base, COMPETITIVE), smaller)
    spec = parse_job_spec(document).model_dump(mode="json")
    alone = service.submit(spec)
    assert service.wait(alone, "succeeded").attempt == 1
    job_id = service.submit(spec)
    for attempt in (1, 2):
        until(lambda n=attempt: service.job(job_id).attempt == n, what=f"attempt {attempt}")
        points.just_after_a_checkpoint(service, job_id)
        service.signal("trainer")
    assert service.wait(job_id, "succeeded").attempt == 3
    assert_same(service.outcome(job_id), service.outcome(alone))
