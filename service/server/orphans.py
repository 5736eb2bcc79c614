"""Grandchildren whose parent died come to `serve`, which ends them before it ends itself.

A trainer whose worker was killed outright saves a checkpoint and goes by itself. One that hangs would stay; on Linux it
becomes a child of `serve` (subreaper), so that no process is left behind. Elsewhere such a trainer cannot be found.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of orphans among its descendants."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """Process ids of all children of this process, the ended ones not yet waited for included."""
    found: set[int] = set()
    if sys.platform == "linux":
        for path in Path("/proc/self/task").glob("*/children"):
            found.update(int(pid) for pid in path.read_text().split())
    return found


def reap(known: set[int]) -> set[int]:
    """Wait for adopted children (all but `known`) that ended; the ones still running."""
    running = set()
    for pid in children() - known:
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue
        if ended == 0:
            running.add(pid)
    return running


def end_orphans(grace_s: float, except_for: set[int]) -> None:
    """Give adopted children `grace_s` to end by themselves (a checkpoint may be on its way), then kill them."""
    deadline = time.monotonic() + grace_s
    while running := reap(except_for):
        if time.monotonic() >= deadline:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + grace_s
        time.sleep(0.05)
