"""Settings, a database and a claimed job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings
from service.store.engine import Database
from snncore.presets import get_preset
from snncore.spec import parse_job_spec
from tests.worker.claimed import ClaimedJob


@pytest.fixture
def settings(tmp_path: Path, sqlite_database_url: str) -> Settings:
    return Settings(home=tmp_path, database_url=sqlite_database_url, flush_s=0.001, store_patience_s=30.0)


@pytest.fixture
def sqlite_database(sqlite_database_url: str) -> Iterator[Database]:
    """Most of the worker's behaviour does not depend on the kind of database."""
    db = Database(sqlite_database_url, busy_timeout_ms=200)
    yield db
    db.close()


@pytest.fixture(scope="session")
def spec() -> dict[str, Any]:
    return parse_job_spec(get_preset("digits/lsnn").spec).model_dump(mode="json")


@pytest.fixture
def job(sqlite_database: Database, spec: dict[str, Any]) -> ClaimedJob:
    return ClaimedJob(sqlite_database, spec)
