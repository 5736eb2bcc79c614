"""Learning curves and spike rasters as pictures, from what the service returns.

Figures are made with matplotlib's objects, never with pyplot: no display is needed, and nothing global is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from service.client.models import Curve, RasterInfo, Spikes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREY, INK = "#1f6feb", "#57606a", "#24292f"
COLOURS = {"train": "#8da0b3", "validation": BLUE, "test": "#d1495b"}
DPI = 150
PANEL_INCHES = 1.15


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


def raster(
    panels: Sequence[tuple[RasterInfo, Spikes]], title: str, image: NDArray[Any] | None = None, caption: str = ""
) -> Figure:
    """The spikes of one sample, a panel a layer on a common time axis, first layer at the bottom.

    `image` is drawn beside the first layer: what the sample looks like.
    """
    if not panels:
        raise ValueError("there are no rasters to draw")
    heights = [float(np.clip(info.n_neurons / 60, 0.9, 3.0)) for info, _ in panels][::-1]
    figure = _figure(8.0 if image is None else 10.0, 1.2 + PANEL_INCHES * sum(heights))
    widths = [1.0] if image is None else [4.0, 1.0]
    grid = figure.add_gridspec(len(panels), len(widths), height_ratios=heights, width_ratios=widths)
    first: Axes | None = None
    for index, (info, spikes) in enumerate(panels):
        row = len(panels) - 1 - index
        axes = figure.add_subplot(grid[row, 0], sharex=first)
        _draw_spikes(axes, info, spikes, 72 * PANEL_INCHES * heights[row])
        axes.tick_params(labelbottom=first is None)
        first = first or axes
    assert first is not None
    first.set_xlabel("time (ms)")
    if image is not None:
        beside = figure.add_subplot(grid[-1, 1])
        beside.imshow(image, cmap="Blues", aspect="equal")
        beside.set_title(caption, fontsize=8, color=GREY)
        beside.set_axis_off()
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return figure


def _draw_spikes(axes: Axes, info: RasterInfo, spikes: Spikes, height_pt: float) -> None:
    # A mark as high as a neuron's row, but never too small to be seen.
    mark_pt = float(np.clip(0.9 * height_pt / info.n_neurons, 3.5, 9.0))
    colour = GREY if info.layer == "input" else BLUE
    axes.scatter(spikes.times_ms, spikes.neurons, s=mark_pt**2, marker="|", linewidths=1.3, color=colour)
    axes.set_ylim(-0.5, info.n_neurons - 0.5)
    axes.set_xlim(-0.5 * info.dt_ms, (info.n_steps - 0.5) * info.dt_ms)
    axes.set_ylabel(f"{info.layer} neuron", fontsize=9)
    rate_hz = 1e3 * info.n_spikes / (info.n_neurons * info.n_steps * info.dt_ms)
    text = f"{info.n_neurons} neurons, {info.n_spikes:,} spikes, {rate_hz:.0f} Hz on average"
    axes.set_title(text, loc="right", fontsize=8, color=GREY)
    _plain(axes)


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
