"""What a rule says of a spec that breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from snncore.spec.errors import Location

Broken: TypeAlias = Iterator[tuple[Location, str]]
"""Places in the spec, and what to do there."""
