"""Cross-field rules: combinations of parts that are each valid and cannot work together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.diet import Diet, spiking_part
from snncore.spec.errors import Problem
from snncore.spec.rules import data, diet, network, neurons, shapes, tasks, time, training

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

RULES = (
    time.time_axis,
    time.scan,
    time.changes,
    time.events,
    data.dataset,
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
    if isinstance(spec.training, Diet):
        broken = [*diet.diet(spec), *(problem for rule in RULES for problem in rule(spiking_part(spec)))]
    else:
        broken = [problem for rule in RULES for problem in rule(spec)]
    return [Problem(loc, msg, "inconsistent") for loc, msg in broken]
