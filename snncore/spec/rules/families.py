"""Ways of learning, and the architectures and neurons that each of them trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.architecture import Layered
from snncore.spec.competitive import Competitive, ConductanceLIF
from snncore.spec.diet import Diet
from snncore.spec.pools import DecisionPools, TeacherSTDP
from snncore.spec.rules.broken import Broken
from snncore.spec.sequential import Sequential
from snncore.spec.stdp import STDP

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def family(spec: JobSpec) -> Broken:
    """What has to be so before any other rule can be asked."""
    architecture, training, neuron = spec.architecture, spec.training, spec.neuron
    if isinstance(training, STDP) and not isinstance(architecture, Competitive):
        yield (
            ("architecture", "kind"),
            f"the training 'stdp' trains the architecture 'competitive', not {architecture.kind!r}",
        )
    elif isinstance(architecture, Competitive) and not isinstance(training, STDP):
        yield ("training", "kind"), f"the architecture 'competitive' is trained by 'stdp', not by {training.kind!r}"
    if isinstance(training, Diet) and isinstance(architecture, Layered) and not isinstance(architecture, Sequential):
        yield ("architecture", "kind"), "the training 'diet' trains the architecture 'sequential'"
    if isinstance(training, TeacherSTDP) and not isinstance(architecture, DecisionPools):
        yield (
            ("architecture", "kind"),
            f"the training 'teacher_stdp' trains the architecture 'decision_pools', not {architecture.kind!r}",
        )
    elif isinstance(architecture, DecisionPools) and not isinstance(training, TeacherSTDP):
        yield (
            ("training", "kind"),
            f"the architecture 'decision_pools' is trained by 'teacher_stdp', not by {training.kind!r}",
        )
    if isinstance(architecture, DecisionPools) and neuron is not None:
        yield ("neuron",), "has no effect: the neurons of the pools are those of architecture.neuron; leave it out"
    if isinstance(architecture, Competitive) and not isinstance(neuron, ConductanceLIF):
        yield ("neuron",), "the neurons of the architecture 'competitive' are of the kind 'conductance_lif'"
    elif isinstance(architecture, Layered) and isinstance(neuron, ConductanceLIF):
        yield (
            ("neuron", "kind"),
            f"'conductance_lif' is for the architecture 'competitive'; that of {architecture.kind!r} is another",
        )
