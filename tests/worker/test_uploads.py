"""Uploaded files on their way from the store to the trainer."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update

from service.settings import Settings
from service.store import datasets, jobs
from service.store.attempt import Attempt, claim
from service.store.datasets import NewDataset
from service.store.engine import Database
from service.store.tables import DatasetChunk
from snncore.datasets.uploaded import place_of
from snncore.errors import DatasetUnavailable
from snncore.events import Event, Finished, Started
from worker.trainer import StopRequests, run_attempt
from worker.uploads import provide

CONTENT = b"content" * 400_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SPIKESMITH_CACHE", str(folder))
    return folder / "uploads"


def store(db: Database, content: bytes, contents: dict[str, Any] | None = None) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    datasets.store(db, NewDataset("blobs", sha256, len(content), contents or {}, None), io.BytesIO(content))
    return sha256


def test_a_file_is_fetched_once(sqlite_database: Database, cache: Path) -> None:
    store(sqlite_database, CONTENT)
    file = provide(sqlite_database, SHA256, 1.0)
    assert file.read_bytes() == CONTENT
    written = file.stat().st_mtime_ns
    assert provide(sqlite_database, SHA256, 1.0).stat().st_mtime_ns == written
    assert list(cache.iterdir()) == [file]


def test_a_damaged_file_is_noticed_and_not_kept(sqlite_database: Database, cache: Path) -> None:
    store(sqlite_database, CONTENT)
    with sqlite_database.write() as session:
        session.execute(update(DatasetChunk).where(DatasetChunk.position == 1).values(data=b"other"))
    with pytest.raises(DatasetUnavailable, match=r"damaged.*upload it again"):
        provide(sqlite_database, SHA256, 1.0)
    assert list(cache.iterdir()) == []


def test_a_file_that_is_not_stored_is_asked_for(sqlite_database: Database) -> None:
    with pytest.raises(DatasetUnavailable, match=SHA256):
        provide(sqlite_database, SHA256, 1.0)


def test_a_cache_that_cannot_be_written_is_named(sqlite_database: Database, cache: Path) -> None:
    store(sqlite_database, CONTENT)
    cache.parent.mkdir()
    cache.touch()
    with pytest.raises(DatasetUnavailable, match="SPIKESMITH_CACHE"):
        provide(sqlite_database, SHA256, 1.0)


def test_the_file_is_there_before_the_training_begins(
    sqlite_database: Database, settings: Settings, spec: dict[str, Any]
) -> None:
    file = io.BytesIO()
    np.savez(file, x=np.zeros((200, 3), np.float32), y=np.arange(200) % 2)
    sha256 = hashlib.sha256(file.getvalue()).hexdigest()
    contents = {
        "format": "arrays",
        "sha256": sha256,
        "n_samples": 200,
        "shape": [3],
        "values": "float",
        "low": 0.0,
        "high": 0.0,
        "n_classes": 2,
    }
    store(sqlite_database, file.getvalue(), contents)
    dataset = {"kind": "uploaded", "name": "blobs", "contents": contents}
    with sqlite_database.write() as session:
        job_id = jobs.create(session, spec={**spec, "dataset": dataset}, dataset_sha256=sha256).id
    held = claim(sqlite_database, job_id, "wrk_1", lease_s=60)
    assert held is not None

    def train(*_: object, **__: object) -> Iterator[Event]:
        assert place_of(sha256).is_file()
        yield Started({})
        yield Finished({"metrics": {}})

    run_attempt(Attempt(sqlite_database, job_id, held.attempt), StopRequests(), settings, train)
    with sqlite_database.read() as session:
        assert jobs.get(session, job_id).state == "succeeded"
