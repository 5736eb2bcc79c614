"""The digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np

from snncore import spec
from snncore.datasets.dealing import dealt
from snncore.datasets.samples import Samples, Splits
from snncore.streams import stream


def load(dataset: spec.Digits) -> Splits:
    """Shuffle, then deal out so that every split holds the classes in the proportions of the whole."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = dealt(len(y), y, stream(dataset.split_seed, "split/digits"))
    samples = Samples((x / 16).astype(np.float32), y.astype(np.int64))
    sizes = spec.split_sizes(dataset)
    test, validation, train = np.split(order, np.cumsum([sizes["test"], sizes["validation"]]))
    return Splits(samples[train], samples[validation], samples[test])
