"""Training an ordinary network, converting it, and training on in spikes (DIET-SNN, Rathi & Roy 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from snncore.spec.base import Part
from snncore.spec.sequential import Dropout, ReLU, Residual, Sequential, SequentialLayer, Spiking
from snncore.spec.training import BPTT, GradientDescent, WholeTraining

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


class AnnTraining(GradientDescent):
    """The first phase: the twin of the network, with a ReLU in the place of each spiking layer and one time step."""


class Conversion(Part):
    """The second phase: thresholds for the weights of the twin, layer by layer in their order."""

    percentile: float = Field(
        default=99.7,
        gt=0,
        le=100,
        description="A threshold is this percentile of what arrives at the layer's neurons in a step, all of them and "
        "of all samples; the highest of the steps counts.",
    )
    scaling_factor: float = Field(
        default=0.3, gt=0, le=10, description="On all thresholds once they are found: fewer steps want lower ones."
    )
    n_samples: int = Field(default=512, ge=1, le=1_000_000, description="Training samples that are presented for it.")
    steps: int = Field(default=100, ge=1, le=100_000, description="For so many steps.")
    compared_steps: int | None = Field(
        default=100,
        ge=1,
        le=100_000,
        description="The converted network is tested at the steps of the encoding, and at so many; absent: not.",
    )
    compared_scaling_factor: float = Field(
        default=1.0, gt=0, le=10, description="The scaling factor at compared_steps: with many it need not be small."
    )
    n_compared: int | None = Field(
        default=None, ge=1, le=10_000_000, description="The first so many test samples, at compared_steps; absent: all."
    )


class Diet(GradientDescent, WholeTraining):
    """An ordinary network is trained (`ann`), its weights and fitting thresholds become a spiking network
    (`conversion`), and weights, leaks and thresholds are trained on in spikes, by the fields that stand here
    (DIET-SNN, Rathi & Roy 2020).

    Epochs and steps count over both trainings: the first epoch in spikes is number `ann.epochs` + 1, also where early
    stopping has ended the one before sooner.
    """

    kind: Literal["diet"]
    ann: AnnTraining
    conversion: Conversion = Conversion()
    dropout_rate: float | None = Field(
        default=None, ge=0, lt=1, description="Of all dropout layers in spikes; absent: as in the twin."
    )


def ann_twin(job: JobSpec) -> JobSpec:
    """The job that the first phase is: ReLUs in the place of spiking layers, and one time step."""
    diet, architecture = _diet(job), job.architecture
    assert isinstance(architecture, Sequential)
    return job.model_copy(
        update={
            "architecture": _changed(architecture, lambda x: ReLU(kind="relu") if isinstance(x, Spiking) else x),
            "encoding": job.encoding.model_copy(update={"duration_ms": job.encoding.dt_ms}),
            "neuron": None,
            "training": _bptt(diet, diet.ann),
        }
    )


def spiking_part(job: JobSpec, n_steps: int | None = None) -> JobSpec:
    """The job that the third phase is, presented for the steps of the encoding unless there are others.

    With more steps go smaller batches, so that they take the memory of a batch of the training.
    """
    diet, architecture, encoding = _diet(job), job.architecture, job.encoding
    if isinstance(architecture, Sequential) and diet.dropout_rate is not None:
        rate = {"rate": diet.dropout_rate}
        architecture = _changed(architecture, lambda x: x.model_copy(update=rate) if isinstance(x, Dropout) else x)
    training = _bptt(diet, diet)
    if n_steps is not None:
        smaller = max(1, diet.batch_size * encoding.n_steps // n_steps)
        training = training.model_copy(update={"batch_size": min(diet.batch_size, smaller)})
        encoding = encoding.model_copy(update={"duration_ms": n_steps * encoding.dt_ms})
    return job.model_copy(update={"architecture": architecture, "encoding": encoding, "training": training})


def _diet(job: JobSpec) -> Diet:
    assert isinstance(job.training, Diet)
    return job.training


def _bptt(whole: Diet, part: GradientDescent) -> BPTT:
    """One of the trainings, with what both share."""
    fields: dict[str, Any] = {name: getattr(part, name) for name in GradientDescent.model_fields}
    fields |= {name: getattr(whole, name) for name in WholeTraining.model_fields}
    return BPTT(kind="bptt", **fields)


def _changed(architecture: Sequential, change: Callable[[SequentialLayer], SequentialLayer]) -> Sequential:
    """The architecture with each layer changed, also those inside of residual ones."""

    def changed(layer: SequentialLayer) -> SequentialLayer:
        if not isinstance(layer, Residual):
            return change(layer)
        branches = {name: [changed(inner) for inner in getattr(layer, name)] for name in ("layers", "shortcut")}
        return layer.model_copy(update=branches)

    return architecture.model_copy(update={"layers": [changed(layer) for layer in architecture.layers]})
