"""The order in which the samples of a dataset are dealt out to its splits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dealt(n: int, y: NDArray[np.int64] | None, draw: np.random.Generator) -> NDArray[np.int64]:
    """`n` samples shuffled; those of classes `y` `[n]` so that each piece of the order holds the classes in the
    proportions of the whole."""
    shuffled: NDArray[np.int64] = draw.permutation(n)
    if y is None:
        return shuffled
    place_in_class = np.empty(n)
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        place_in_class[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(place_in_class[shuffled], kind="stable")]
