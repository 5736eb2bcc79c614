"""Receptive fields as compressed blocks of numbers, so that some neurons decode only what they are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, or_, select
from sqlalchemy.orm import Session

from service.store import recorded
from service.store.rows import ReceptiveFieldsRow
from service.store.tables import ReceptiveField, ReceptiveFieldChunk
from service.store.types import clean_text, finite

BLOCK_BYTES = 512 * 1024

Ranges = Sequence[tuple[int, int]]


def upsert(session: Session, job_id: str, attempt: int, rows: Sequence[ReceptiveFieldsRow]) -> list[str]:
    """Store receptive fields, each in place of those of the same step and layer; answers their identifiers."""
    if not rows:
        return []
    keys = [(row.step, clean_text(row.layer)) for row in rows]
    latest = dict(zip(keys, rows, strict=True))
    columns = (ReceptiveField.step, ReceptiveField.layer)
    ids = recorded.take_places(session, ReceptiveField, columns, job_id, keys, "rcf")
    session.execute(
        insert(ReceptiveField), [_description(ids[key], job_id, attempt, key[1], row) for key, row in latest.items()]
    )
    chunks = [chunk for key, row in latest.items() for chunk in _chunks(ids[key], row.weights)]
    session.execute(insert(ReceptiveFieldChunk), chunks)
    return [ids[key] for key in keys]


def _description(id_: str, job_id: str, attempt: int, layer: str, row: ReceptiveFieldsRow) -> dict[str, Any]:
    weights = row.weights
    if weights.ndim != 2 or weights.dtype != np.float32 or weights.size == 0:
        raise ValueError(f"receptive fields are float32 [n_neurons, n_features], not {weights.dtype} {weights.shape}")
    known = weights[np.isfinite(weights)]
    return {
        "id": id_,
        "job_id": job_id,
        "attempt": attempt,
        "epoch": row.epoch,
        "step": row.step,
        "layer": layer,
        "n_neurons": weights.shape[0],
        "n_features": weights.shape[1],
        "shape": None if row.shape is None else list(row.shape),
        "low": finite(known.min(initial=np.inf)),
        "high": finite(known.max(initial=-np.inf)),
        "labels": row.labels,
    }


def _chunks(id_: str, weights: NDArray[np.float32]) -> list[dict[str, Any]]:
    height = max(1, BLOCK_BYTES // (4 * weights.shape[1]))
    chunks = []
    for start in range(0, len(weights), height):
        block = weights[start : start + height]
        data, sha256 = recorded.pack(block.astype("<f4").tobytes())
        place = {"receptive_field_id": id_, "n_start": start, "n_stop": start + len(block)}
        chunks.append({**place, "data": data, "sha256": sha256})
    return chunks


def read_neurons(session: Session, fields: ReceptiveField, ranges: Ranges) -> NDArray[np.float32]:
    """The weights `[n, n_features]` of the neurons in the ranges `[first, last)`, in order and without overlap.

    Loads and decodes only the chunks that they are in.
    """
    weights = np.empty((sum(last - first for first, last in ranges), fields.n_features), np.float32)
    if not len(weights):
        return weights
    chunk = ReceptiveFieldChunk
    touched = or_(*((chunk.n_start < last) & (chunk.n_stop > first) for first, last in ranges))
    query = select(chunk.n_start, chunk.n_stop, chunk.data, chunk.sha256)
    query = query.where(chunk.receptive_field_id == fields.id, touched).order_by(chunk.n_start)
    filled = 0
    for start, stop, data, sha256 in session.execute(query):
        content = recorded.unpack(data, sha256, f"block of receptive fields at neuron {start}")
        block = np.frombuffer(content, "<f4").reshape(stop - start, fields.n_features)
        for first, last in ranges:
            part = block[max(first, start) - start : max(min(last, stop), start) - start]
            weights[filled : filled + len(part)] = part
            filled += len(part)
    return weights
