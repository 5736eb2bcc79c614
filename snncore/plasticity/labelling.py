"""Classes for the neurons of a network that learned without them (Diehl & Cook 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_CLASS = -1

Counts = NDArray[np.int32]
Classes = NDArray[np.int64]


def assign(counts: Counts, y: Classes, n_classes: int) -> Classes:
    """The class of each neuron `[n]`: that whose samples it answered with the most spikes on average. `counts` `[m, n]`
    are its spikes, `y` `[m]` the classes of the samples; of equal classes the first. Silent neurons have none (-1)."""
    mean = np.zeros((n_classes, counts.shape[1]))
    for name in range(n_classes):
        of_class = y == name
        if of_class.any():
            mean[name] = counts[of_class].mean(axis=0)
    return np.where(mean.max(axis=0) > 0, mean.argmax(axis=0), NO_CLASS)


def answer(counts: Counts, labels: Classes, n_classes: int) -> Classes:
    """The answer to each sample `[m]`: the class whose neurons fired most on average. Where none fired there is none
    (-1)."""
    mean = class_means(counts, labels, n_classes)
    return np.where(mean.max(axis=1) > 0, mean.argmax(axis=1), NO_CLASS)


def class_means(counts: Counts, labels: Classes, n_classes: int) -> NDArray[np.float64]:
    """Mean spikes of the neurons of each class `[m, n_classes]`; 0 for a class without neurons."""
    belongs = (labels[:, None] == np.arange(n_classes)).astype(np.float64)
    mean: NDArray[np.float64] = counts @ (belongs / np.maximum(belongs.sum(axis=0), 1))
    return mean


def confusion(y: Classes, answers: Classes, n_classes: int) -> list[list[int]]:
    """How often a sample of the row's class was given the column's; samples without an answer are left out."""
    given = answers != NO_CLASS
    pairs = y[given] * n_classes + answers[given]
    counts: list[list[int]] = np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes).tolist()
    return counts


def summary(labels: Classes, n_classes: int) -> dict[str, Any]:
    """How the neurons were labelled, for the result of a run."""
    return {
        "labels": [None if label == NO_CLASS else int(label) for label in labels],
        "neurons_per_class": [int((labels == name).sum()) for name in range(n_classes)],
        "unlabelled": int((labels == NO_CLASS).sum()),
    }
