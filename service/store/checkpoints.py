"""Trained weights: a row that describes them, and the bytes in a table of their own that lists never touch."""

from __future__ import annotations

import hashlib

from sqlalchemy import case, delete, insert, select
from sqlalchemy.orm import Session

from service.store.ids import new_id
from service.store.rows import CheckpointRow
from service.store.tables import Checkpoint, CheckpointBlob


def store_checkpoint(session: Session, job_id: str, attempt: int, row: CheckpointRow) -> str:
    """Store a checkpoint in place of the one it replaces: of its kind, for `periodic` of its epoch."""
    replaced = delete(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.kind == row.kind)
    if row.kind == "periodic":
        replaced = replaced.where(Checkpoint.epoch == row.epoch)
    session.execute(replaced)
    checkpoint_id = new_id("ckp")
    digest = hashlib.sha256(row.data).hexdigest()
    session.execute(
        insert(Checkpoint).values(
            id=checkpoint_id,
            job_id=job_id,
            attempt=attempt,
            kind=row.kind,
            epoch=row.epoch,
            step=row.step,
            size=len(row.data),
            sha256=digest,
        )
    )
    session.execute(insert(CheckpointBlob).values(checkpoint_id=checkpoint_id, data=row.data))
    return digest


def list_checkpoints(session: Session, job_id: str, *, before: str | None, limit: int) -> list[Checkpoint]:
    """Descriptions of checkpoints, newest first."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id)
    if before is not None:
        query = query.where(Checkpoint.id < before)
    return list(session.scalars(query.order_by(Checkpoint.id.desc()).limit(limit)))


def by_kind(session: Session, job_id: str, kind: str) -> Checkpoint | None:
    """The newest checkpoint of a kind."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.kind == kind)
    return session.scalars(query.order_by(Checkpoint.id.desc()).limit(1)).one_or_none()


def by_epoch(session: Session, job_id: str, epoch: int) -> Checkpoint | None:
    """The checkpoint of an epoch: the periodic one, else another that was taken in it."""
    rank = case((Checkpoint.kind == "periodic", 0), (Checkpoint.kind == "best", 1), else_=2)
    query = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.epoch == epoch)
    return session.scalars(query.order_by(rank).limit(1)).one_or_none()


def load(session: Session, checkpoint_id: str) -> bytes:
    return session.execute(
        select(CheckpointBlob.data).where(CheckpointBlob.checkpoint_id == checkpoint_id)
    ).scalar_one()
