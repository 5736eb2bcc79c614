"""A job's history as server-sent events, and then its news as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent

from service.store import events, jobs
from service.store.engine import Database
from service.store.errors import JobNotFound, StoreUnavailable
from service.store.events import StoredEvent
from service.store.transitions import TERMINAL

BATCH = 500


async def follow(database: Database, job_id: str, seq: int, poll_s: float) -> AsyncIterator[ServerSentEvent]:
    """Events behind number `seq`, until the job has ended and all of them were sent.

    Each look at the store is a short session of its own, so that an open stream holds nothing. While the store is
    away the stream stays open and silent.
    """
    while True:
        try:
            batch, ended = await run_in_threadpool(_look, database, job_id, seq)
        except JobNotFound:  # deleted meanwhile
            return
        except StoreUnavailable:
            batch, ended = [], False
        for event in batch:
            seq = event.seq
            data = {**event.data, "at": event.at.isoformat().replace("+00:00", "Z")}
            yield ServerSentEvent(data=data, event=event.type, id=str(event.seq))
        if ended:
            return
        if len(batch) < BATCH:
            await anyio.sleep(poll_s)


def _look(database: Database, job_id: str, seq: int) -> tuple[list[StoredEvent], bool]:
    with database.read() as session:
        # The state first: whatever is recorded before it turns terminal is then among the events that follow.
        ended = jobs.state_of(session, job_id) in TERMINAL
        batch = events.after(session, job_id, seq, BATCH)
        return batch, ended and len(batch) < BATCH
