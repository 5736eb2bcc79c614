"""Who may do what: API keys with scopes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.dependencies import ConfigDep, DatabaseDep
from service.problems import Problem
from service.store.api_keys import Scope, find_key

_INCLUDES: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "submit": frozenset({"read", "submit"}),
    "admin": frozenset({"read", "submit", "admin"}),
}
"""What each scope allows: whoever may submit a job may look at it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. Without authentication everybody is the same caller."""

    key_id: str | None
    scopes: frozenset[str]

    @property
    def idempotency_scope(self) -> str:
        return self.key_id or "anyone"


def identify(request: Request, database: DatabaseDep, config: ConfigDep) -> Caller:
    """The caller behind the bearer key. 401 if keys are asked for and this one is not known."""
    if not config.auth_required:
        return Caller(None, _INCLUDES["admin"])
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    challenge = {"WWW-Authenticate": "Bearer"}
    if scheme.lower() != "bearer" or not secret.strip():
        detail = "Send an API key as `Authorization: Bearer KEY`; `spikesmith keys create` makes one."
        raise Problem(401, "unauthenticated", detail, headers=challenge)
    with database.read() as session:
        key = find_key(session, secret.strip())
    if key is None:
        raise Problem(401, "unauthenticated", "The API key is not known, or was revoked.", headers=challenge)
    return Caller(key.id, frozenset().union(*(_INCLUDES[scope] for scope in key.scopes)))


def require(scope: Scope) -> Callable[[Caller], Caller]:
    """The dependency of a route that needs a scope."""

    def allowed(caller: Annotated[Caller, Depends(identify)]) -> Caller:
        if scope not in caller.scopes:
            raise Problem(403, "forbidden", f"This needs an API key with the scope {scope!r}.")
        return caller

    return allowed


Reader = Annotated[Caller, Depends(require("read"))]
Submitter = Annotated[Caller, Depends(require("submit"))]
