"""The API process: uvicorn on a socket that is bound here, or that `serve` bound and keeps open across restarts."""

from __future__ import annotations

import argparse
import os
import socket
import sys

import uvicorn

from service.server.environment import child_environment
from service.settings import Settings, get_settings, is_loopback

BACKLOG = 2048
STREAM_GRACE_S = 3
"""Open event streams are cut this long after SIGTERM; clients come back with `Last-Event-ID`."""


class CannotListen(RuntimeError):
    """The address is not available, or must not be used without authentication."""


def listen(settings: Settings) -> socket.socket:
    """The listening socket that the settings name."""
    host, port = settings.host, settings.port
    if not is_loopback(host) and not settings.auth_required:
        raise CannotListen(
            f"refusing to listen on {host} with authentication off: anybody who reaches this address could run jobs. "
            "Set SPIKESMITH_AUTH=on, or listen on 127.0.0.1"
        )
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}: {error.strerror}; choose another --host") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --host or --port"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a program on this machine reaches the listener."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_api(settings: Settings, listener: socket.socket | None = None) -> int:
    """Serve the API in the foreground until SIGTERM or Ctrl-C. The exit code."""
    from service.app import create_app

    listener = listener or listen(settings)
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning" if settings.log_level == "info" else settings.log_level,
        access_log=False,
        timeout_graceful_shutdown=STREAM_GRACE_S,
        server_header=False,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    return 0 if server.started else 1


def run_worker(settings: Settings) -> None:
    """Become a worker process. The service does not import the worker, so this is an `exec`."""
    command = worker_command()
    os.execve(command[0], command, child_environment(settings))


def worker_command() -> list[str]:
    """`-P`: a folder named `worker` in the working directory is not ours."""
    return [sys.executable, "-P", "-m", "worker"]


def api_command(fd: int) -> list[str]:
    return [sys.executable, "-P", "-m", "service.server.api", "--fd", str(fd)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The API on an inherited listening socket.")
    parser.add_argument("--fd", type=int, required=True)
    sys.exit(run_api(get_settings(), socket.socket(fileno=parser.parse_args().fd)))
