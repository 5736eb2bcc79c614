"""Spikes as lists, Arrow streams, dense arrays and rates."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service import arrow
from service.answers import demand_room
from service.rasters.schemas import Rates, SpikeList, Window
from service.store.rasters import Spikes
from service.store.tables import Raster


def times_ms(spikes: Spikes, raster: Raster) -> NDArray[np.float32]:
    return (spikes.steps * raster.dt_ms).astype(np.float32)


def as_list(spikes: Spikes, raster: Raster) -> SpikeList:
    # Rounded to picoseconds: what is a step times dt_ms should not show how binary fractions work.
    return SpikeList(
        times_ms=np.round(spikes.steps * raster.dt_ms, 9).tolist(), neurons=spikes.neurons.astype(int).tolist()
    )


def as_arrow(spikes: Spikes, raster: Raster) -> bytes:
    table = pa.table(
        {
            "time_ms": pa.array(times_ms(spikes, raster), pa.float32()),
            "neuron": pa.array(spikes.neurons, pa.uint32()),
        }
    )
    return arrow.stream(table)


def as_npz(spikes: Spikes, raster: Raster, window: Window) -> bytes:
    """`spikes` bool `[T, N]` of the window, and which steps and neurons its axes are."""
    neurons = np.array(window.neurons, dtype=np.uint32)
    dense = np.zeros((window.n_steps, len(neurons)), dtype=np.bool_)
    dense[spikes.steps - window.start, np.searchsorted(neurons, spikes.neurons)] = True
    out = io.BytesIO()
    np.savez_compressed(
        out,
        spikes=dense,
        neurons=neurons,
        times_ms=np.arange(window.start, window.stop) * raster.dt_ms,
        dt_ms=np.float64(raster.dt_ms),
    )
    return out.getvalue()


def as_rates(spikes: Spikes, raster: Raster, window: Window, bin_ms: float, group: str, most_bytes: int) -> Rates:
    """Spikes a second in bins of whole steps; for a population the mean over its neurons."""
    width = max(1, round(min(bin_ms / raster.dt_ms, raster.n_steps)))
    n_bins = -(-window.n_steps // width)
    n_rows = window.n_neurons if group == "neuron" else min(window.n_neurons, 1)
    demand_room("These rates", 16 * n_bins * n_rows, most_bytes)
    starts = window.start + width * np.arange(n_bins)
    lengths_s = np.minimum(width, window.stop - starts) * raster.dt_ms / 1000
    bins = (spikes.steps - window.start) // width
    if group == "neuron":
        neurons = np.array(window.neurons, dtype=np.uint32)
        counts = np.zeros((n_rows, n_bins))
        np.add.at(counts, (np.searchsorted(neurons, spikes.neurons), bins), 1)
    else:
        counts = np.bincount(bins, minlength=n_bins)[None, :n_bins] / max(window.n_neurons, 1)
        counts = counts[:n_rows]
    return Rates(
        bin_ms=round(width * raster.dt_ms, 9),
        group=group,
        times_ms=np.round(starts * raster.dt_ms, 9).tolist(),
        neurons=window.neurons if group == "neuron" else None,
        rates_hz=(counts / lengths_s).tolist(),
    )
