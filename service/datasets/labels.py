"""The classes of an upload: integers from 0 without gaps, or any from 0 where they have names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.datasets.faults import unfit
from service.datasets.npz import Npz

MOST_CLASSES = 65_536
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Labels:
    """How many samples each class has."""

    counts: list[int]
    names: list[str] | None

    @classmethod
    def of(cls, parts: list[NDArray[np.int64]], names: list[str] | None) -> Self:
        """From the counts `[K]` of the training and the test part. Raises 422 where classes are missing."""
        n_classes = max(len(names or ()), *(len(part) for part in parts))
        if names is not None and n_classes > len(names):
            raise unfit(
                "y", f"names class {n_classes - 1}, and classes has {len(names)} names: for 0 to {len(names) - 1}"
            )
        counts = sum(np.pad(part, (0, n_classes - len(part))) for part in parts)
        assert isinstance(counts, np.ndarray)
        if n_classes < 2:
            raise unfit("y", "names one class only; leave y out, or give samples of two classes at least")
        if names is None and len(missing := np.flatnonzero(counts == 0)):
            msg = (
                f"goes up to {n_classes - 1}, and no sample is of class {missing[0]}; number the classes from 0 "
                "without gaps, or save their names as an array `classes`"
            )
            raise unfit("y", msg, "missing_class")
        return cls([int(count) for count in counts], names)


def counted(npz: Npz, name: str) -> NDArray[np.int64]:
    """Samples of each class of the labels `name`. Raises 422 for what are none."""
    header = npz.headers[name]
    if header.dtype.kind not in "iu":
        raise unfit(name, f"has the type {header.dtype}; classes are integers, 0 to K - 1")
    counts = np.zeros(0, np.int64)
    position = 0
    for block in npz.blocks(name):
        wrong = np.flatnonzero((block < 0) | (block >= MOST_CLASSES))
        if len(wrong):
            place = position + int(wrong[0])
            msg = (
                f"holds {block[wrong[0]]} at [{place}]; classes are integers from 0 to K - 1, K {MOST_CLASSES} at most"
            )
            raise unfit(name, msg, "class_out_of_range")
        found = np.bincount(block.astype(np.int64))
        length = max(len(found), len(counts))
        counts = np.pad(counts, (0, length - len(counts))) + np.pad(found, (0, length - len(found)))
        position += len(block)
    return counts


def class_names(npz: Npz) -> list[str] | None:
    """The array `classes` `[K]` of strings, where there is one."""
    header = npz.headers.get("classes")
    if header is None:
        return None
    if header.dtype.kind != "U" or len(header.shape) != 1 or not 2 <= header.shape[0] <= MOST_CLASSES:
        raise unfit("classes", f"is {header}; names of classes are strings, [K]")
    if header.dtype.itemsize > 4 * LONGEST_NAME:
        raise unfit("classes", f"is {header}; names have {LONGEST_NAME} characters at most")
    try:
        names = [str(name) for name in npz.whole("classes")]
    except ValueError as error:
        raise unfit("classes", f"holds what is no text ({error})") from error
    for name in names:
        if not name.isprintable() or not 1 <= len(name) <= LONGEST_NAME:
            raise unfit("classes", f"holds {name[:50]!r}; names have 1 to {LONGEST_NAME} printable characters")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise unfit("classes", f"holds {twice!r} twice", "duplicate")
    return names
