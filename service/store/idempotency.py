"""Requests that may be sent twice and must act once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.tables import Idempotency
from service.store.types import utcnow

IN_FLIGHT_S = 60.0
"""A request that has not been answered after so long died with its process; its key may be taken over."""


@dataclass(frozen=True, slots=True)
class Reservation:
    outcome: Literal["mine", "in_flight", "other_body", "answered"]
    response: dict[str, Any] | None = None


def reserve(session: Session, scope: str, key: str, request_sha256: str, ttl_s: float) -> Reservation:
    """Take a key for a request, or learn what became of the request that has it."""
    now = utcnow()
    session.execute(
        delete(Idempotency).where(
            Idempotency.scope == scope,
            Idempotency.key == key,
            (Idempotency.created_at < now - timedelta(seconds=ttl_s))
            | (Idempotency.response.is_(None) & (Idempotency.created_at < now - timedelta(seconds=IN_FLIGHT_S))),
        )
    )
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    inserted = session.execute(
        insert(Idempotency)
        .values(scope=scope, key=key, request_sha256=request_sha256, created_at=now)
        .on_conflict_do_nothing()
        .returning(Idempotency.key)
    ).one_or_none()
    if inserted is not None:
        return Reservation("mine")
    row = session.scalars(select(Idempotency).where(Idempotency.scope == scope, Idempotency.key == key)).one()
    if row.request_sha256 != request_sha256:
        return Reservation("other_body")
    if row.response is None:
        return Reservation("in_flight")
    return Reservation("answered", row.response)


def answer(
    session: Session,
    scope: str,
    key: str,
    response: dict[str, Any],
    *,
    job_id: str | None = None,
    sweep_id: str | None = None,
) -> None:
    """Keep the answer, in the transaction that makes the job or the sweep."""
    session.execute(
        update(Idempotency)
        .where(Idempotency.scope == scope, Idempotency.key == key)
        .values(job_id=job_id, sweep_id=sweep_id, response=response)
    )


def release(session: Session, scope: str, key: str) -> None:
    """Give a key back whose request came to nothing."""
    session.execute(
        delete(Idempotency).where(Idempotency.scope == scope, Idempotency.key == key, Idempotency.response.is_(None))
    )


def forget_old(session: Session, now: datetime, ttl_s: float) -> None:
    session.execute(delete(Idempotency).where(Idempotency.created_at < now - timedelta(seconds=ttl_s)))
