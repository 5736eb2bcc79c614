"""A job that was claimed, as the worker's parts find it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from service.store import events, jobs
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.tables import Job


class ClaimedJob:
    """A job and its first attempt, with shortcuts to what was recorded."""

    def __init__(self, database: Database, spec: dict[str, Any], needed: Collection[str] = ()) -> None:
        self.database = database
        with database.write() as session:
            self.id = jobs.create(session, spec=spec, needed=needed).id
        self.attempt = self.claim()

    def claim(self) -> Attempt:
        claimed = claim(self.database, self.id, "wrk_test", 60.0)
        assert claimed is not None
        return Attempt(self.database, self.id, claimed.attempt)

    @property
    def row(self) -> Job:
        with self.database.read() as session:
            return jobs.get(session, self.id)

    def events(self, kind: str) -> list[dict[str, Any]]:
        with self.database.read() as session:
            return [event.data for event in events.after(session, self.id, 0, 1000) if event.type == kind]

    def ask(self, what: Callable[..., Any]) -> None:
        """`jobs.cancel` or `jobs.pause`, as the API does it."""
        with self.database.write() as session:
            what(session, self.id)
