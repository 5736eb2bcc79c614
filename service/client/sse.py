"""Server-sent events (the WHATWG event stream format), line by line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from service.client.models import Event


def parse(lines: Iterable[str]) -> Iterator[Event]:
    """The events in a stream. Comments (keep-alives) and events without data are skipped, as the format asks."""
    kind, data, identity = "message", list[str](), ""
    for line in lines:
        if not line:
            if data:
                yield Event(seq=int(identity or 0), type=kind, data=json.loads("\n".join(data)))
            kind, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            identity = value
