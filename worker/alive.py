"""`python -m worker.alive`: exit code 0 if a worker on this host says that it lives. For container health checks."""

from __future__ import annotations

import socket
import sys

from service.settings import Settings, get_settings
from service.store import workers
from service.store.engine import Database
from service.store.types import utcnow


def is_alive(settings: Settings, hostname: str) -> bool:
    """Whether a worker of that host was heard of within `worker_timeout_s`."""
    database = Database(settings.resolved_database_url, busy_timeout_ms=settings.busy_timeout_ms)
    try:
        with database.read() as session:
            heard = workers.list_alive(session, utcnow(), settings.worker_timeout_s)
            return any(worker.hostname == hostname for worker in heard)
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(0 if is_alive(get_settings(), socket.gethostname()) else 1)
