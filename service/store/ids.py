"""Identifiers that sort by the time they were made: 48 bits of milliseconds, then 80 random bits, in base 32."""

from __future__ import annotations

import secrets
import threading
import time

# Crockford's alphabet in lower case: no letters that look like digits, and every collation sorts it by value.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26

_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """A new identifier, greater than all that this process made before."""
    global _last
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    with _lock:
        value = _last = max(value, _last + 1)
    digits = "".join(ALPHABET[value >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
    return f"{prefix}_{digits}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` could be an identifier of that kind. What cannot need not be looked for."""
    return (
        len(text) == len(prefix) + 1 + LENGTH
        and text.startswith(f"{prefix}_")
        and all(char in ALPHABET for char in text[-LENGTH:])
    )
