"""A connection to a service, and how its lists are fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from service.client.transport import Transport

DEFAULT_URL = "http://127.0.0.1:8321"


class Connection:
    """What all calls go through."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 2.0,
    ) -> None:
        self.url = (url or os.environ.get("SPIKESMITH_URL") or DEFAULT_URL).rstrip("/")
        key = api_key or os.environ.get("SPIKESMITH_API_KEY") or None
        self._transport = Transport(self.url, key, timeout_s, patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def _json(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return self._transport.request("GET", path, params=params).json()

    def _pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            page = self._json(path, {**params, "cursor": cursor})
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return


def path_of_job(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"
