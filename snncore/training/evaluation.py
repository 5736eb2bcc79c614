"""A split through the network, without learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncore import spec
from snncore.datasets import AnySamples
from snncore.engines import Input
from snncore.networks import AnyNetwork
from snncore.readouts import windows
from snncore.spikes import SpikeTrain
from snncore.tasks import Task
from snncore.training.batches import Batch, ahead, prepare
from snncore.training.tally import Tally


@dataclass(frozen=True, slots=True)
class SampleRaster:
    """The spikes of one layer for one sample of the split."""

    layer: str
    sample: int
    label: int | None
    prediction: int | None
    spikes: NDArray[np.bool_]
    reading: dict[str, Any] | None
    """With the spikes of the last layer: what was read of them, see `snncore.events.Raster`."""


@dataclass(slots=True)
class Evaluation:
    """What came of a split."""

    tally: Tally = field(default_factory=Tally)
    rasters: list[SampleRaster] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)
    predictions: list[Tensor] = field(default_factory=list)

    def confusion(self, n_classes: int) -> list[list[int]]:
        """How often a sample of the row's class was given the column's."""
        pairs = torch.cat(self.labels) * n_classes + torch.cat(self.predictions)
        counts: list[list[int]] = torch.bincount(pairs, minlength=n_classes**2).reshape(n_classes, -1).tolist()
        return counts


@torch.no_grad()
def evaluate(
    job: spec.JobSpec,
    network: AnyNetwork,
    task: Task,
    samples: AnySamples,
    split: str,
    *,
    record: int = 0,
    interrupted: Callable[[], bool] = lambda: False,
) -> Evaluation | None:
    """Present a whole split; None if `interrupted` said so between two batches.

    The input noise of a batch is the same at every evaluation, so that epochs are compared on equal terms.
    """
    evaluation = Evaluation()
    parameter = next(network.parameters())
    size = job.training.batch_size
    seen_windows = [(start * job.encoding.dt_ms, stop * job.encoding.dt_ms) for start, stop in windows(job)]

    def prepared(batch: int) -> Batch:
        part = samples[batch * size : (batch + 1) * size]
        return prepare(job, part, split, batch, dtype=parameter.dtype, device=parameter.device)

    with ahead(prepared, range(-(-len(samples) // size))) as batches:
        for number, batch in enumerate(batches):
            if interrupted():
                return None
            first = number * size
            _present(network, task, batch, evaluation, range(first, min(first + len(batch.x), record)), seen_windows)
    return evaluation


def _present(
    network: AnyNetwork,
    task: Task,
    batch: Batch,
    evaluation: Evaluation,
    recorded: range,
    windows_ms: list[tuple[float, float]],
) -> None:
    """A batch through the network, added to the evaluation; `recorded` are the samples to keep rasters of, and begin
    with the first of the batch."""
    shown = network(batch.inputs)
    judgement = task.judge(shown.reading, batch.x, batch.y)
    spikes, counts = shown.spikes, shown.counts
    if isinstance(batch.inputs, SpikeTrain):
        spikes = {"input": batch.inputs, **spikes}
        arrived = batch.inputs.counts()
        counts = {"input": arrived, **counts}
        if (chances := task.chance_of_observer(batch.inputs, arrived, batch.x, batch.y)) is not None:
            evaluation.tally.add_ceiling(chances)
    evaluation.tally.add(judgement, counts)
    asked = judgement.label >= 0
    evaluation.labels.append(judgement.label[asked].cpu())
    evaluation.predictions.append(judgement.prediction[asked].cpu())
    if not recorded:
        return
    outputs = task.outputs(shown.reading)
    targets = task.targets(batch.x, batch.y).expand_as(outputs)
    one_answer = judgement.label.ndim == 1
    for b, sample in enumerate(recorded):
        reading = {
            "windows_ms": [list(window) for window in windows_ms],
            "outputs": outputs[b].tolist(),
            "targets": targets[b].tolist(),
            "unit": task.unit,
            "borders_hz": None if task.borders_hz is None else list(task.borders_hz),
            "labels": [None if label < 0 else label for label in judgement.label[b].reshape(-1).tolist()],
            "predictions": judgement.prediction[b].reshape(-1).tolist(),
            "input": analog_input(batch.inputs, b),
        }
        for layer, train in spikes.items():
            evaluation.rasters.append(
                SampleRaster(
                    layer=layer,
                    sample=sample,
                    label=int(judgement.label[b]) if one_answer else None,
                    prediction=int(judgement.prediction[b]) if one_answer else None,
                    spikes=train.sample(b).dense(torch.bool)[:, 0].cpu().numpy(),
                    reading=reading if layer == next(reversed(spikes)) else None,
                )
            )


def analog_input(inputs: Input, b: int) -> list[float] | None:
    """The input over time of one sample, where it is a single current."""
    if isinstance(inputs, SpikeTrain) or inputs.shape[2] != 1:
        return None
    values: list[float] = inputs[:, b, 0].tolist()
    return values
