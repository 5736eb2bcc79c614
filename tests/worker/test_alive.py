"""The health check of a worker container."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from service.settings import Settings
from service.store import workers
from service.store.engine import Database
from service.store.tables import Worker
from service.store.types import utcnow
from worker.alive import is_alive


def test_a_worker_is_alive_while_it_is_heard_of_on_its_own_host(database: Database, migrated_url: str) -> None:
    settings = Settings(database_url=migrated_url, worker_timeout_s=30)
    assert not is_alive(settings, "here")
    workers.register(database, hostname="here", pid=1, device="cpu", threads=2, slots=1)
    assert is_alive(settings, "here")
    assert not is_alive(settings, "there")
    with database.write() as session:
        session.execute(update(Worker).values(heartbeat_at=utcnow() - timedelta(seconds=31)))
    assert not is_alive(settings, "here")
