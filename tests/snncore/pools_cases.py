"""A small job of decision pools for the tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncore.spec import JobSpec, deep_merge, parse_job_spec

POOLS: dict[str, Any] = {
    "task": {"kind": "classification"},
    "dataset": {"kind": "digits"},
    "encoding": {"kind": "poisson", "duration_ms": 60.0, "max_rate_hz": 63.75, "feature_sum": 100.0},
    "architecture": {"kind": "decision_pools", "pool_size": 3, "decision": {"duration_ms": 120.0, "bound": 4.0}},
    "training": {"kind": "teacher_stdp", "epochs": 1, "learning_rate": 0.01, "precision": "float64"},
}


def pools_job(parts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A document of a job that trains in a second, with `parts` merged into it."""
    return deep_merge(POOLS, parts or {})


def pools_spec(parts: Mapping[str, Any] | None = None) -> JobSpec:
    return parse_job_spec(pools_job(parts))
