"""Image files, decoded once and then read a batch at a time.

The images of a dataset go into one file of the cache, `images/KEY.npy`, as bytes `[n, F]` in the order of the splits,
which is mapped into memory. The key is a digest of the files (path, size, time of change) and of how they are cut.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets.pictures import picture
from snncore.datasets.places import cache_folder, locked
from snncore.datasets.samples import Samples, Splits
from snncore.errors import DatasetUnavailable

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
    """The images as `wanted` cuts them, `[n, F]`, F in the order row, column, channel: a file, mapped read-only.

    Processes that want the same file wait for the first of them to write it. It appears whole or not at all.
    """
    folder, key = cache_folder() / "images", _key(files, wanted)
    try:
        file = folder / f"{key}.npy"
        if not file.is_file():
            with locked(file.with_suffix(".lock")):
                if not file.is_file():
                    _write(file, files, wanted)
        mapped: NDArray[np.uint8] = np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DatasetUnavailable(
            f"the decoded images cannot be kept in {folder} ({error}); mend that, or name another folder in "
            "SPIKESMITH_CACHE"
        ) from error
    return mapped


def _key(files: Sequence[Path], wanted: spec.ImageCut) -> str:
    try:
        found = [(str(file.absolute()), (now := file.stat()).st_size, now.st_mtime_ns) for file in files]
    except OSError as error:
        raise DatasetUnavailable(f"an image cannot be read: {error}") from error
    content = json.dumps([LAYOUT, [getattr(wanted, field) for field in CUT], found])
    return blake2b(content.encode(), digest_size=16).hexdigest()


def _write(file: Path, files: Sequence[Path], wanted: spec.ImageCut) -> None:
    height, width = wanted.height // wanted.pooling, wanted.width // wanted.pooling
    n_features = height * width * wanted.channels
    needed, free = len(files) * n_features, shutil.disk_usage(file.parent).free
    if needed > free:
        raise DatasetUnavailable(
            f"the {len(files)} decoded images take {needed / 1e6:.0f} MB, and {file.parent} has room for "
            f"{free / 1e6:.0f} MB; make room, name another folder in SPIKESMITH_CACHE, or lower dataset.height and "
            "dataset.width or raise dataset.pooling"
        )
    part = file.with_suffix(".part")
    try:
        # Written, not mapped: a disk that is full is an error here, and the end of the process there.
        with part.open("wb") as output:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(files), n_features)}
            np.lib.format.write_array_header_1_0(output, header)
            for image in files:
                output.write(picture(image, wanted).tobytes())
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
