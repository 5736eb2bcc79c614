"""A whole job, and how a document becomes one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from snncore.spec.architecture import Architecture, Layered
from snncore.spec.base import Part
from snncore.spec.competitive import ConductanceLIF
from snncore.spec.dataset import Dataset, n_classes, split_sizes
from snncore.spec.diet import Diet
from snncore.spec.encoding import Encoding
from snncore.spec.errors import Location, Problem, SpecError, inconsistent, problems_of
from snncore.spec.neuron import ALIF, LIF, LayerLIF, LIFUnit, Mixed, Neuron
from snncore.spec.recording import Recording, RecordSpikes
from snncore.spec.rules import broken_rules
from snncore.spec.task import KWinners, Softmax, Task
from snncore.spec.training import BPTT, Training
from snncore.spec.twin import ann_twin

DISCRIMINATORS = ("kind", "fidelity")
"""The fields that say what a part is."""

AnyNeuron = Annotated[LIF | ALIF | Mixed | LIFUnit | LayerLIF | ConductanceLIF, Field(discriminator="kind")]


class JobSpec(Part):
    """Everything that decides the outcome of a training run."""

    task: Task
    dataset: Dataset
    encoding: Encoding
    architecture: Architecture
    neuron: AnyNeuron | None = Field(
        default=None,
        description="Of all spiking layers; only the architecture 'sequential' can do without, where each spiking "
        "layer has a neuron of its own.",
    )
    training: Training
    recording: Recording = RecordSpikes(kind="spikes")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Of every random draw but the split of the dataset.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$",
        description="'auto' takes a GPU where there is one; naming one that is not there fails the job.",
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if problems := broken_rules(self):
            raise inconsistent(problems)
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser updates an epoch, in spikes where others come before; the last batch may be smaller."""
        return -(-split_sizes(self.dataset)["train"] // self.training.batch_size)

    @property
    def n_training_steps(self) -> int:
        """Optimiser updates of the whole run."""
        before = ann_twin(self).n_training_steps if isinstance(self.training, Diet) else 0
        return before + self.steps_per_epoch * self.training.epochs

    @property
    def population(self) -> Neuron:
        """The neurons of the layers that have none of their own."""
        assert self.neuron is not None  # by the rules of the spec
        assert not isinstance(self.neuron, ConductanceLIF)
        return self.neuron

    @property
    def layered(self) -> Layered:
        """The architecture of a network that is trained by its gradient."""
        assert isinstance(self.architecture, Layered)
        return self.architecture

    @property
    def bptt(self) -> BPTT:
        """The training of such a network."""
        assert isinstance(self.training, BPTT)
        return self.training

    @property
    def n_outputs(self) -> int:
        """Outputs that the task needs."""
        if isinstance(self.task, Softmax | KWinners):
            return self.task.n_outputs
        return n_classes(self.dataset) or 0


def parse_job_spec(document: Mapping[str, Any]) -> JobSpec:
    """The job that `document` describes. Raises `SpecError` with every problem in it."""
    try:
        return JobSpec.model_validate(document)
    except ValidationError as error:
        raise SpecError(problems_of(error.errors(include_url=False), document)) from None


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`{"training.epochs": 5}` as overrides, `{"training": {"epochs": 5}}`. No path may lie below another."""
    overrides: dict[str, Any] = {}
    for path, value in settings.items():
        *parents, last = path.split(".")
        here = overrides
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    return overrides


def deep_merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overrides` merged into it, part by part.

    A part whose `kind` (or `fidelity`) changes is replaced as a whole: the fields of the old kind mean nothing to the
    new one. A
    mapping reaches into a list by the numbers of its elements, from 0: `{"layers": {"0": {"n_units": 20}}}`. Raises
    `SpecError` if the list has no such element.
    """
    return _merged(base, overrides, ())


def _merged(base: Mapping[str, Any], overrides: Mapping[str, Any], loc: Location) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        merged[key] = _merged_value(merged.get(key), value, (*loc, key))
    return merged


def _merged_value(old: Any, value: Any, loc: Location) -> Any:
    if not isinstance(value, Mapping):
        return value
    if isinstance(old, list):
        return _merged_list(old, value, loc)
    if isinstance(old, Mapping) and all(value.get(key, old.get(key)) == old.get(key) for key in DISCRIMINATORS):
        return _merged(old, value, loc)
    return value


def _merged_list(old: list[Any], overrides: Mapping[str, Any], loc: Location) -> list[Any]:
    merged = list(old)
    for key, value in overrides.items():
        if not re.fullmatch("0|[1-9][0-9]{0,8}", str(key)) or int(key) >= len(old):
            msg = f"is no element of this list of {len(old)}; they go by their numbers, from 0"
            raise SpecError([Problem((*loc, key), msg, "no_such_element")])
        merged[int(key)] = _merged_value(old[int(key)], value, (*loc, int(key)))
    return merged
