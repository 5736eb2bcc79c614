"""NPZ files, read in blocks: what `numpy.savez` and `numpy.savez_compressed` write."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from service.datasets.archive import Archive
from service.datasets.faults import unfit

BLOCK_BYTES = 2**22
LONGEST_HEADER = 4_096


@dataclass(frozen=True, slots=True)
class Header:
    """What an array says about itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(map(str, self.shape))}]"


class Npz:
    """The arrays of an NPZ file."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.headers: dict[str, Header] = {}
        for name in archive.names:
            label = name.removesuffix(".npy")
            with archive.open(name, label) as member:
                header = _header(member, label)
                begins = member.tell()
            expected = begins + header.size * header.dtype.itemsize
            if archive.size(name) != expected:
                raise unfit(
                    label, f"is {header} by its header, and has {archive.size(name)} bytes instead of {expected}"
                )
            self.headers[label] = header

    def blocks(self, label: str) -> Iterator[NDArray[Any]]:
        """All numbers of an array in the order in which they are stored, some at a time."""
        header = self.headers[label]
        with self._archive.open(f"{label}.npy", label) as member:
            _header(member, label)
            left = header.size
            while left:
                count = min(left, max(1, BLOCK_BYTES // header.dtype.itemsize))
                block = member.read(count * header.dtype.itemsize)
                yield np.frombuffer(block, header.dtype, count)
                left -= count
            member.read(1)  # only at the end of the file is its checksum compared

    def whole(self, label: str) -> NDArray[Any]:
        """A small array."""
        return np.concatenate(list(self.blocks(label)) or [np.empty(0, self.headers[label].dtype)])


def _header(member: IO[bytes], label: str) -> Header:
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise unfit(label, f"is an array of format version {version}; save plain numbers with numpy.savez")
    shape, fortran_order, dtype = read(member, max_header_size=LONGEST_HEADER)
    if dtype.hasobject:
        raise unfit(label, "holds Python objects (a pickle), which is never read; save numbers", "pickle")
    if dtype.kind not in "biufU" or not dtype.itemsize or any(side < 0 for side in shape):
        raise unfit(label, f"has the type {dtype} and the shape {shape}; save plain numbers")
    return Header(shape, dtype, fortran_order)
