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
from snncore.encoders import encode
from snncore.networks import Network
from snncore.streams import stream
from snncore.tasks import Task
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


def to_device(samples: Samples, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """A batch as tensors: `x` `[B, F]` scaled, `y` `[B]`."""
    x = torch.from_numpy(np.ascontiguousarray(samples.x)).to(device=device, dtype=dtype)
    y = None if samples.y is None else torch.from_numpy(samples.y).to(device)
    return (x if samples.scale == 1 else x * samples.scale), y


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
    for batch, first in enumerate(range(0, len(samples), size)):
        if interrupted():
            return None
        x, y = to_device(samples[first : first + size], parameter.dtype, parameter.device)
        inputs = encode(job.encoding, x, stream(job.seed, f"encode/{split}", batch))
        shown = network(inputs)
        judgement = task.judge(shown.reading, x, y)
        spikes = dict(shown.spikes)
        if isinstance(job.encoding, spec.Poisson):
            spikes = {"input": inputs, **spikes}
        evaluation.tally.add(judgement, spikes)
        evaluation.labels.append(judgement.label.cpu())
        evaluation.predictions.append(judgement.prediction.cpu())
        for sample in range(first, min(first + size, record, len(samples))):
            for layer, z in spikes.items():
                evaluation.rasters.append(
                    SampleRaster(
                        layer=layer,
                        sample=sample,
                        label=int(judgement.label[sample - first]),
                        prediction=int(judgement.prediction[sample - first]),
                        spikes=z[:, sample - first].cpu().numpy().astype(np.bool_),
                    )
                )
    return evaluation
