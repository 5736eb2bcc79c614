"""API keys: shown once when they are made, kept only as a digest."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store.ids import new_id
from service.store.tables import ApiKey
from service.store.types import utcnow

Scope: TypeAlias = Literal["read", "submit", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "sps_"
SHOWN = len(PREFIX) + 6


def create_key(session: Session, name: str, scopes: Iterable[str]) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be had again. 32 random bytes need no slow hash."""
    chosen = sorted(set(scopes), key=lambda scope: SCOPES.index(scope) if scope in SCOPES else -1)
    unknown = [scope for scope in chosen if scope not in SCOPES]
    if unknown or not chosen:
        raise ValueError(f"scopes are {', '.join(SCOPES)}; got {', '.join(unknown) or 'none'}")
    if not name.strip() or len(name) > 200:
        raise ValueError("a key needs a name of 1 to 200 characters")
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(id=new_id("key"), name=name, prefix=secret[:SHOWN], sha256=digest(secret), scopes=list(chosen))
    session.add(key)
    session.flush()
    return key, secret


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def find_key(session: Session, secret: str) -> ApiKey | None:
    """The key that a secret belongs to, unless it was revoked."""
    return session.scalars(
        select(ApiKey).where(ApiKey.sha256 == digest(secret), ApiKey.revoked_at.is_(None))
    ).one_or_none()


def list_keys(session: Session) -> list[ApiKey]:
    return list(session.scalars(select(ApiKey).order_by(ApiKey.id.desc())))


def revoke_key(session: Session, id_or_prefix: str) -> ApiKey | None:
    """Revoke by id or by the beginning that lists show. None: no such key."""
    found = session.scalars(
        select(ApiKey).where((ApiKey.id == id_or_prefix) | (ApiKey.prefix == id_or_prefix))
    ).one_or_none()
    if found is not None and found.revoked_at is None:
        found.revoked_at = utcnow()
        session.flush()
    return found


def any_key(session: Session) -> bool:
    """Whether somebody could pass when keys are asked for."""
    return bool(session.scalar(select(func.count()).where(ApiKey.revoked_at.is_(None))))
