"""Which neurons of a layer a request is about."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

NEURONS = r"^([0-9]{1,9}|[0-9]{0,9}:[0-9]{0,9})(,([0-9]{1,9}|[0-9]{0,9}:[0-9]{0,9}))*$"

NeuronSelection = Annotated[
    str | None,
    Query(
        pattern=NEURONS,
        max_length=2000,
        description="Neurons and ranges of them, the end of a range being out: `0:50,80`.",
        examples=["0:50,80"],
    ),
]

Ranges = tuple[tuple[int, int], ...]
"""`[first, last)` of neurons that there are, in order and without overlap."""


def selected(selection: str | None, n_neurons: int) -> Ranges:
    """The ranges of a selection, cut to what there is; None: all neurons."""
    if selection is None:
        return ((0, n_neurons),)
    asked = []
    for part in selection.split(","):
        first, colon, last = part.partition(":")
        low = int(first) if first else 0
        high = (int(last) if last else n_neurons) if colon else low + 1
        if low < min(high, n_neurons):
            asked.append((low, min(high, n_neurons)))
    merged: list[tuple[int, int]] = []
    for low, high in sorted(asked):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def numbers(ranges: Ranges) -> list[int]:
    return [neuron for first, last in ranges for neuron in range(first, last)]


def count(ranges: Ranges) -> int:
    return sum(last - first for first, last in ranges)
