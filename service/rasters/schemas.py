"""Rasters as they come out, and the windows that are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Self

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from service.neurons import Ranges, count, numbers, selected
from service.store.tables import Raster

FromMs = Annotated[
    float | None, Query(ge=0, allow_inf_nan=False, description="Beginning of the window; spikes at it are in.")
]
ToMs = Annotated[float | None, Query(ge=0, allow_inf_nan=False, description="End of the window; spikes at it are out.")]

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
    ranges: Ranges

    @classmethod
    def of(cls, raster: Raster, from_ms: float | None, to_ms: float | None, neurons: str | None) -> Self:
        start = 0 if from_ms is None else _step_at(from_ms, raster)
        stop = raster.n_steps if to_ms is None else _step_at(to_ms, raster)
        return cls(start, max(start, stop), selected(neurons, raster.n_neurons))

    @property
    def n_steps(self) -> int:
        return self.stop - self.start

    @property
    def neurons(self) -> list[int]:
        return numbers(self.ranges)

    @property
    def n_neurons(self) -> int:
        return count(self.ranges)


def _step_at(ms: float, raster: Raster) -> int:
    """The first step that is not before a time. Step t is at t * dt_ms; a hair's breadth is no difference."""
    if ms >= raster.n_steps * raster.dt_ms:
        return raster.n_steps
    return min(math.ceil(ms / raster.dt_ms - 1e-6), raster.n_steps)


def view_of(row: Raster) -> RasterView:
    return RasterView.model_validate(row, from_attributes=True)
