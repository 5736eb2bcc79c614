"""Lists by keyset: a page goes on behind the last item that was seen, however many came or went meanwhile."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

MAX_LIMIT = 500

T = TypeVar("T")

Limit = Annotated[
    int, Query(ge=1, description=f"Most items of the answer; more than {MAX_LIMIT} are never given.", examples=[20])
]


class Page(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")


def cursor_of(kind: str) -> Any:
    """The query parameter of a list whose cursors begin with the letter `kind`.

    A cursor is opaque to clients: hexadecimal text of the key that the page before ended with. Whatever fits the
    pattern is a place in the list, so there is nothing else to be refused.
    """
    description = "`next_cursor` of the page before, as it came."
    return Query(pattern=f"^{kind}([0-9a-f]{{2}})+$", max_length=2001, description=description)


def capped(limit: int) -> int:
    return min(limit, MAX_LIMIT)


SEPARATOR = "\x1f"


def encode(kind: str, *key: str | int) -> str:
    return kind + SEPARATOR.join(map(str, key)).encode().hex()


def decode(cursor: str | None) -> tuple[str, ...] | None:
    """The key in a cursor."""
    if cursor is None:
        return None
    text = bytes.fromhex(cursor[1:]).decode("utf-8", "replace").replace("\0", "")
    return tuple(text.split(SEPARATOR))


def decode_text(cursor: str | None) -> str | None:
    key = decode(cursor)
    return None if key is None else key[0]


def decode_number(cursor: str | None) -> int | None:
    """A number; what is none is taken for the beginning of the list."""
    text = decode_text(cursor)
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
