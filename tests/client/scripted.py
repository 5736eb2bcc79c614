"""A real HTTP server that answers what it was told to, for what a healthy service does not do on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HANG_UP = "hang up"


@dataclass
class Answer:
    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: str


class ScriptedServer:
    """`answers` are given one after the other, the last one for ever. `HANG_UP` closes the connection without one."""

    def __init__(self, answers: list[Answer | str] | Callable[[Request], Answer], port: int = 0) -> None:
        self.requests: list[Request] = []
        self.answers = answers
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(
                    self.command,
                    self.path,
                    {k.lower(): v for k, v in self.headers.items()},
                    self.rfile.read(length).decode(),
                )
                answer = outer._next(request)
                if not isinstance(answer, Answer):
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body.encode())

            do_GET = do_POST = do_DELETE = _serve

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._lock = threading.Lock()

    def _next(self, request: Request) -> Answer | str:
        with self._lock:
            self.requests.append(request)
            if callable(self.answers):
                return self.answers(request)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def scripted(answers: list[Answer | str] | Callable[[Request], Answer], port: int = 0) -> Iterator[ScriptedServer]:
    server = ScriptedServer(answers, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
