"""A service that holds what a test puts into it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from service.app import create_app
from service.client import Client
from service.settings import Settings
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.rows import RecordBatch


@dataclass(frozen=True)
class Service:
    """A service without a worker: jobs come to the end that a test gives them."""

    url: str
    database: Database

    def begin(self, job_id: str) -> Attempt:
        held = claim(self.database, job_id, "wrk_1", lease_s=60)
        assert held is not None
        return Attempt(self.database, job_id, held.attempt)

    def finish(self, job_id: str, outcome: dict[str, Any] | None, batch: RecordBatch | None = None) -> None:
        """Succeeds with a result, or fails without one."""
        attempt = self.begin(job_id)
        if outcome is None:
            attempt.fail("diverged", "the loss is not a number", batch)
        else:
            attempt.succeed(batch or RecordBatch(), outcome)

    def run(self, outcome: dict[str, Any], preset: str = "renner/softmax-exp-4", **overrides: Any) -> str:
        with Client(self.url) as client:
            job_id = client.submit(preset=preset, overrides=overrides).id
        self.finish(job_id, outcome)
        return job_id


@contextmanager
def holding(database_url: str, home: Path) -> Iterator[Service]:
    """The service on a migrated database, at an address of its own."""
    settings = Settings(home=home, database_url=database_url, broker_url=None, _env_file=None)
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    database = Database(database_url)
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield Service(url, database)
    finally:
        server.should_exit = True
        thread.join()
        database.close()
