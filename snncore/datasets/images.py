"""Image files, decoded once and then read a batch at a time.

The images of a dataset go into one file of the cache, `images/KEY.npy`, as bytes `[n, F]` in the order of the splits,
which is mapped into memory. The key is a digest of the files (path, size, time of change) and of how they are cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets.pictures import picture
from snncore.datasets.rows import key_of, mapped
from snncore.datasets.samples import Samples, Splits

LAYOUT = 1
"""Part of the key; to be raised when the same files come to other bytes."""
CUT = ("height", "width", "channels", "fit", "pooling")


def deal(files: Sequence[Path], wanted: Mapping[str, int], draw: np.random.Generator) -> dict[str, list[Path]]:
    """So many of `files` for each split, drawn, the first split first."""
    drawn = iter(draw.permutation(len(files)))
    return {split: [files[place] for place in islice(drawn, n)] for split, n in wanted.items()}


def in_splits(chosen: Mapping[str, Sequence[Sequence[Path]]], dataset: spec.ImageFiles) -> Splits:
    """The images that were chosen for each split, given by class, equally many; in a split the classes take turns."""
    files = [
        file for split in ("train", "validation", "test") for turn in zip(*chosen[split], strict=True) for file in turn
    ]
    x = decoded(files, dataset)

    def samples(first: int, split: str) -> Samples:
        n_classes, n_each = len(chosen[split]), len(chosen[split][0])
        y = np.tile(np.arange(n_classes, dtype=np.int64), n_each)
        return Samples(x[first : first + len(y)], y, scale=1 / 255)

    train = samples(0, "train")
    validation = samples(len(train), "validation")
    return Splits(train, validation, samples(len(train) + len(validation), "test"))


def decoded(files: Sequence[Path], wanted: spec.ImageCut) -> NDArray[np.uint8]:
    """The images as `wanted` cuts them, `[n, F]`, F in the order row, column, channel: a file, mapped read-only."""
    key = key_of(files, LAYOUT, [getattr(wanted, field) for field in CUT])
    return mapped(
        key,
        (len(files), prod(wanted.shape)),
        lambda: (picture(image, wanted) for image in files),
        ", or lower dataset.height and dataset.width or raise dataset.pooling",
    )
