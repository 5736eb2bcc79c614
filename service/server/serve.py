"""`spikesmith serve`: the whole service on one machine, in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from service.migrate import upgrade
from service.server.api import CannotListen, api_command, listen, url_of, worker_command
from service.server.environment import child_environment
from service.server.lock import HomeLock
from service.server.orphans import adopt_orphans, children, end_orphans, reap
from service.server.processes import Child
from service.server.redis import make_socket_dir, redis_command, redis_url
from service.settings import Settings

logger = logging.getLogger(__name__)

POLL_S = 0.1
READY_TIMEOUT_S = 120.0
API_GRACE_S = 10.0
REDIS_GRACE_S = 5.0
ORPHAN_GRACE_S = 5.0


class CannotStart(RuntimeError):
    """A child ended, or the service did not become ready, while it was starting."""


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Run Redis (unless a broker is configured), API and worker; `announce` the URL once `/readyz` answers.

    Raises `HomeInUse`, `CannotListen`, `RedisNotFound` or `CannotStart` with a text for the user.
    """
    home = settings.home.expanduser().absolute()
    lock = HomeLock(home, patience_s=settings.shutdown_grace_s + settings.kill_grace_s)
    remove_socket_dir(lock.read().get("redis_dir"))
    try:
        listener = listen(settings)
    except CannotListen:
        lock.release()
        raise
    service = Service(settings.model_copy(update={"home": home}), listener, lock)
    stop = threading.Event()
    handled = {number: signal.signal(number, lambda *_: stop.set()) for number in stop_signals()}
    adopt_orphans()
    try:
        prepare_database(service.settings.resolved_database_url)
        service.start()
        if service.wait_ready(stop):
            announce(service.url)
            service.keep_alive(stop)
    finally:
        service.stop()
        lock.release()
        for number, handler in handled.items():
            signal.signal(number, handler)


def prepare_database(url: str) -> None:
    """Bring the database to this version's tables."""
    try:
        upgrade(url)
    except (SQLAlchemyError, CommandError, ValueError) as error:
        reason = getattr(error, "orig", None) or error
        raise CannotStart(f"the database cannot be brought to this version: {reason}") from error


def stop_signals() -> tuple[signal.Signals, ...]:
    """Ways to ask a foreground program to end; a closed terminal is one."""
    return (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Service:
    """The children of one `serve`, in the order in which they start."""

    def __init__(self, settings: Settings, listener: socket.socket, lock: HomeLock) -> None:
        self.settings = settings
        self.url = url_of(listener)
        self._listener = listener
        self._lock = lock
        self._redis_dir: Path | None = None
        self._redis: Child | None = None
        self._api: Child | None = None
        self._worker: Child | None = None
        self._not_ours = children()

    def start(self) -> None:
        settings = self.settings
        if settings.broker_url is None:
            self._redis_dir = make_socket_dir()
            settings = self.settings = settings.model_copy(update={"broker_url": redis_url(self._redis_dir)})
        self._lock.write({"pid": os.getpid(), "url": self.url, "redis_dir": str(self._redis_dir or "")})
        if self._redis_dir is not None:
            self._redis = Child(
                "redis", redis_command(self._redis_dir, settings.home / "redis.log"), env={**os.environ, "LC_ALL": "C"}
            )
            self._redis.start()
        env = child_environment(settings.model_copy(update={"port": self._listener.getsockname()[1]}))
        lock, fd = self._lock.fd, self._listener.fileno()
        self._api = Child("api", api_command(fd), env, pass_fds=(fd, lock))
        self._worker = Child("worker", worker_command(), env, pass_fds=(lock,), quiet=True)
        self._api.start()
        self._worker.start()

    def wait_ready(self, stop: threading.Event) -> bool:
        """True once `/readyz` says so; False if `stop` came first."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not stop.wait(POLL_S):
            for child in self._children():
                if (reason := child.exit_reason()) is not None:
                    raise CannotStart(f"the {child.name} process ended while starting ({reason}); its output is above")
            if answers(f"{self.url}/readyz"):
                return True
            if time.monotonic() > deadline:
                raise CannotStart(f"{self.url}/readyz did not become ready within {READY_TIMEOUT_S:.0f} s")
        return False

    def keep_alive(self, stop: threading.Event) -> None:
        """Restart what dies, until `stop`."""
        while not stop.wait(POLL_S):
            for child in self._children():
                child.keep_alive()
            reap(self._not_ours | self._child_pids())

    def stop(self) -> None:
        """The worker first, so that running jobs are checkpointed while everything they need is still there."""
        if self._worker is not None:
            self._worker.stop(self.settings.shutdown_grace_s + self.settings.kill_grace_s)
        if self._api is not None:
            self._api.stop(API_GRACE_S)
        self._listener.close()
        end_orphans(ORPHAN_GRACE_S, except_for=self._not_ours | self._child_pids())
        if self._redis is not None:
            self._redis.stop(REDIS_GRACE_S)
        remove_socket_dir(self._redis_dir)

    def _child_pids(self) -> set[int]:
        return {pid for child in self._children() if (pid := child.last_pid) is not None}

    def _children(self) -> list[Child]:
        return [child for child in (self._redis, self._api, self._worker) if child is not None]


def answers(url: str) -> bool:
    """Whether a GET is answered with 200. Proxies of the environment do not apply to this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def remove_socket_dir(path: object) -> None:
    """Remove a Redis directory, ours or the one that a killed `serve` wrote down."""
    if path and Path(str(path)).name.startswith("spikesmith-"):
        shutil.rmtree(str(path), ignore_errors=True)
