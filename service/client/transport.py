"""One HTTP request with patience: connections that fail and a service that is busy are tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from service.client.errors import ServiceError, ServiceUnreachable

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures after which the service cannot have seen the request, so that repeating it is always safe."""

SILENCE_S = 60.0
"""A stream that sends nothing for this long, not even a keep-alive comment, counts as broken."""


class Transport:
    """Sends requests to one service and turns its refusals into exceptions."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float, patience_s: float) -> None:
        self.url = url.rstrip("/")
        self.patience_s = patience_s
        headers = {"Accept": "application/json"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            follow_redirects=True,
        )

    def close(self) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
    ) -> httpx.Response:
        """The answer to one call. `repeatable` says that the service may safely see the request twice."""
        if repeatable is None:
            repeatable = method in ("GET", "DELETE")
        return self._patiently(
            lambda: self._http.request(method, path, params=_present(params), json=body, headers=headers), repeatable
        )

    def upload(
        self,
        method: str,
        path: str,
        pieces: Callable[[], Iterator[bytes]],
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> httpx.Response:
        """The answer to a call whose body comes in `pieces`, which are asked for anew when it is tried again."""
        timeout = httpx.Timeout(timeout_s, connect=5.0)
        return self._patiently(
            lambda: self._http.request(method, path, content=pieces(), headers=headers, timeout=timeout), True
        )

    def _patiently(self, send: Callable[[], httpx.Response], repeatable: bool) -> httpx.Response:
        given_up_at = time.monotonic() + self.patience_s
        pause = 0.1
        while True:
            try:
                response = send()
            except httpx.TransportError as error:
                safe = repeatable or isinstance(error, NEVER_SENT)
                if not safe or time.monotonic() + pause > given_up_at:
                    raise ServiceUnreachable(self.url, describe(error)) from error
            else:
                busy_for = _retry_after(response)
                if not (repeatable and busy_for is not None and time.monotonic() + busy_for <= given_up_at):
                    return checked(response)
                pause = max(pause, busy_for)
            # Jitter keeps many clients from coming back in the same moment.
            time.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, 5.0)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """An open answer to read line by line. Not repeated: the reader knows where to go on."""
        timeout = httpx.Timeout(SILENCE_S, connect=5.0)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
            yield checked(response)


def checked(response: httpx.Response) -> httpx.Response:
    """The response, or what the service's refusal says."""
    if not response.is_error:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        # Not from the service itself: a proxy in front of it, or another program on that port.
        problem = {"detail": response.text.strip()[:300] or response.reason_phrase, "title": response.reason_phrase}
    raise ServiceError(response.status_code, problem)


def describe(error: httpx.TransportError) -> str:
    text = str(error).strip()
    return text or type(error).__name__


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds the service asks to wait for, when it says that it is busy."""
    if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
        return None
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


def _present(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if params is None else {name: value for name, value in params.items() if value is not None}
