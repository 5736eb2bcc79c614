"""A whole job, and how a document becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from snncore.spec.architecture import Architecture
from snncore.spec.base import Part
from snncore.spec.dataset import Dataset, n_classes, split_sizes
from snncore.spec.encoding import Encoding
from snncore.spec.errors import SpecError, inconsistent, problems_of
from snncore.spec.neuron import Neuron
from snncore.spec.recording import Recording, RecordSpikes
from snncore.spec.rules import broken_rules
from snncore.spec.task import KWinners, Softmax, Task
from snncore.spec.training import Training


class JobSpec(Part):
    """Everything that decides the outcome of a training run."""

    task: Task
    dataset: Dataset
    encoding: Encoding
    architecture: Architecture
    neuron: Neuron | None = Field(
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
        """Optimiser updates an epoch; the last batch may be smaller."""
        return -(-split_sizes(self.dataset)["train"] // self.training.batch_size)

    @property
    def n_training_steps(self) -> int:
        """Optimiser updates of the whole run."""
        return self.steps_per_epoch * self.training.epochs

    @property
    def population(self) -> Neuron:
        """The neurons of the layers that have none of their own."""
        assert self.neuron is not None  # by the rules of the spec
        return self.neuron

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


def deep_merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overrides` merged into it, part by part.

    A part whose `kind` changes is replaced as a whole: the fields of the old kind mean nothing to the new one.
    """
    merged = dict(base)
    for key, value in overrides.items():
        old = merged.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and value.get("kind", old.get("kind")) == old.get("kind")
        ):
            merged[key] = deep_merge(old, value)
        else:
            merged[key] = value
    return merged
