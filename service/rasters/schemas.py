"""Rasters as they come out, and the windows that are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Self

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from service.store.tables import Raster

NEURONS = r"^([0-9]{1,9}|[0-9]{0,9}:[0-9]{0,9})(,([0-9]{1,9}|[0-9]{0,9}:[0-9]{0,9}))*$"

FromMs = Annotated[
    float | None, Query(ge=0, allow_inf_nan=False, description="Beginning of the window; spikes at it are in.")
]
ToMs = Annotated[float | None, Query(ge=0, allow_inf_nan=False, description="End of the window; spikes at it are out.")]
NeuronSelection = Annotated[
    str | None,
    Query(
        pattern=NEURONS,
        max_length=2000,
        description="Neurons and ranges of them, the end of a range being out: `0:50,80`.",
        examples=["0:50,80"],
    ),
]


Numbers = list[float | None]


class Reading(BaseModel):
    """What was read out of the last layer of a sample. A number that was not finite is null."""

    model_config = ConfigDict(extra="allow")

    windows_ms: list[tuple[float, float]] = Field(description="Beginning and end of each window that was read.")
    outputs: list[Numbers] = Field(description="A row for each window, a number for each output.")
    targets: list[Numbers] | None = Field(default=None, description="What the outputs were trained towards.")
    unit: str = Field(default="", description="Of outputs and targets.")
    labels: list[Any] = Field(default_factory=list, description="The right answer of each window; null: none is asked.")
    predictions: list[Any] = Field(default_factory=list, description="The answer that the outputs give.")
    borders_hz: Numbers | None = Field(default=None, description="Below the first an output is off, above the last on.")
    input: Numbers | None = Field(default=None, description="A single analog input over time.")


class RasterView(BaseModel):
    """A recorded raster, without its spikes."""

    id: str
    epoch: int
    step: int
    split: str
    layer: str
    sample: int
    label: int | None
    prediction: int | None
    n_steps: int
    n_neurons: int
    dt_ms: float
    n_spikes: int
    reading: Reading | None = Field(description="On the raster of a sample's last layer, if the job recorded it.")


class SpikeList(BaseModel):
    """Spikes in the order of time. Both lists have one entry a spike."""

    times_ms: list[float]
    neurons: list[int]


class Rates(BaseModel):
    """Binned firing rates: a row for each group, a column for each bin."""

    bin_ms: float = Field(description="As asked for, rounded to whole time steps.")
    group: str
    times_ms: list[float] = Field(description="Where each bin begins. The last one may be shorter.")
    neurons: list[int] | None = Field(description="The neuron of each row; null for a population.")
    rates_hz: list[list[float]]


@dataclass(frozen=True, slots=True)
class Window:
    """Steps `[start, stop)` and ranges `[first, last)` of neurons, cut to what the raster has."""

    start: int
    stop: int
    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, raster: Raster, from_ms: float | None, to_ms: float | None, neurons: str | None) -> Self:
        start = 0 if from_ms is None else _step_at(from_ms, raster)
        stop = raster.n_steps if to_ms is None else _step_at(to_ms, raster)
        ranges = ((0, raster.n_neurons),) if neurons is None else _ranges(neurons, raster.n_neurons)
        return cls(start, max(start, stop), ranges)

    @property
    def n_steps(self) -> int:
        return self.stop - self.start

    @property
    def neurons(self) -> list[int]:
        return [neuron for first, last in self.ranges for neuron in range(first, last)]

    @property
    def n_neurons(self) -> int:
        return sum(last - first for first, last in self.ranges)


def _step_at(ms: float, raster: Raster) -> int:
    """The first step that is not before a time. Step t is at t * dt_ms; a hair's breadth is no difference."""
    if ms >= raster.n_steps * raster.dt_ms:
        return raster.n_steps
    return min(math.ceil(ms / raster.dt_ms - 1e-6), raster.n_steps)


def _ranges(text: str, n_neurons: int) -> tuple[tuple[int, int], ...]:
    """Ranges in order and without overlap."""
    asked = []
    for part in text.split(","):
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


def view_of(row: Raster) -> RasterView:
    return RasterView.model_validate(row, from_attributes=True)
