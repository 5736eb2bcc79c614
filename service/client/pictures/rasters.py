"""The spikes of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from service.client.arrays import Spikes
from service.client.models import RasterInfo
from service.client.pictures.style import BLUE, GREY, LIGHT_GREY, heading, headline, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = 1.15


def raster(
    panels: Sequence[tuple[RasterInfo, Spikes]], title: str, image: NDArray[Any] | None = None, caption: str = ""
) -> Figure:
    """The spikes of one sample, a panel a layer on a common time axis, first layer at the bottom.

    `image` is drawn beside the first layer: what the sample looks like.
    """
    if not panels:
        raise ValueError("there are no rasters to draw")
    heights = [height_of(info) for info, _ in panels][::-1]
    figure = new_figure(8.0 if image is None else 10.0, 1.2 + PANEL_INCHES * sum(heights))
    widths = [1.0] if image is None else [4.0, 1.0]
    grid = figure.add_gridspec(len(panels), len(widths), height_ratios=heights, width_ratios=widths)
    first: Axes | None = None
    for index, (info, spikes) in enumerate(panels):
        row = len(panels) - 1 - index
        axes = figure.add_subplot(grid[row, 0], sharex=first)
        draw_spikes(axes, info, spikes)
        axes.tick_params(labelbottom=first is None)
        first = first or axes
    assert first is not None
    first.set_xlabel("time (ms)")
    if image is not None:
        beside = figure.add_subplot(grid[-1, 1])
        beside.imshow(image, cmap="Blues", aspect="equal")
        beside.set_title(caption, fontsize=8, color=GREY)
        beside.set_axis_off()
    headline(figure, title)
    return figure


def height_of(info: RasterInfo) -> float:
    """Of a panel, in units of `PANEL_INCHES`."""
    return float(np.clip(info.n_neurons / 60, 0.9, 3.0))


def draw_spikes(axes: Axes, info: RasterInfo, spikes: Spikes) -> None:
    """A mark as high as a neuron's row, but never too small to be seen."""
    row_pt = 72 * PANEL_INCHES * height_of(info) / info.n_neurons
    mark_pt = float(np.clip(0.9 * row_pt, 2.4, 9.0))
    width_pt = 1.3 if row_pt > 2 else 0.7
    colour = GREY if info.layer == "input" else BLUE
    axes.scatter(spikes.times_ms, spikes.neurons, s=mark_pt**2, marker="|", linewidths=width_pt, color=colour)
    axes.set_ylim(-0.5, info.n_neurons - 0.5)
    axes.set_xlim(-0.5 * info.dt_ms, (info.n_steps - 0.5) * info.dt_ms)
    axes.set_ylabel("neuron", fontsize=9)
    rate_hz = 1e3 * info.n_spikes / (info.n_neurons * info.n_steps * info.dt_ms)
    text = f"{info.n_neurons} neurons, {info.n_spikes:,} spikes, {rate_hz:.0f} Hz on average"
    axes.set_title(text, loc="right", fontsize=8, color=GREY)
    heading(axes, info.layer)
    plain(axes)


def mark_groups(axes: Axes, info: RasterInfo, names: Sequence[str], what: str) -> None:
    """Names groups of as many neurons each instead of numbering neurons, with a line between two groups."""
    size = info.n_neurons / len(names)
    for border in range(1, len(names)):
        axes.axhline(border * size - 0.5, color=LIGHT_GREY, linewidth=0.6, zorder=0)
    every = max(1, -(-len(names) // 12))
    axes.set_yticks([(index + 0.5) * size - 0.5 for index in range(0, len(names), every)], list(names)[::every])
    axes.set_ylabel(what, fontsize=9)
