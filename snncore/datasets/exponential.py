"""Vectors of exponentially distributed features (Renner 2020, eq. 4.7, with the parameter as the mean)."""

from __future__ import annotations

import numpy as np

from snncore import spec
from snncore.datasets.samples import Samples, Splits
from snncore.streams import stream


def load(dataset: spec.ExponentialVectors, seed: int) -> Splits:
    """Each split from a stream of its own, so that the size of one does not move another."""

    sizes = spec.split_sizes(dataset)

    def draw(split: str, *where: int) -> Samples:
        drawn = stream(seed, f"samples/{split}", *where).exponential(dataset.mean, (sizes[split], dataset.n_features))
        return Samples(drawn.astype(np.float32), None)

    return Splits(
        train=draw("train"),
        validation=draw("validation"),
        test=draw("test"),
        fresh=(lambda epoch: draw("train", epoch)) if dataset.fresh else None,
    )
