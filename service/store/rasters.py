"""Spike rasters as compressed blocks of bits, so that a window of time or neurons decodes only what it touches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, insert, or_, select
from sqlalchemy.orm import Session

from service.store import recorded
from service.store.rows import RasterRow
from service.store.tables import Raster, RasterChunk
from service.store.types import clean_text

# A block of 128 KB of bits compresses to roughly 16-100 KB at the spike densities that networks have.
BLOCK_BYTES = 128 * 1024
BLOCK_NEURONS = 8192


@dataclass(frozen=True, slots=True)
class Chunk:
    t_start: int
    t_stop: int
    n_start: int
    n_stop: int
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Spikes:
    """Spikes in time order, and by neuron within a step: `steps` and `neurons` have one entry a spike."""

    steps: NDArray[np.int64]
    neurons: NDArray[np.uint32]


def encode(spikes: NDArray[np.bool_]) -> list[Chunk]:
    """Cut bool `[T, N]` into blocks and pack them, eight neurons a byte."""
    if spikes.ndim != 2 or spikes.dtype != np.bool_:
        raise ValueError(f"a raster is bool [T, N], not {spikes.dtype} {list(spikes.shape)}")
    n_steps, n_neurons = spikes.shape
    width = min(max(n_neurons, 1), BLOCK_NEURONS)
    height = max(1, BLOCK_BYTES // ((width + 7) // 8))
    chunks = []
    for t_start in range(0, n_steps, height):
        for n_start in range(0, n_neurons, width):
            block = spikes[t_start : t_start + height, n_start : n_start + width]
            t_stop, n_stop = t_start + block.shape[0], n_start + block.shape[1]
            chunks.append(Chunk(t_start, t_stop, n_start, n_stop, *recorded.pack(np.packbits(block, axis=1).tobytes())))
    return chunks


def decode(chunk: Chunk) -> NDArray[np.bool_]:
    """The block of a chunk, bool `[t_stop - t_start, n_stop - n_start]`."""
    what = f"raster block at step {chunk.t_start}, neuron {chunk.n_start}"
    width = chunk.n_stop - chunk.n_start
    packed = np.frombuffer(recorded.unpack(chunk.data, chunk.sha256, what), dtype=np.uint8)
    packed = packed.reshape(chunk.t_stop - chunk.t_start, (width + 7) // 8)
    return np.unpackbits(packed, axis=1, count=width).view(np.bool_)


def upsert_rasters(session: Session, job_id: str, attempt: int, rows: Sequence[RasterRow]) -> list[str]:
    """Store rasters, each in place of the one of the same epoch, split, layer and sample; answers their identifiers.

    A fixed number of statements, however many rasters there are: this runs beside the training.
    """
    if not rows:
        return []
    keys = [(row.epoch, row.split, clean_text(row.layer), row.sample) for row in rows]
    latest = dict(zip(keys, rows, strict=True))
    columns = (Raster.epoch, Raster.split, Raster.layer, Raster.sample)
    ids = recorded.take_places(session, Raster, columns, job_id, keys, "ras")
    session.execute(
        insert(Raster), [_description(ids[key], job_id, attempt, key[2], row) for key, row in latest.items()]
    )
    chunks = [_block(ids[key], chunk) for key, row in latest.items() for chunk in encode(row.spikes)]
    if chunks:
        session.execute(insert(RasterChunk), chunks)
    return [ids[key] for key in keys]


def _description(raster_id: str, job_id: str, attempt: int, layer: str, row: RasterRow) -> dict[str, Any]:
    n_steps, n_neurons = row.spikes.shape
    return {
        "id": raster_id,
        "job_id": job_id,
        "attempt": attempt,
        "epoch": row.epoch,
        "step": row.step,
        "split": row.split,
        "layer": layer,
        "sample": row.sample,
        "label": row.label,
        "prediction": row.prediction,
        "n_steps": n_steps,
        "n_neurons": n_neurons,
        "dt_ms": row.dt_ms,
        "n_spikes": int(np.count_nonzero(row.spikes)),
        "reading": row.reading,
    }


def _block(raster_id: str, chunk: Chunk) -> dict[str, Any]:
    return {
        "raster_id": raster_id,
        "t_start": chunk.t_start,
        "t_stop": chunk.t_stop,
        "n_start": chunk.n_start,
        "n_stop": chunk.n_stop,
        "data": chunk.data,
        "sha256": chunk.sha256,
    }


def list_rasters(
    session: Session, job_id: str, *, filters: dict[str, Any], before: str | None, limit: int
) -> list[Raster]:
    """Descriptions of rasters, newest first, without their chunks. `filters` are columns and the values they have."""
    return recorded.newest(session, Raster, job_id, filters=filters, before=before, limit=limit)


def get_raster(session: Session, job_id: str, raster_id: str) -> Raster | None:
    return recorded.find(session, Raster, job_id, raster_id)


def read_window(
    session: Session,
    raster: Raster,
    *,
    start: int = 0,
    stop: int | None = None,
    neurons: Sequence[tuple[int, int]] | None = None,
) -> Spikes:
    """The spikes with `start <= step < stop` of the neurons in the ranges `[first, last)`; None: all of them.

    Loads and decodes only the chunks that the window touches.
    """
    stop = raster.n_steps if stop is None else min(stop, raster.n_steps)
    ranges = [(0, raster.n_neurons)] if neurons is None else list(neurons)
    chunks = load_chunks(session, raster.id, start, stop, ranges)
    wanted = np.zeros(raster.n_neurons, dtype=np.bool_)
    for first, last in ranges:
        wanted[first:last] = True
    steps: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    indices: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    for chunk in chunks:
        top = max(start, chunk.t_start)
        block = decode(chunk)[top - chunk.t_start : max(stop, top) - chunk.t_start]
        at, neuron = np.nonzero(block & wanted[chunk.n_start : chunk.n_stop])
        steps.append(at + top)
        indices.append(neuron + chunk.n_start)
    all_steps, all_neurons = np.concatenate(steps), np.concatenate(indices)
    order = np.lexsort((all_neurons, all_steps))
    return Spikes(all_steps[order], all_neurons[order].astype(np.uint32))


def load_chunks(
    session: Session, raster_id: str, start: int, stop: int, ranges: Iterable[tuple[int, int]]
) -> list[Chunk]:
    """The chunks that touch the steps `[start, stop)` and any of the ranges of neurons."""
    touched: list[ColumnElement[bool]] = [
        (RasterChunk.n_start < last) & (RasterChunk.n_stop > first) for first, last in ranges
    ]
    if not touched or start >= stop:
        return []
    columns = (
        RasterChunk.t_start,
        RasterChunk.t_stop,
        RasterChunk.n_start,
        RasterChunk.n_stop,
        RasterChunk.data,
        RasterChunk.sha256,
    )
    query = select(*columns).where(
        RasterChunk.raster_id == raster_id,
        RasterChunk.t_start < stop,
        RasterChunk.t_stop > start,
        or_(*touched),
    )
    return [Chunk(*row) for row in session.execute(query.order_by(RasterChunk.t_start, RasterChunk.n_start))]
