"""Cross-field rules: combinations of parts that are each valid and cannot work together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from snncore.spec.errors import Problem
from snncore.spec.pools import TeacherSTDP
from snncore.spec.rules import competitive, data, families, network, neurons, pools, recording, tasks, time, training
from snncore.spec.rules.broken import Broken
from snncore.spec.stdp import STDP
from snncore.spec.training import BPTT

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

SHARED = (time.time_axis, time.scan, time.changes, time.events, data.dataset)
OF_LAYERED = (
    tasks.task,
    neurons.neurons,
    neurons.smoothing,
    network.delays,
    network.readout,
    network.embedded,
    training.training,
    training.rewiring,
    training.engine,
    recording.recording,
)
OF_COMPETITIVE = (competitive.data, competitive.circuit, competitive.learning)
OF_POOLS = (pools.surroundings, pools.architecture, pools.learning)


def broken_rules(spec: JobSpec) -> list[Problem]:
    """Everything about `spec` that cannot work, at once."""
    return [Problem(loc, msg, "inconsistent") for rule in _rules_for(spec) for loc, msg in rule(spec)]


def _rules_for(spec: JobSpec) -> tuple[Callable[[JobSpec], Broken], ...]:
    if any(True for _ in families.family(spec)):
        return families.family, *SHARED
    match spec.training:
        case BPTT():
            return SHARED + OF_LAYERED
        case STDP():
            return SHARED + OF_COMPETITIVE
        case TeacherSTDP():
            return SHARED + OF_POOLS
