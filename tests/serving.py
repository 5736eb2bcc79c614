"""A whole service as a user starts it: `spikesmith serve`, in processes of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Served:
    url: str
    pid: int
    home: Path


@contextmanager
def served(home: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Served]:
    """Starts on a free port, and holds the stop to its promise: exit code 0."""
    clean = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "BROKER_URL")}
    clean = {k: v for k, v in clean.items() if not k.startswith("SPIKESMITH_") or k == "SPIKESMITH_DATA"}
    home.mkdir(parents=True, exist_ok=True)
    log = home / "serve.log"
    command = [sys.executable, "-P", "-m", "service.cli", "serve", "--port", "0", "--data-dir", str(home), *options]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=home, env={**clean, **(env or {})}, stdout=subprocess.PIPE, stderr=errors
        )
    assert process.stdout is not None
    try:
        address = re.search(rb"http://\S+", process.stdout.readline())
        assert address is not None, log.read_text()
        yield Served(address[0].decode(), process.pid, home)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
    assert code == 0, log.read_text()
