"""What every request passes through, as plain ASGI: wrappers that buffer responses would break event streams."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem, respond

_ACCEPTABLE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestId:
    """Gives each request a name: the client's own if it is harmless, else a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ACCEPTABLE_REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        await self.app(scope, receive, send_named)


class BodyLimit:
    """Refuses bodies over a size, whether their length is announced or they just go on."""

    def __init__(self, app: ASGIApp, max_bytes: int, exempt: frozenset[tuple[str, str]] = frozenset()) -> None:
        """`exempt` are methods and routes that have limits of their own."""
        self.app = app
        self.max_bytes = max_bytes
        self.exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if (scope["method"], scope["state"].get("route")) in self.exempt:
            return await self.app(scope, receive, send)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > self.max_bytes):
            return await respond(Request(scope), self._too_large())(scope, receive, send)
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self.max_bytes:
                    raise self._too_large()
            return message

        await self.app(scope, receive_counted, send)

    def _too_large(self) -> Problem:
        limit = f"max_body_bytes = {self.max_bytes}"
        # Closing is the only way to stop a client that goes on sending.
        return Problem(
            413, "body_too_large", f"The body is larger than the limit {limit}.", headers={"Connection": "close"}
        )


class RouteTable:
    """Which methods each path has, from the OpenAPI document."""

    def __init__(self, paths: dict[str, dict[str, Any]], wide: frozenset[str]) -> None:
        """`wide` names the parameters that may contain slashes."""
        self._routes = []
        for template, operations in paths.items():
            pattern = template
            for name in wide:
                pattern = pattern.replace(f"{{{name}}}", f"{{{name}:path}}")
            methods = {method.upper() for method in operations}
            streams = "text/event-stream" in str(operations.get("get", {}).get("responses", {}))
            if "GET" in methods and not streams:
                methods.add("HEAD")
            self._routes.append((compile_path(pattern)[0], template, frozenset(methods | {"OPTIONS"})))

    def match(self, path: str) -> tuple[str, frozenset[str]] | None:
        """The template of a path and its methods."""
        for regex, template, methods in self._routes:
            if regex.match(path):
                return template, methods
        return None


class Methods:
    """HEAD as GET without its body, OPTIONS, and 405 with all the methods that a path has."""

    def __init__(self, app: ASGIApp, table: RouteTable) -> None:
        self.app = app
        self.table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        found = self.table.match(scope["path"])
        if found is None:
            return await self.app(scope, receive, send)
        template, methods = found
        scope["state"]["route"] = template
        method = scope["method"]
        allow = {"Allow": ", ".join(sorted(methods))}
        if method == "OPTIONS":
            return await Response(status_code=204, headers=allow)(scope, receive, send)
        if method not in methods:
            detail = f"{method} is not possible here; allowed: {allow['Allow']}."
            problem = Problem(405, "method_not_allowed", detail, headers=allow)
            return await respond(Request(scope), problem)(scope, receive, send)
        if method != "HEAD":
            return await self.app(scope, receive, send)

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_without_body)


class Measured:
    """Reports route, method, status and duration of each request. A stream counts until it ends."""

    def __init__(self, app: ASGIApp, report: Callable[[str, str, int, float], None]) -> None:
        self.app = app
        self.report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        start = time.perf_counter()
        status = 500

        async def send_watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_watched)
        finally:
            # Only the templates of routes are labels: paths would make as many series as there are jobs.
            route = scope.get("state", {}).get("route", "unknown")
            method = scope["method"] if scope["method"] in _KNOWN_METHODS else "OTHER"
            self.report(route, method, status, time.perf_counter() - start)


_KNOWN_METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}
