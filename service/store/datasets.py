"""Uploaded datasets: a row that describes each, and its file in pieces, so that workers on other machines have it.

A file is stored in many short transactions, because others want to write, too. Its row has no name until the last of
them, and what has no name is not there for anybody else. Jobs are bound to the bytes, by their sha256: whoever queues a
job locks the rows that have them first, and so does who removes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, BinaryIO, Literal, TypeAlias

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.store.engine import Database
from service.store.errors import DatasetGone, DatasetInUse, DatasetNotFound, StoreUnavailable
from service.store.ids import new_id
from service.store.tables import Dataset, DatasetChunk, Job, JobDataset
from service.store.transitions import TERMINAL
from service.store.types import utcnow

CHUNK_BYTES = 2**20
CHUNKS_AT_ONCE = 8
ABANDONED_AFTER = timedelta(days=1)
PATIENCE_S = 30.0

Outcome: TypeAlias = Literal["created", "replaced", "unchanged"]


@dataclass(frozen=True, slots=True)
class NewDataset:
    """What a dataset is made from, besides its file."""

    name: str
    sha256: str
    size: int
    contents: dict[str, Any]
    """What a job spec says about it."""
    classes: list[dict[str, Any]] | None
    """Name and number of samples of each class."""


def store(db: Database, new: NewDataset, file: BinaryIO) -> tuple[Dataset, Outcome]:
    """Put an upload under its name, in place of what nobody needs any more; nothing is left of one that fails.

    Raises `DatasetInUse` if other bytes have that name, and jobs that have not ended need those.
    """
    with db.read() as session:
        if (there := _by_name(session, new.name)) is not None:
            if there.sha256 == new.sha256:
                return there, "unchanged"
            _demand_unused(session, there)
    dataset_id = _begin(db, new)
    try:
        _fill(db, dataset_id, file)
        return _publish(db, dataset_id, new)
    except BaseException:
        with suppress(StoreUnavailable):  # the next upload clears away what is left then
            db.write_with_retry(lambda session: _discard(session, dataset_id), PATIENCE_S)
        raise


def _begin(db: Database, new: NewDataset) -> str:
    dataset_id = new_id("dts")

    def begin(session: Session) -> None:
        session.execute(delete(Dataset).where(Dataset.name.is_(None), Dataset.created_at < utcnow() - ABANDONED_AFTER))
        session.execute(
            insert(Dataset).values(
                id=dataset_id,
                name=None,
                sha256=new.sha256,
                size=new.size,
                contents=new.contents,
                classes=new.classes,
            )
        )

    db.write_with_retry(begin, PATIENCE_S)
    return dataset_id


def _fill(db: Database, dataset_id: str, file: BinaryIO) -> None:
    file.seek(0)
    position = 0
    while True:
        pieces = [piece for _ in range(CHUNKS_AT_ONCE) if (piece := file.read(CHUNK_BYTES))]
        if not pieces:
            return
        rows = [
            {"dataset_id": dataset_id, "position": position + offset, "data": piece}
            for offset, piece in enumerate(pieces)
        ]
        db.write_with_retry(partial(_append, rows=rows), PATIENCE_S)
        position += len(pieces)


def _append(session: Session, rows: list[dict[str, Any]]) -> None:
    session.execute(insert(DatasetChunk), rows)


def _publish(db: Database, dataset_id: str, new: NewDataset) -> tuple[Dataset, Outcome]:
    """Give the file its name, unless somebody else has stored the same bytes meanwhile."""

    def publish(session: Session) -> tuple[Dataset, Outcome]:
        there = _locked(session, new.name)
        if there is not None and there.sha256 == new.sha256:
            _discard(session, dataset_id)
            return there, "unchanged"
        if there is not None:
            _remove(session, there)
        dataset = session.get_one(Dataset, dataset_id)
        dataset.name = new.name
        dataset.created_at = utcnow()
        session.flush()
        return dataset, "created" if there is None else "replaced"

    try:
        return db.write_with_retry(publish, PATIENCE_S)
    except IntegrityError:  # the name was free when it was looked for, and somebody took it
        return db.write_with_retry(publish, PATIENCE_S)


def _discard(session: Session, dataset_id: str) -> None:
    session.execute(delete(Dataset).where(Dataset.id == dataset_id, Dataset.name.is_(None)))


def remove(session: Session, name: str) -> None:
    """Delete an uploaded dataset. Raises `DatasetInUse` while jobs that have not ended need it."""
    dataset = _locked(session, name)
    if dataset is None:
        raise DatasetNotFound(name)
    _remove(session, dataset)


def _remove(session: Session, dataset: Dataset) -> None:
    _demand_unused(session, dataset)
    session.execute(delete(Dataset).where(Dataset.id == dataset.id))
    session.expunge(dataset)


def _locked(session: Session, name: str) -> Dataset | None:
    """The dataset of that name, locked together with all that have the same bytes."""
    found = _by_name(session, name)
    if found is None:
        return None
    _copies(session, found.sha256, lock="update")
    return session.scalars(
        select(Dataset).where(Dataset.id == found.id).execution_options(populate_existing=True)
    ).one_or_none()


def _copies(session: Session, sha256: str, *, lock: Literal["share", "update"]) -> list[str]:
    """The datasets that have these bytes, locked: for those who need them to stay, or for who changes that."""
    query = select(Dataset.id).where(Dataset.sha256 == sha256, Dataset.name.is_not(None)).order_by(Dataset.id)
    return list(session.scalars(query.with_for_update(read=lock == "share")))


def _demand_unused(session: Session, dataset: Dataset) -> None:
    """Raise `DatasetInUse` if jobs that have not ended need the bytes, and no other dataset has them."""
    others = select(func.count()).where(
        Dataset.sha256 == dataset.sha256, Dataset.name.is_not(None), Dataset.id != dataset.id
    )
    if session.scalar(others):
        return
    needing = (
        select(Job.id)
        .join(JobDataset, JobDataset.job_id == Job.id)
        .where(JobDataset.sha256 == dataset.sha256, Job.state.not_in(TERMINAL))
        .order_by(Job.id)
    )
    if jobs := list(session.scalars(needing)):
        raise DatasetInUse(dataset.name or dataset.id, jobs)


def get(session: Session, name: str) -> Dataset:
    """The dataset that was uploaded under a name."""
    found = _by_name(session, name)
    if found is None:
        raise DatasetNotFound(name)
    return found


def _by_name(session: Session, name: str) -> Dataset | None:
    return session.scalars(select(Dataset).where(Dataset.name == name)).one_or_none()


def list_datasets(session: Session, *, before: str | None, limit: int) -> list[Dataset]:
    """Up to `limit` datasets that were uploaded before the dataset with the id `before`, newest first."""
    query = select(Dataset).where(Dataset.name.is_not(None))
    if before is not None:
        query = query.where(Dataset.id < before)
    return list(session.scalars(query.order_by(Dataset.id.desc()).limit(limit)))


def names(session: Session) -> list[str]:
    """What has been uploaded, by name."""
    found = session.scalars(select(Dataset.name).where(Dataset.name.is_not(None)))
    return sorted(name for name in found if name is not None)


def enter(session: Session, pairs: Iterable[tuple[str, str]]) -> None:
    """Write down what new jobs train on: pairs of a job and a sha256. Raises `DatasetGone`."""
    rows = [{"job_id": job_id, "sha256": sha256} for job_id, sha256 in pairs]
    for sha256 in sorted({row["sha256"] for row in rows}):
        if not _copies(session, sha256, lock="share"):
            raise DatasetGone(sha256)
    if rows:
        session.execute(insert(JobDataset), rows)


def demand_there(session: Session, job_id: str) -> None:
    """Raise `DatasetGone` if the job trains on an uploaded dataset that was removed meanwhile."""
    sha256 = session.scalar(select(JobDataset.sha256).where(JobDataset.job_id == job_id))
    if sha256 is not None and not _copies(session, sha256, lock="share"):
        raise DatasetGone(sha256, job_id)


def read_file(db: Database, sha256: str) -> Iterator[bytes]:
    """The uploaded file with this sha256, piece by piece. Raises `DatasetGone`."""
    with db.read() as session:
        query = select(Dataset.id).where(Dataset.sha256 == sha256, Dataset.name.is_not(None)).limit(1)
        dataset_id = session.scalar(query)
    if dataset_id is None:
        raise DatasetGone(sha256)
    position = 0
    while (piece := _piece(db, dataset_id, position)) is not None:
        yield piece
        position += 1


def _piece(db: Database, dataset_id: str, position: int) -> bytes | None:
    with db.read() as session:
        return session.scalar(
            select(DatasetChunk.data).where(DatasetChunk.dataset_id == dataset_id, DatasetChunk.position == position)
        )
