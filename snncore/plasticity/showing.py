"""Samples shown to decision pools: what they spike with, what is decided, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets import Samples
from snncore.encoders import spike_probability, with_feature_sum
from snncore.events import Raster, Split
from snncore.plasticity.decisions import Decisions, collected
from snncore.plasticity.pools import NOBODY, Draws, Pools, Shown, draws

LAYER = "pools"
SAMPLES_AT_ONCE = 250
"""That are decided on before the next look at whether to stop."""


def probabilities(job: spec.JobSpec, samples: Samples) -> NDArray[np.float32]:
    """How likely each input neuron spikes in a step, `[B, n_inputs]`."""
    encoding = job.encoding
    assert isinstance(encoding, spec.Poisson)  # by the rules of the spec
    x = torch.from_numpy(samples.x.astype(np.float32)) * samples.scale
    if encoding.feature_sum is not None:
        x = with_feature_sum(x, encoding.feature_sum)
    found: NDArray[np.float32] = spike_probability(encoding, x).numpy()
    return found


def decide(
    job: spec.JobSpec, pools: Pools, samples: Samples, split: Split, interrupted: Callable[[], bool] = lambda: False
) -> Decisions | None:
    """The decisions on a split, with the same spikes of the input each time; None if `interrupted` meanwhile."""
    spikes = _spikes_of(job, split)
    parts: list[tuple[NDArray[np.int64], Shown]] = []
    for first in range(0, max(1, len(samples)), SAMPLES_AT_ONCE):
        if interrupted():
            return None
        part = samples[first : first + SAMPLES_AT_ONCE]
        assert part.y is not None
        parts.append((part.y, pools.decide(probabilities(job, part), spikes.beginning_with(first))))
    return collected(parts, job.encoding.dt_ms)


def rasters(
    job: spec.JobSpec, pools: Pools, samples: Samples, split: Split, *, epoch: int, step: int
) -> Iterator[Raster]:
    """The spikes of `samples`, the first of a split, as it was decided on; read are the accumulators."""
    spikes, dt_ms = _spikes_of(job, split), job.encoding.dt_ms
    for sample in range(len(samples)):
        part = samples[sample : sample + 1]
        shown = pools.decide(probabilities(job, part), spikes.beginning_with(sample), record=True)
        assert part.y is not None
        assert shown.recorded is not None
        label, response = int(part.y[0]), int(shown.responses[0])
        answer = None if response == NOBODY else response
        reading = {
            "windows_ms": [[t * dt_ms, (t + 1) * dt_ms] for t in range(pools.decision_steps)],
            "outputs": shown.recorded.evidence[0].tolist(),
            "targets": None,
            "unit": "spikes",
            "borders_hz": None,
            "labels": [label],
            "predictions": [answer],
            "input": None,
        }
        for layer, recorded in (("input", shown.recorded.input), (LAYER, shown.recorded.pools)):
            yield Raster(
                epoch=epoch,
                step=step,
                split=split,
                layer=layer,
                sample=sample,
                label=label,
                prediction=answer,
                dt_ms=dt_ms,
                spikes=recorded[0],
                reading=reading if layer == LAYER else None,
            )


def _spikes_of(job: spec.JobSpec, split: Split) -> Draws:
    return draws(job.seed, f"decide/{split}")
