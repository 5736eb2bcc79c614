"""A zip file that a stranger sent: nothing in it is believed, and nothing of it is ever unpacked as a whole."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from service.datasets.faults import unfit
from service.problems import Problem

MOST_MEMBERS = 1_000_000
UNREADABLE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
    UnicodeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
)
"""What reading a damaged or unusual zip file raises."""


class Archive:
    """The members of a zip file, by name."""

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        """Raises 422 for what is no zip file, for names that lead elsewhere or are there twice, and for what would
        take more than `most_bytes` unpacked."""
        with _readable("", "cannot be read as a zip file"):
            self._zip = zipfile.ZipFile(file)
        members = [member for member in self._zip.infolist() if not member.is_dir()]
        if len(members) > MOST_MEMBERS:
            raise unfit("", f"holds {len(members)} files, more than {MOST_MEMBERS}; pack fewer")
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            self._admit(member)
        unpacked = sum(member.file_size for member in members)
        if unpacked > most_bytes:
            limit = f"max_dataset_bytes = {most_bytes}"
            raise unfit(
                "",
                f"takes {unpacked} bytes unpacked, more than the limit {limit}; take fewer samples",
                "limit_exceeded",
            )

    def _admit(self, member: zipfile.ZipInfo) -> None:
        name = member.filename
        steps = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in steps or ":" in steps[0] or not name.isprintable():
            raise unfit(name, "leads out of the archive; pack files by names relative to its top folder", "unsafe_path")
        if member.external_attr >> 16 & 0o170000 == 0o120000:
            raise unfit(name, "is a symbolic link; pack the file itself", "unsafe_path")
        if member.flag_bits & 1:
            raise unfit(name, "is encrypted; pack it without a password")
        if name in self._members:
            raise unfit(name, "is there twice; leave one of them out", "duplicate")
        self._members[name] = member

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def size(self, name: str) -> int:
        """Of a member, unpacked."""
        return self._members[name].file_size

    @contextmanager
    def open(self, name: str, label: str) -> Iterator[IO[bytes]]:
        """A member to be read; whatever is wrong with its bytes is a fault of `label`."""
        with _readable(label, "cannot be unpacked"), self._zip.open(self._members[name]) as member:
            yield member


@contextmanager
def _readable(label: str, what: str) -> Iterator[None]:
    try:
        yield
    except Problem:
        raise
    except UNREADABLE as error:
        raise unfit(label, f"{what} ({error}); is the file damaged? Write it again") from error
