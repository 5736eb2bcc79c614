"""Cross-field rules: combinations of parts that are each valid and cannot work together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.errors import Problem
from snncore.spec.rules import data, network, neurons, shapes, tasks, time, training

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

RULES = (
    time.time_axis,
    time.scan,
    time.changes,
    time.events,
    data.dataset,
    data.preparation,
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
)


def broken_rules(spec: JobSpec) -> list[Problem]:
    """Everything about `spec` that cannot work, at once."""
    return [Problem(loc, msg, "inconsistent") for rule in RULES for loc, msg in rule(spec)]
