"""The jobs that the trainings of a job of the kind 'diet' are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from snncore.spec.descent import GradientDescent, WholeTraining
from snncore.spec.diet import Diet
from snncore.spec.sequential import Dropout, ReLU, Residual, Sequential, SequentialLayer, Spiking
from snncore.spec.training import BPTT

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


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
