"""Vectors of exponentially distributed features (Renner 2020, eq. 4.7, with the parameter as the mean)."""

from __future__ import annotations

import numpy as np

from snncore import spec
from snncore.datasets.samples import Samples, Splits
from snncore.streams import stream


def load(dataset: spec.ExponentialVectors, seed: int) -> Splits:
    """Each split from a stream of its own, so that the size of one does not move another."""

    def draw(split: str, n: int) -> Samples:
        drawn = stream(seed, f"samples/{split}").exponential(dataset.mean, (n, dataset.n_features))
        return Samples(drawn.astype(np.float32), None)

    sizes = spec.split_sizes(dataset)
    return Splits(*(draw(split, sizes[split]) for split in ("train", "validation", "test")))
