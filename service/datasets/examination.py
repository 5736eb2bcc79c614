"""From the file that was sent to what is in it. The format is told by the content, not by names or headers."""

from __future__ import annotations

from typing import BinaryIO

from service.datasets import arrays, events, images
from service.datasets.archive import Archive
from service.datasets.examined import Examined
from service.datasets.faults import unfit
from service.datasets.npz import Npz

FORMATS = "an NPZ file with the arrays x and y (numpy.savez), or a zip file with a folder of images for each class"


def examine(file: BinaryIO, sha256: str, most_bytes: int) -> Examined:
    """What an upload holds. Raises 422 with all that can be said about what is wrong with it."""
    file.seek(0)
    if not file.read(4).startswith(b"PK"):
        raise unfit("", f"is no zip file; send {FORMATS}", "unknown_format")
    archive = Archive(file, most_bytes)
    names = archive.names
    if not names:
        raise unfit("", f"is empty; send {FORMATS}", "unknown_format")
    if all(name.endswith(".npy") and "/" not in name for name in names):
        npz = Npz(archive)
        return events.examine(npz, sha256) if "times_ms" in npz.headers else arrays.examine(npz, sha256)
    return images.examine(archive, sha256)
