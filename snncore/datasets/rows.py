"""Features as rows of one file of the cache, `images/KEY.npy`, which is written once and then mapped into memory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncore.datasets.places import cache_folder, locked
from snncore.errors import DatasetUnavailable


def key_of(files: Sequence[Path], *how: Any) -> str:
    """A digest of the files (path, size, time of change) and of how they become rows."""
    try:
        found = [(str(file.absolute()), (now := file.stat()).st_size, now.st_mtime_ns) for file in files]
    except OSError as error:
        raise DatasetUnavailable(f"an image cannot be read: {error}") from error
    return blake2b(json.dumps([*how, found]).encode(), digest_size=16).hexdigest()


def mapped(
    key: str, shape: tuple[int, int], rows: Callable[[], Iterable[NDArray[np.uint8]]], smaller: str = ""
) -> NDArray[np.uint8]:
    """The bytes `[n, F]` that `rows` makes, mapped read-only from the file of `key`, which is written if need be.

    Processes that want the same file wait for the first of them to write it. It appears whole or not at all. `smaller`
    says what a user can do to need less room.
    """
    folder = cache_folder() / "images"
    file = folder / f"{key}.npy"
    try:
        if not file.is_file():
            with locked(file.with_suffix(".lock")):
                if not file.is_file():
                    _write(file, shape, rows, smaller)
        content: NDArray[np.uint8] = np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DatasetUnavailable(
            f"the decoded images cannot be kept in {folder} ({error}); mend that, or name another folder in "
            "SPIKESMITH_CACHE"
        ) from error
    return content


def _write(file: Path, shape: tuple[int, int], rows: Callable[[], Iterable[NDArray[np.uint8]]], smaller: str) -> None:
    needed, free = shape[0] * shape[1], shutil.disk_usage(file.parent).free
    if needed > free:
        raise DatasetUnavailable(
            f"the {shape[0]} decoded images take {needed / 1e6:.0f} MB, and {file.parent} has room for "
            f"{free / 1e6:.0f} MB; make room, or name another folder in SPIKESMITH_CACHE{smaller}"
        )
    part = file.with_suffix(".part")
    try:
        # Written, not mapped: a disk that is full is an error here, and the end of the process there.
        with part.open("wb") as output:
            np.lib.format.write_array_header_1_0(output, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for some in rows():
                output.write(some.tobytes())
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
