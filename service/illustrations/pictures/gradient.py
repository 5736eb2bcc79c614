"""Gradient maps side by side, under the potential that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.client.pictures.style import BLUE, GREEN, GREY, INK, RED, plain
from service.illustrations.pictures.panels import grid, new_picture, note, over_time, spike_marks, threshold_line, trace
from snncore.illustrations.base import Floats
from snncore.illustrations.gradient import GradientMap, GradientParameters, Gradients

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

COLOURS = (BLUE, GREY, RED, GREEN, "#bf8700", "#8250df", "#1b7c83", "#bf3989", INK, "#9a6700")
A_ROW = 5


def figure(parameters: GradientParameters, result: Gradients) -> Figure:
    columns = min(len(result.maps), A_ROW)
    rows = -(-len(result.maps) // A_ROW)
    width, height = max(8.0, 2.1 * columns + 1.2), 3.6 + 2.5 * rows
    unit = f"w_input {parameters.w_input:g}, w_leak {parameters.w_leak:g}"
    picture = new_picture(width, height, f"Gradient of each output with respect to each input ({unit})")
    above = grid(picture, 1, 2, width_ratios=[3, 2], wspace=0.2, bottom=height - 2.9)
    _draw_unit(picture.add_subplot(above[0]), parameters, result)
    _draw_distances(picture.add_subplot(above[1]), result.maps)
    below = grid(picture, rows, columns, wspace=0.12, hspace=0.35, top=3.7, right=0.92)
    bar = picture.add_axes((1 - 0.78 / width, 0.5 / height, 0.12 / width, 2.1 / height))
    for index, one in enumerate(result.maps):
        axes = picture.add_subplot(below[divmod(index, columns)])
        shown = _draw_map(axes, one, result)
        axes.set_xlabel("step of the input", fontsize=8)
        if index % columns == 0:
            axes.set_ylabel("step of the output", fontsize=8)
        else:
            axes.tick_params(labelleft=False)
        scale = picture.colorbar(shown, cax=bar)
    scale.ax.tick_params(labelsize=7)
    scale.set_label("of the largest", fontsize=8, color=GREY, labelpad=1)
    return picture


def _draw_unit(axes: Axes, parameters: GradientParameters, result: Gradients) -> None:
    trace(axes, result.v)
    threshold_line(axes, parameters.threshold)
    spike_marks(axes, result.spikes.nonzero()[0])
    axes.set_ylabel("potential", fontsize=9)
    over_time(axes, len(result.v), last=True)


def _draw_distances(axes: Axes, maps: list[GradientMap]) -> None:
    scaled = [one.mean_by_distance / (np.abs(one.mean_by_distance).max() or 1.0) for one in maps]
    visible = [np.flatnonzero(np.abs(row) > 0.01) for row in scaled]
    longest = max((int(steps[-1]) for steps in visible if steps.size), default=1)
    for colour, one, row in zip(COLOURS, maps, scaled, strict=False):
        axes.plot(row[: longest + 1], color=colour, linewidth=1.5, label=_name(one))
    axes.set_xlabel("steps from input to output", fontsize=9)
    axes.set_ylabel("mean dy/dx, of its largest", fontsize=9)
    axes.set_xlim(-0.5, max(longest, 1) + 0.5)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    plain(axes)
    axes.legend(frameon=False, fontsize=7)


def _draw_map(axes: Axes, one: GradientMap, result: Gradients) -> AxesImage:
    """Output steps downwards, input steps to the right; grey where nothing arrives."""
    n_steps = len(result.v)
    dense: Floats = np.full((n_steps, n_steps), np.nan)
    for t, (start, row) in enumerate(zip(result.first_step.tolist(), one.dy_dx, strict=True)):
        dense[t, start : t + 1] = row
    largest = float(np.nanmax(np.abs(dense)))
    shown = axes.imshow(dense / (largest or 1.0), cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_title(_name(one), loc="left", fontsize=9, color=INK)
    note(axes, f"up to {largest:.2g}")
    axes.tick_params(labelsize=7)
    axes.set_facecolor("#eaeef2")
    return shown


def _name(one: GradientMap) -> str:
    width = getattr(one.surrogate, "width", None)
    return one.surrogate.kind.replace("_", " ") + ("" if width is None else f", {width:.3g}")
