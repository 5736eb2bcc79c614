"""A trainer as an operating-system process: started in its own group, listened to, signalled, killed for sure."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping

TAIL_LINES = 40
TAIL_LINE_LENGTH = 500


class TrainerProcess:
    """One run of `python -m worker.trainer JOB ATTEMPT` (`-P`: a folder named `worker` in the working directory is
    not ours).

    Its standard input is a pipe that nobody writes to: when this process dies, however it dies, the trainer reads end
    of file and knows. What it prints is kept for the case that it dies without having recorded why.
    """

    def __init__(self, job_id: str, attempt: int, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.trainer", job_id, str(attempt)],
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._reader = threading.Thread(target=self._read_output, name=f"output-of-{job_id}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """The return code once it has ended (negative: the signal that killed it), None while it runs."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_stop(self) -> None:
        """SIGTERM: it saves a checkpoint and gives the job back."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole group, whatever the trainer may have started included."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> list[str]:
        """Leave nothing of it behind. The last lines it printed."""
        self.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._reader.join(timeout=2.0)
        return list(self._tail)

    def _read_output(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with stream:
            for line in stream:
                self._tail.append(line.decode(errors="replace").rstrip()[:TAIL_LINE_LENGTH])


def describe_exit(returncode: int) -> str:
    """What a return code means, with the usual cause where there is one."""
    if returncode >= 0:
        return f"the trainer exited with code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    hint = " (the kernel does this when memory runs out)" if -returncode == signal.SIGKILL else ""
    return f"the trainer was killed by {name}{hint}"
