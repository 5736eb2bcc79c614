"""The digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np

from snncore import spec
from snncore.datasets.samples import Samples, Splits
from snncore.streams import stream


def load(dataset: spec.Digits) -> Splits:
    """Shuffle, then deal out so that every split holds the classes in the proportions of the whole."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    shuffled = stream(dataset.split_seed, "split/digits").permutation(len(y))
    place_in_class = np.empty(len(y))
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        place_in_class[members] = (np.arange(len(members)) + 0.5) / len(members)
    dealt = shuffled[np.argsort(place_in_class[shuffled], kind="stable")]
    samples = Samples((x / 16).astype(np.float32), y.astype(np.int64))
    sizes = spec.split_sizes(dataset)
    test, validation, train = np.split(dealt, np.cumsum([sizes["test"], sizes["validation"]]))
    return Splits(samples[train], samples[validation], samples[test])
