"""Children of `serve`: started, watched, restarted when they die, stopped in order, none left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

STANDARD_ERROR = 2
"""Where children write all they say: standard output is for the address, which scripts read."""

GUARD = str(Path(__file__).with_name("guard.py"))
FIRST_BACKOFF_S = 0.2
MAX_BACKOFF_S = 10.0
STEADY_S = 30.0
"""A child that lived this long starts again at once if it dies."""


class Child:
    """One child process and its restarts."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        *,
        quiet: bool = False,
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-I", "-S", GUARD, str(os.getpid()), *command]
        self._env = env
        self._pass_fds = tuple(pass_fds)
        self._stdout = subprocess.DEVNULL if quiet else STANDARD_ERROR
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._restart_at: float | None = None
        self._backoff_s = FIRST_BACKOFF_S

    @property
    def last_pid(self) -> int | None:
        """Process id, of a child that ended too: its exit status is for `Popen` to fetch."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def exit_reason(self) -> str | None:
        """How it ended; None while it runs or before it was started."""
        if self._process is None or self._process.poll() is None:
            return None
        return describe_exit(self._process.returncode)

    def start(self) -> None:
        """Start it, in a session of its own so that Ctrl-C reaches only `serve`, which stops the children in order."""
        self._process = subprocess.Popen(
            self._command,
            env=None if self._env is None else dict(self._env),
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            start_new_session=True,
            pass_fds=self._pass_fds,
        )
        self._started_at = time.monotonic()
        self._restart_at = None

    def keep_alive(self) -> None:
        """Restart it if it died, later and later while it keeps dying young. Call often."""
        if self._process is None or self.running:
            return
        now = time.monotonic()
        if self._restart_at is None:
            if now - self._started_at >= STEADY_S:
                self._backoff_s = FIRST_BACKOFF_S
            logger.warning(
                "%s ended (%s), starting it again in %.1f s",
                self.name,
                self.exit_reason(),
                self._backoff_s,
            )
            self._restart_at = now + self._backoff_s
            self._backoff_s = min(2 * self._backoff_s, MAX_BACKOFF_S)
        elif now >= self._restart_at:
            self.start()

    def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL for its whole session if it is still there after `grace_s`."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            logger.warning("%s did not stop within %.0f s, killing it", self.name, grace_s)
            kill_group(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None


def kill_group(pid: int, sig: signal.Signals) -> None:
    """Signal the process group that `pid` leads; gone already is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, sig)


def describe_exit(returncode: int) -> str:
    """`exit code 3` or `killed by SIGKILL`."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
