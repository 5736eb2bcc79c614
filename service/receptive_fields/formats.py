"""Weights as lists, arrays and Arrow streams."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service import arrow
from service.neurons import Ranges, numbers
from service.receptive_fields.schemas import FieldWeights
from service.store.tables import ReceptiveField


@dataclass(frozen=True, slots=True)
class Selected:
    """The neurons of receptive fields that were asked for: their numbers, their weights `[n, n_features]`, and the
    class of each, where there are classes."""

    neurons: list[int]
    weights: NDArray[np.float32]
    labels: list[int | None] | None

    @classmethod
    def of(cls, fields: ReceptiveField, ranges: Ranges, weights: NDArray[np.float32]) -> Selected:
        neurons = numbers(ranges)
        labels = None if fields.labels is None else [fields.labels[neuron] for neuron in neurons]
        return cls(neurons, weights, labels)


def as_json(selected: Selected, fields: ReceptiveField) -> bytes:
    # Not validated: the lists are made here, and a million numbers would take their time.
    answer = FieldWeights.model_construct(
        neurons=selected.neurons, labels=selected.labels, shape=fields.shape, weights=selected.weights.tolist()
    )
    return answer.model_dump_json().encode()


def as_npz(selected: Selected, fields: ReceptiveField) -> bytes:
    """`weights` float32 `[n, n_features]`, `neurons`, and where there are: `shape`, `labels` with -1 for no class."""
    arrays = {"weights": selected.weights, "neurons": np.array(selected.neurons, dtype=np.uint32)}
    if fields.shape is not None:
        arrays["shape"] = np.array(fields.shape)
    if selected.labels is not None:
        arrays["labels"] = np.array([-1 if label is None else label for label in selected.labels])
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def as_arrow(selected: Selected, fields: ReceptiveField) -> bytes:
    """Columns `neuron`, `label`, and `weights`, a list of `n_features` for each."""
    labels = selected.labels or [None] * len(selected.neurons)
    flat = pa.array(selected.weights.ravel(), pa.float32())
    return arrow.stream(
        pa.table(
            {
                "neuron": pa.array(selected.neurons, pa.uint32()),
                "label": pa.array(labels, pa.int64()),
                "weights": pa.FixedSizeListArray.from_arrays(flat, fields.n_features),
            }
        )
    )
