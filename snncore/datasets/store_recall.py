"""Sequences of values to store and recall (Bellec et al. 2018; Renner 2020, section 4.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets.samples import Samples, Splits
from snncore.streams import stream

SILENT = -1
"""The class of a slot in which nothing is recalled."""
DRAWN_AT_ONCE = 4_096


def load(dataset: spec.StoreRecall, seed: int) -> Splits:
    """Each split from a stream of its own."""
    sizes = spec.split_sizes(dataset)

    def draw(split: str, *where: int) -> Samples:
        return sequences(dataset, sizes[split], stream(seed, f"samples/{split}", *where))

    return Splits(
        train=draw("train"),
        validation=draw("validation"),
        test=draw("test"),
        fresh=(lambda epoch: draw("train", epoch)) if dataset.fresh else None,
    )


def sequences(dataset: spec.StoreRecall, n: int, draw: np.random.Generator) -> Samples:
    """`n` sequences: x `[n, n_slots * (n_values + 2)]`, values one-hot, store, recall; y `[n, n_slots]`, the value to
    name at a recall, `SILENT` elsewhere. Those that break the rules of `spec.StoreRecall` are drawn again."""
    kept_x, kept_y, found = [], [], 0
    while found < n:
        x, y, valid = _drawn(dataset, draw)
        kept_x.append(x[valid])
        kept_y.append(y[valid])
        found += int(valid.sum())
    shape = (-1, dataset.n_slots * (dataset.n_values + 2))
    features = np.concatenate([x.reshape(shape) for x in kept_x]) if kept_x else np.empty((0, shape[1]), np.float32)
    labels = np.concatenate(kept_y) if kept_y else np.empty((0, dataset.n_slots), np.int64)
    return Samples(features[:n], labels[:n])


def _drawn(
    dataset: spec.StoreRecall, draw: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Sequences as they fall, and which of them keep the rules."""
    n, slots, values = DRAWN_AT_ONCE, dataset.n_slots, dataset.n_values
    command = draw.random((n, slots)) < dataset.command_probability
    value = draw.integers(values, size=(n, slots))
    x = np.zeros((n, slots, values + 2), np.float32)
    y = np.full((n, slots), SILENT, np.int64)
    valid = np.ones(n, np.bool_)
    is_open, just_stored = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    stored, rows = np.zeros(n, np.int64), np.arange(n)
    for slot in range(slots):
        now = command[:, slot]
        store, recall = now & ~is_open, now & is_open
        valid &= ~(now & just_stored)
        x[rows[~recall], slot, value[~recall, slot]] = 1
        x[store, slot, values] = 1
        x[recall, slot, values + 1] = 1
        y[recall, slot] = stored[recall]
        stored = np.where(store, value[:, slot], stored)
        is_open = np.where(now, store, is_open)
        just_stored = store
    return x, y, valid & ~is_open & (y != SILENT).any(axis=1)
