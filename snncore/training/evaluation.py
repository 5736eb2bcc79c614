"""A split through the network, without learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncore import spec
from snncore.datasets import Samples
from snncore.networks import Network
from snncore.spikes import SpikeTrain
from snncore.tasks import Task
from snncore.training.batches import Batch, ahead, prepare
from snncore.training.tally import Tally


@dataclass(frozen=True, slots=True)
class SampleRaster:
    """The spikes of one layer for one sample of the split."""

    layer: str
    sample: int
    label: int
    prediction: int
    spikes: NDArray[np.bool_]


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
    network: Network,
    task: Task,
    samples: Samples,
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

    def prepared(batch: int) -> Batch:
        part = samples[batch * size : (batch + 1) * size]
        return prepare(job, part, split, batch, dtype=parameter.dtype, device=parameter.device)

    with ahead(prepared, range(-(-len(samples) // size))) as batches:
        for number, batch in enumerate(batches):
            if interrupted():
                return None
            first = number * size
            _present(network, task, batch, evaluation, range(first, min(first + len(batch.x), record)))
    return evaluation


def _present(network: Network, task: Task, batch: Batch, evaluation: Evaluation, recorded: range) -> None:
    """A batch through the network, added to the evaluation; `recorded` are the samples to keep rasters of, and begin
    with the first of the batch."""
    shown = network(batch.inputs)
    judgement = task.judge(shown.reading, batch.x, batch.y)
    spikes, counts = shown.spikes, shown.counts
    if isinstance(batch.inputs, SpikeTrain):
        spikes = {"input": batch.inputs, **spikes}
        counts = {"input": batch.inputs.counts(), **counts}
    evaluation.tally.add(judgement, counts)
    evaluation.labels.append(judgement.label.cpu())
    evaluation.predictions.append(judgement.prediction.cpu())
    for b, sample in enumerate(recorded):
        for layer, train in spikes.items():
            evaluation.rasters.append(
                SampleRaster(
                    layer=layer,
                    sample=sample,
                    label=int(judgement.label[b]),
                    prediction=int(judgement.prediction[b]),
                    spikes=train.sample(b).dense(torch.bool)[:, 0].cpu().numpy(),
                )
            )
