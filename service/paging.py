"""Lists by keyset: a page goes on behind the last item that was seen, however many came or went meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from service.problems import Problem, invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

T = TypeVar("T")

Limit = Annotated[
    int, Query(ge=1, description=f"Most items of the answer; more than {MAX_LIMIT} are never given.", examples=[20])
]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=2000)]


class Page(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")


def capped(limit: int) -> int:
    return min(limit, MAX_LIMIT)


def encode(kind: str, key: Sequence[str | int]) -> str:
    """An opaque token for a place in a list of some kind."""
    return base64.urlsafe_b64encode(json.dumps([kind, *key]).encode()).decode().rstrip("=")


def decode(kind: str, cursor: str | None, types: Sequence[type]) -> list[str | int] | None:
    """The place that `encode` wrote down; 422 if the token is not from there."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _bad() from None
    if not isinstance(content, list) or content[:1] != [kind] or [type(part) for part in content[1:]] != list(types):
        raise _bad()
    if any("\0" in part if isinstance(part, str) else not 0 <= part < 2**31 for part in content[1:]):
        raise _bad()
    return content[1:]


def _bad() -> Problem:
    return invalid(["query", "cursor"], "is not a cursor of this list; take `next_cursor` as it came", "cursor")
