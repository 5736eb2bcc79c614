"""Where data lies on this machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def data_folders() -> list[Path]:
    """Where the user says that data lies: `SPIKESMITH_DATA`, separated like PATH."""
    return [Path(folder) for folder in os.environ.get("SPIKESMITH_DATA", "").split(os.pathsep) if folder]


def searched() -> str:
    """The data folders, for a message that says that something was in none of them."""
    return ", ".join(map(str, data_folders())) or "no folder, SPIKESMITH_DATA is not set"


def cache_folder() -> Path:
    """Where downloads and decoded images go: `SPIKESMITH_CACHE`, else the cache folder of the system."""
    import pooch

    return Path(os.environ.get("SPIKESMITH_CACHE") or pooch.os_cache("spikesmith"))


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of `file`, which stays behind empty; the system releases it with the process."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
