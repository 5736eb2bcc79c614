"""How well a competitive network answers, with everything that it has learned frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets import Samples
from snncore.events import Raster, Split
from snncore.plasticity import labelling
from snncore.plasticity.competition import Answers, CompetitiveNetwork
from snncore.streams import stream

PART = 10_000
"""Samples between two questions whether to stop; a multiple of the segments of `CompetitiveNetwork.respond`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a split."""

    labels: NDArray[np.int64]
    """The class of each neuron, -1 for none."""
    confusion: list[list[int]]
    accuracy: float
    """A sample that got no answer counts as wrong."""
    unanswered_share: float
    silent_share: float
    rates_hz: dict[str, float]
    spikes_per_sample: dict[str, float]
    """Of the input those of all attempts, of the neurons those of the last one."""


def features(samples: Samples) -> NDArray[np.float32]:
    """The features `[m, F]` of samples as numbers."""
    return np.ascontiguousarray(samples.x, np.float32) * np.float32(samples.scale)


def key_of(job: spec.JobSpec, purpose: str, *where: int) -> int:
    """The key of the random streams of samples that are shown for a purpose."""
    return int(stream(job.seed, f"encode/{purpose}", *where).integers(2**63))


def evaluate(
    job: spec.JobSpec,
    network: CompetitiveNetwork,
    samples: Samples,
    split: Split,
    labels: NDArray[np.int64] | None,
    threads: int,
    interrupted: Callable[[], bool],
) -> Evaluation | None:
    """Show a split; None if `interrupted` said so in between. Without `labels`, neurons are labelled by this split.

    The noise of a sample is the same at every evaluation, so that these are compared on equal terms.
    """
    assert samples.y is not None
    if labels is None and split != "train":
        raise ValueError("neurons are labelled by training samples only")
    answers, key = Answers.empty(len(samples), network.n), key_of(job, split)
    for first in range(0, len(samples), PART):
        if interrupted():
            return None
        part = slice(first, min(first + PART, len(samples)))
        answers.put(part, network.respond(features(samples[part]), key, threads, first=first))
    n_classes = job.n_outputs
    if labels is None:
        labels = labelling.assign(answers.counts, samples.y, n_classes)
    given = labelling.answer(answers.counts, labels, n_classes)
    duration_s = job.encoding.duration_ms / 1000
    layers = {"excitatory": answers.counts}
    if isinstance(network.circuit, spec.OriginalCircuit):
        layers["inhibitory"] = answers.inhibitory
    return Evaluation(
        labels=labels,
        confusion=labelling.confusion(samples.y, given, n_classes),
        accuracy=float((given == samples.y).mean()),
        unanswered_share=float((given == labelling.NO_CLASS).mean()),
        silent_share=float((answers.counts.sum(axis=0) == 0).mean()),
        rates_hz={layer: float(counts.mean()) / duration_s for layer, counts in layers.items()},
        spikes_per_sample={"input": float(answers.input_spikes.mean())}
        | {layer: float(counts.sum(axis=1).mean()) for layer, counts in layers.items()},
    )


def rasters(
    job: spec.JobSpec,
    network: CompetitiveNetwork,
    samples: Samples,
    split: Split,
    labels: NDArray[np.int64],
    *,
    epoch: int,
    step: int,
) -> Iterator[Raster]:
    """The spikes of samples at their first attempt, each from a cleared state."""
    assert samples.y is not None
    x, key = features(samples), key_of(job, split)
    for number in range(len(samples)):
        inputs, shown = network.present_sample(x[number], number, key)
        answer = int(labelling.answer(shown.counts[None], labels, job.n_outputs)[0])
        layers = {"input": inputs, "excitatory": shown.raster}
        if isinstance(network.circuit, spec.OriginalCircuit):
            layers["inhibitory"] = shown.raster_inhibitory
        for layer, spikes in layers.items():
            yield Raster(
                epoch=epoch,
                step=step,
                split=split,
                layer=layer,
                sample=number,
                label=int(samples.y[number]),
                prediction=None if answer == labelling.NO_CLASS else answer,
                dt_ms=job.encoding.dt_ms,
                spikes=spikes,
            )
