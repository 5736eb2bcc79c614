"""One `serve` for each data folder, by a lock that the kernel releases however its holders end."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

LOCK_NAME = "serve.lock"


class HomeInUse(RuntimeError):
    """Another `serve` has the folder."""


class HomeLock:
    """Lock on a data folder. Children that inherit `fd` hold it too: a service that is winding down still has it."""

    def __init__(self, home: Path, patience_s: float) -> None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = home / LOCK_NAME
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                owner = self.read()
                # Without its `serve`, the rest of the other service is about to end: worth waiting for.
                if is_alive(owner.get("pid")) or time.monotonic() >= deadline:
                    os.close(self.fd)
                    raise HomeInUse(describe_owner(home, owner)) from None
                time.sleep(0.1)

    def read(self) -> dict[str, Any]:
        """What the last holder wrote down."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        try:
            found = json.loads(os.read(self.fd, 65_536))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, notes: dict[str, Any]) -> None:
        """Tell others who holds the lock, and a later `serve` what to clean up."""
        data = json.dumps(notes).encode()
        os.lseek(self.fd, 0, os.SEEK_SET)
        os.write(self.fd, data)
        os.ftruncate(self.fd, len(data))

    def release(self) -> None:
        self.write({})
        os.close(self.fd)


def describe_owner(home: Path, owner: dict[str, Any]) -> str:
    """Who has the folder, as far as it is known."""
    where = f" at {owner['url']}" if owner.get("url") else ""
    who = f" (process {owner['pid']})" if owner.get("pid") else ""
    return f"{home} is in use by another `spikesmith serve`{who}{where}; stop it, or choose another --data-dir"


def is_alive(pid: object) -> bool:
    """Whether there is a process of that id."""
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
