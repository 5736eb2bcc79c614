"""Log lines of a worker: time, level, logger, message, then `key=value` pairs; one line each, on standard error."""

from __future__ import annotations

import logging
import sys
import time
import warnings

CHATTY = ("celery", "kombu", "amqp")
"""Loggers that report each message at INFO; the worker reports each job itself."""

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """`2026-01-01T00:00:00.000Z INFO worker.supervisor claimed job=job_1`: what `extra` holds becomes pairs."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        pairs = [f"{key}={value}" for key, value in vars(record).items() if key not in _STANDARD]
        # Celery puts a dictionary of its own under `data`; its message says the same.
        return " ".join([super().formatMessage(record), *(pair for pair in pairs if not pair.startswith("data="))])


def configure_logging(level: str) -> None:
    """Set up the root logger of a worker process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if root.level > logging.DEBUG:
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
    # Containers run as root, and that warning is about nothing their operator could change.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
