"""Cross-field rules: combinations of parts that are each valid and cannot work together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from snncore.spec.diet import Diet
from snncore.spec.errors import Problem
from snncore.spec.pools import TeacherSTDP
from snncore.spec.rules import (
    competitive,
    data,
    diet,
    families,
    network,
    neurons,
    pools,
    recording,
    shapes,
    tasks,
    time,
    training,
)
from snncore.spec.rules.broken import Broken
from snncore.spec.sequential import Sequential
from snncore.spec.stdp import STDP
from snncore.spec.training import BPTT
from snncore.spec.twin import spiking_part

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

SHARED = (time.time_axis, time.scan, time.changes, time.events, data.dataset, data.preparation)
OF_LAYERED = (
    tasks.task,
    neurons.neurons,
    neurons.smoothing,
    shapes.shapes,
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
    problems = [problem for rule in _rules_for(spec) for problem in rule(spec)]
    if isinstance(spec.training, Diet) and isinstance(spec.architecture, Sequential):
        part = spiking_part(spec)
        problems += [problem for rule in OF_LAYERED for problem in rule(part)]
    return [Problem(loc, msg, "inconsistent") for loc, msg in dict.fromkeys(problems)]


def _rules_for(spec: JobSpec) -> tuple[Callable[[JobSpec], Broken], ...]:
    if any(True for _ in families.family(spec)):
        return families.family, *SHARED
    match spec.training:
        case BPTT():
            return SHARED + OF_LAYERED
        case Diet():
            return *SHARED, diet.diet
        case STDP():
            return SHARED + OF_COMPETITIVE
        case TeacherSTDP():
            return SHARED + OF_POOLS
