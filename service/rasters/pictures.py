"""Rasters as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from service.drawing import render
from service.rasters.schemas import Window
from service.store.rasters import Spikes
from service.store.tables import Raster

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY_SPIKES = 20_000
"""Above this an SVG carries the dots as one bitmap: browsers choke on hundreds of thousands of shapes."""


def draw(spikes: Spikes, raster: Raster, window: Window, kind: Literal["png", "svg"]) -> bytes:
    """The spikes of a window as dots, time to the right and neurons upwards. The same raster gives the same bytes."""
    return render(lambda: _figure(spikes, raster, window), kind, salt=raster.id)


def _figure(spikes: Spikes, raster: Raster, window: Window) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    dense = len(spikes.steps) > MANY_SPIKES
    axes.plot(
        spikes.steps * raster.dt_ms,
        spikes.neurons,
        linestyle="none",
        marker="." if dense else "|",
        markersize=1.0 if dense else max(2.0, min(8.0, 280 / max(window.n_neurons, 1))),
        color="#1f3b73",
        rasterized=dense,
    )
    neurons = [first for first, _ in window.ranges] + [last for _, last in window.ranges]
    low, high = min(neurons, default=0), max(neurons, default=1)
    axes.set_xlim(window.start * raster.dt_ms, max(window.stop, window.start + 1) * raster.dt_ms)
    axes.set_ylim(low - 0.5, max(high, low + 1) - 0.5)
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("neuron")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(_title(raster), fontsize=10)
    return figure


def _title(raster: Raster) -> str:
    parts = [f"{raster.layer}, epoch {raster.epoch}, {raster.split} sample {raster.sample}"]
    if raster.label is not None:
        parts.append(f"class {raster.label}")
    if raster.prediction is not None:
        parts.append(f"predicted {raster.prediction}")
    # Dollar signs would start formulas.
    return ", ".join(parts).replace("$", r"\$")
