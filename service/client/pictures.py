"""Learning curves and spike rasters as pictures, from what the service returns.

Figures are made with matplotlib's objects, never with pyplot: no display is needed, and nothing global is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from service.client.models import Curve, RasterInfo, Spikes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"train": "#8da0b3", "validation": "#1f6feb", "test": "#d1495b"}
INK = "#24292f"
DPI = 150


def save(figure: Figure, path: Path) -> None:
    """Writes the figure in the format of the path's ending."""
    figure.savefig(path, dpi=DPI)


def learning_curves(curves: Sequence[Curve], title: str) -> Figure:
    """One panel a metric, in the order given, with a line a split. A series of one point is drawn as a dot."""
    names = list(dict.fromkeys(curve.name for curve in curves))
    if not names:
        raise ValueError("there are no curves to draw")
    figure = _figure(4.6 * len(names) + 0.4, 3.6)
    for index, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), index + 1)
        for curve in (c for c in curves if c.name == name):
            _draw_curve(axes, curve)
        axes.set_title(name.replace("_", " "), loc="left", fontsize=10, color=INK)
        axes.set_xlabel("optimiser updates")
        axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
        _plain(axes)
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return figure


def raster(panels: Sequence[tuple[RasterInfo, Spikes]], title: str) -> Figure:
    """The spikes of one sample, a panel a layer on a common time axis, first layer at the bottom."""
    if not panels:
        raise ValueError("there are no rasters to draw")
    heights = [np.clip(info.n_neurons / 60, 0.7, 3.0) for info, _ in panels][::-1]
    figure = _figure(8.0, 1.2 + 1.15 * sum(heights))
    rows: Any = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (info, spikes) in zip(rows[::-1], panels, strict=True):
        # Each spike fills its step and its neuron's row as far as the panel has room.
        height = min(6.0, max(0.8, 72 * 1.15 * heights[0] / info.n_neurons))
        axes.scatter(spikes.times_ms, spikes.neurons, s=height**2, marker="|", linewidths=0.9, color=INK)
        axes.set_ylim(-0.5, info.n_neurons - 0.5)
        axes.set_xlim(0, info.n_steps * info.dt_ms)
        axes.set_ylabel(info.layer, fontsize=9)
        rate_hz = 1e3 * info.n_spikes / (info.n_neurons * info.n_steps * info.dt_ms)
        text = f"{info.n_neurons} neurons, {rate_hz:.0f} Hz"
        axes.text(1.0, 1.02, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=8, color="#57606a")
        _plain(axes)
    rows[-1].set_xlabel("time (ms)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _draw_curve(axes: Axes, curve: Curve) -> None:
    colour = COLOURS.get(curve.split, INK)
    if len(curve.step) == 1:
        label = f"{curve.split} {curve.value[0]:.4g}"
        axes.plot(curve.step, curve.value, "o", color=colour, markersize=6, label=label, zorder=3)
    else:
        axes.plot(curve.step, curve.value, color=colour, linewidth=1.8, label=curve.split)


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)
