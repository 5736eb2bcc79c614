"""Connections and transactions, with the same behaviour on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from service.store.errors import StoreBusy, StoreError, StoreUnavailable, StoreUnreachable
from service.store.types import dump_json

T = TypeVar("T")

# One connection for each thread of the API's thread pool: a reader never waits for another one's connection.
POOL_SIZE = 10
POOL_OVERFLOW = 30

# Deadlock, serialisation failure, lock not available, lock time-out's "query cancelled", too many connections.
_BUSY_SQLSTATES = {"40P01", "40001", "55P03", "57014", "53300"}


def database_url(text: str) -> URL:
    """The URL with a driver that is installed. Accepts the spellings that hosting platforms hand out."""
    try:
        url = make_url(text)
    except Exception as error:
        raise ValueError("DATABASE_URL is not a database URL, such as postgresql://user@host/name") from error
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        return url
    raise ValueError(f"DATABASE_URL: {url.drivername!r} is not supported; use sqlite:/// or postgresql://")


def make_engine(text: str, busy_timeout_ms: int) -> Engine:
    url = database_url(text)
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            url,
            json_serializer=dump_json,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            connect_args={"timeout": busy_timeout_ms / 1000},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        url,
        json_serializer=dump_json,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 10,
            "options": f"-c lock_timeout={busy_timeout_ms} -c timezone=UTC",
            "application_name": "spikesmith",
        },
    )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin late and deferred; `_begin_sqlite` says how instead
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "journal_size_limit=67108864"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that starts reading and goes on to write fails at once when another one wrote in between,
    # whatever the time-out: writers say so from the start.
    writes = connection.get_execution_options().get("spikesmith_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")


class Database:
    """The way to the store: `with db.read() as session` and `with db.write() as session`."""

    def __init__(self, url: str, *, busy_timeout_ms: int = 5000) -> None:
        self.engine = make_engine(url, busy_timeout_ms)
        self.dialect = self.engine.dialect.name
        readers = self.engine
        if self.dialect == "postgresql":
            readers = self.engine.execution_options(postgresql_readonly=True)
        self._readers = sessionmaker(readers, expire_on_commit=False, autoflush=False)
        self._writers = sessionmaker(self.engine.execution_options(spikesmith_write=True), expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One snapshot on SQLite, read-only statements on PostgreSQL."""
        with translated_errors(), self._readers() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: commits when the block ends, rolls back when it raises."""
        with translated_errors(), self._writers.begin() as session:
            yield session

    def write_with_retry(self, work: Callable[[Session], T], patience_s: float) -> T:
        """Do `work` in one write transaction, again and again while the store is busy or away."""

        def once() -> T:
            with self.write() as session:
                return work(session)

        return retrying(once, patience_s)

    def close(self) -> None:
        self.engine.dispose()


def retrying(call: Callable[[], T], patience_s: float) -> T:
    """Call until the store answers, with growing pauses; after `patience_s` the last error is raised."""
    deadline = time.monotonic() + patience_s
    pause = 0.05
    while True:
        try:
            return call()
        except StoreUnavailable:
            if time.monotonic() + pause > deadline:
                raise
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, 2.0)


@contextmanager
def translated_errors() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from error


def translate(error: DBAPIError | PoolTimeout) -> StoreError | None:
    """The store's own error for what a later call may find different; None for what is a bug."""
    if isinstance(error, PoolTimeout):
        return StoreBusy("all connections to the database are in use")
    text = str(error.orig)
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate in _BUSY_SQLSTATES or "is locked" in text or "is busy" in text:
        return StoreBusy(f"the database is locked by somebody else ({text.strip()})")
    if sqlstate == "42P01" or "no such table" in text:
        return StoreUnreachable(f"the database was not migrated; run `python -m service.migrate` ({text.strip()})")
    if error.connection_invalidated or (sqlstate or "").startswith(("08", "57P")):
        return StoreUnreachable(f"the connection to the database broke ({text.strip()})")
    if isinstance(error, OperationalError | InterfaceError) and (
        sqlstate is None and any(sign in text for sign in _UNREACHABLE_SIGNS)
    ):
        return StoreUnreachable(f"the database cannot be reached ({text.strip()})")
    return None


_UNREACHABLE_SIGNS = (
    "connection",
    "timeout expired",
    "server closed",
    "unable to open database file",
    "disk is full",
    "disk I/O error",
    "could not translate host name",
    "failed to resolve host",
)
