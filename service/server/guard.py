"""Run a command that must not outlive the process that started it: `python guard.py PARENT_PID COMMAND...`.

Started by path, so it may import nothing of the project. On Linux it asks the kernel for SIGTERM at the parent's death
and becomes the command; elsewhere it stays between the two and watches.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
POLL_S = 0.5


def become(parent_pid: int, command: list[str]) -> None:
    """Linux: the request survives `exec`, so no process is left in between."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # it died before the request was in place
        raise SystemExit(1)
    os.execvp(command[0], command)


def watch(parent_pid: int, command: list[str]) -> int:
    """Elsewhere: pass SIGTERM on, and send it when the parent is gone."""
    child = subprocess.Popen(command, close_fds=False)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while (code := child.poll()) is None:
        if os.getppid() != parent_pid:
            child.terminate()
            return child.wait()
        time.sleep(POLL_S)
    return code


if __name__ == "__main__":
    if sys.platform == "linux":
        become(int(sys.argv[1]), sys.argv[2:])
    else:
        sys.exit(watch(int(sys.argv[1]), sys.argv[2:]))
