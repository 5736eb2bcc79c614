"""What rasters and receptive fields have in common: a row that describes each, and blocks with a digest."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.store.errors import DamagedChunk
from service.store.ids import new_id
from service.store.tables import Raster, ReceptiveField

T = TypeVar("T", Raster, ReceptiveField)
Key = tuple[Any, ...]


def pack(content: bytes) -> tuple[bytes, str]:
    """The compressed bytes of a block, and their digest."""
    data = zlib.compress(content, 6)
    return data, hashlib.sha256(data).hexdigest()


def unpack(data: bytes, sha256: str, what: str) -> bytes:
    """What was packed. Raises `DamagedChunk`, which says `what` is damaged."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedChunk(f"{what} does not match its digest")
    return zlib.decompress(data)


def take_places(
    session: Session,
    table: type[T],
    columns: Sequence[InstrumentedAttribute[Any]],
    job_id: str,
    keys: Iterable[Key],
    prefix: str,
) -> dict[Key, str]:
    """An identifier for each key, the values of `columns`: that of the row which has them, which is removed, or a new
    one. Two statements, however many keys there are."""
    wanted = list(dict.fromkeys(keys))
    firsts = {key[0] for key in wanted}
    alike = select(table.id, *columns).where(table.job_id == job_id, columns[0].in_(firsts))
    stored = {tuple(key): id_ for id_, *key in session.execute(alike)}
    replaced = [stored[key] for key in wanted if key in stored]
    if replaced:
        session.execute(delete(table).where(table.id.in_(replaced)))
    return {key: stored.get(key) or new_id(prefix) for key in wanted}


def newest(
    session: Session, table: type[T], job_id: str, *, filters: dict[str, Any], before: str | None, limit: int
) -> list[T]:
    """Descriptions, newest first. `filters` are columns and the values they have."""
    query = select(table).where(table.job_id == job_id)
    for name, value in filters.items():
        query = query.where(getattr(table, name) == value)
    if before is not None:
        query = query.where(table.id < before)
    return list(session.scalars(query.order_by(table.id.desc()).limit(limit)))


def find(session: Session, table: type[T], job_id: str, id_: str) -> T | None:
    return session.scalars(select(table).where(table.id == id_, table.job_id == job_id)).one_or_none()
