"""Uploaded files in the store: whole or not at all, and kept as long as a job needs them."""

from __future__ import annotations

import hashlib
import io
import threading
from datetime import timedelta
from typing import BinaryIO

import pytest
from sqlalchemy import func, select, update

from service.store import datasets, jobs
from service.store.attempt import Attempt, claim
from service.store.datasets import CHUNK_BYTES, NewDataset, Outcome
from service.store.engine import Database
from service.store.errors import DatasetGone, DatasetInUse, DatasetNotFound
from service.store.rows import RecordBatch
from service.store.tables import Dataset, DatasetChunk
from service.store.types import utcnow

LARGE = bytes(range(256)) * (9 * CHUNK_BYTES // 256) + b"and a bit"
"""More pieces than one transaction takes."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def new(content: bytes, name: str = "blobs") -> NewDataset:
    return NewDataset(name, sha256(content), len(content), {"n_samples": 2}, None)


def store(db: Database, content: bytes, name: str = "blobs", file: BinaryIO | None = None) -> Outcome:
    return datasets.store(db, new(content, name), file or io.BytesIO(content))[1]


def submit(db: Database, content: bytes) -> str:
    with db.write() as session:
        return jobs.create(session, spec={}, dataset_sha256=sha256(content)).id


def remove(db: Database, name: str = "blobs") -> None:
    with db.write() as session:
        datasets.remove(session, name)


def left(db: Database) -> tuple[int, int]:
    with db.read() as session:
        return (
            session.scalar(select(func.count()).select_from(Dataset)) or 0,
            session.scalar(select(func.count()).select_from(DatasetChunk)) or 0,
        )


def test_a_file_comes_back_as_it_went_in(database: Database) -> None:
    assert store(database, LARGE) == "created"
    assert b"".join(datasets.read_file(database, sha256(LARGE))) == LARGE
    assert left(database) == (1, 10)
    with database.read() as session:
        found = datasets.get(session, "blobs")
        assert (found.size, found.contents) == (len(LARGE), {"n_samples": 2})
        assert datasets.names(session) == ["blobs"]


def test_the_same_is_stored_once_and_other_bytes_replace_it(database: Database) -> None:
    assert store(database, b"first") == "created"
    assert store(database, b"first") == "unchanged"
    assert store(database, b"second") == "replaced"
    assert left(database) == (1, 1)
    with pytest.raises(DatasetGone):
        next(datasets.read_file(database, sha256(b"first")))


def test_nobody_sees_a_file_before_it_is_whole_and_nothing_is_left_of_half_a_one(database: Database) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 8 * CHUNK_BYTES:
                with database.read() as session:
                    assert datasets.names(session) == []
                    assert datasets.list_datasets(session, before=None, limit=9) == []
                assert left(database) == (1, 8)
                raise OSError("the disk broke")
            return super().read(size)

    with pytest.raises(OSError, match="the disk broke"):
        store(database, LARGE, file=Broken(LARGE))
    assert left(database) == (0, 0)


def test_what_a_dead_process_left_behind_is_cleared_away_by_the_next_upload(database: Database) -> None:
    store(database, LARGE, "half")
    yesterday = utcnow() - timedelta(days=2)
    with database.write() as session:
        session.execute(update(Dataset).values(name=None, created_at=yesterday))
    store(database, b"next")
    assert left(database) == (1, 1)


def test_a_file_stays_while_a_job_that_has_not_ended_needs_it(database: Database) -> None:
    store(database, b"first")
    job_id = submit(database, b"first")
    with pytest.raises(DatasetInUse, match=job_id):
        remove(database)
    with pytest.raises(DatasetInUse, match=job_id):
        store(database, b"second")
    held = claim(database, job_id, "wrk_1", lease_s=60)
    assert held is not None
    with pytest.raises(DatasetInUse, match=job_id):
        remove(database)
    Attempt(database, job_id, held.attempt).succeed(RecordBatch(), {})
    remove(database)
    assert left(database) == (0, 0)


def test_a_copy_under_another_name_is_enough(database: Database) -> None:
    store(database, b"first", "a")
    store(database, b"first", "b")
    submit(database, b"first")
    remove(database, "a")
    with pytest.raises(DatasetInUse):
        remove(database, "b")


def test_a_job_needs_a_file_that_is_there(database: Database) -> None:
    with pytest.raises(DatasetGone, match=sha256(b"none")):
        submit(database, b"none")
    store(database, b"first")
    job_id = submit(database, b"first")
    with database.write() as session:
        jobs.cancel(session, job_id)
    remove(database)
    with pytest.raises(DatasetGone, match=job_id), database.write() as session:
        jobs.resume(session, job_id)
    store(database, b"first", "under another name")
    with database.write() as session:
        assert jobs.resume(session, job_id) == "queued"


def test_a_removal_waits_for_a_job_that_is_being_queued(database: Database) -> None:
    store(database, b"first")
    outcome: list[str] = []

    def remove_meanwhile() -> None:
        try:
            remove(database)
            outcome.append("removed")
        except DatasetInUse:
            outcome.append("in use")

    remover = threading.Thread(target=remove_meanwhile)
    with database.write() as session:
        jobs.create(session, spec={}, dataset_sha256=sha256(b"first"))
        remover.start()
        remover.join(0.3)
        assert outcome == []
    remover.join(10)
    assert outcome == ["in use"]


def test_two_uploads_of_one_name_at_once_leave_one(database: Database) -> None:
    contents = [LARGE + bytes([number]) for number in range(3)]
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda content=content: outcomes.append(store(database, content)))
        for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["created", "replaced", "replaced"]
    assert left(database) == (1, 10)


def test_what_was_never_stored_cannot_be_removed(database: Database) -> None:
    with pytest.raises(DatasetNotFound):
        remove(database, "none")


def test_lists_are_newest_first(database: Database) -> None:
    for name in "abc":
        store(database, name.encode(), name)
    with database.read() as session:
        first = datasets.list_datasets(session, before=None, limit=2)
        rest = datasets.list_datasets(session, before=first[-1].id, limit=2)
    assert [found.name for found in first + rest] == ["c", "b", "a"]
