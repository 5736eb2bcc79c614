"""Requests with an Idempotency-Key: sent twice, they act once, and both get the first answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypedDict, TypeVar

from fastapi import Header, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from service.answers import JSON
from service.auth import Caller
from service.problems import FieldProblem, Problem
from service.settings import Settings
from service.store import idempotency
from service.store.engine import Database
from service.store.idempotency import Reservation

M = TypeVar("M", bound=BaseModel)


class Owner(TypedDict, total=False):
    """The row that an answer is about: one of the two."""

    job_id: str
    sweep_id: str


IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[!-~]+$",
        max_length=255,
        description="The same key with the same body acts once, however often it is sent.",
    ),
]


def created(what: str) -> dict[str, Any]:
    """The documentation of a 201 that may have been given before."""
    return {
        "description": f"The {what} was queued, or had been by the same request before.",
        "headers": {
            "Location": {"description": f"Where the {what} is.", "schema": {"type": "string"}},
            "Idempotency-Replayed": {
                "description": "`true` on an answer that was given before.",
                "schema": {"type": "string", "enum": ["true"]},
            },
        },
    }


def body_of(schema: str) -> dict[str, Any]:
    """The documentation of a body that is read as a JSON object first, and then as what `schema` describes."""
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content}}


def announce(response: Response, location: str, *, new: bool) -> None:
    """The headers of such a 201."""
    response.headers["Location"] = location
    if not new:
        response.headers["Idempotency-Replayed"] = "true"


def digest(body: Mapping[str, Any], *, of: str = "") -> str:
    """What makes two requests the same: their body in any order of fields, and what it asks for."""
    return hashlib.sha256((of + json.dumps(body, sort_keys=True)).encode()).hexdigest()


def once(
    database: Database,
    settings: Settings,
    caller: Caller,
    key: str | None,
    request_sha256: str,
    model: type[M],
    make: Callable[[Session], M],
    owner: Callable[[M], Owner],
) -> tuple[M, bool]:
    """What `make` answers, or what it answered to the same request before. Answers whether it is new.

    `owner` says what the answer is about: it is kept as long as that.
    """
    if key is None:
        with database.write() as session:
            return make(session), True
    scope = caller.idempotency_scope
    with database.write() as session:
        reservation = idempotency.reserve(session, scope, key, request_sha256, settings.idempotency_ttl_s)
    if reservation.outcome != "mine":
        return model.model_validate(_earlier_answer(reservation)), False
    try:
        with database.write() as session:
            made = make(session)
            idempotency.answer(session, scope, key, made.model_dump(mode="json"), **owner(made))
            return made, True
    except BaseException:
        with database.write() as session:
            idempotency.release(session, scope, key)
        raise


def _earlier_answer(reservation: Reservation) -> dict[str, Any] | None:
    if reservation.outcome == "answered":
        return reservation.response
    loc: list[str | int] = ["header", "Idempotency-Key"]
    if reservation.outcome == "other_body":
        msg = "was used for a request with another body; take a new key"
        error = FieldProblem(loc=loc, msg=msg, type="idempotency_mismatch")
        raise Problem(422, "idempotency_mismatch", f"Idempotency-Key: {msg}.", errors=[error])
    detail = "A request with this Idempotency-Key is being answered right now; ask again in a moment."
    raise Problem(409, "idempotency_in_flight", detail, headers={"Retry-After": "1"})
