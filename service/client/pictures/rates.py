"""One sample of a task whose outputs are rates: softmax and k-winners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.client.pictures.rasters import PANEL_INCHES, draw_spikes, height_of, mark_groups
from service.client.pictures.sample import Sample
from service.client.pictures.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT_GREY,
    RED,
    heading,
    headline,
    new_figure,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def rates(sample: Sample, title: str) -> Figure:
    """The spikes of each layer, and beside them what the outputs came to against what they should.

    The time that is not read is shaded.
    """
    heights = [height_of(info) for info, _ in sample.panels][::-1]
    figure = new_figure(11.5, max(4.2, 1.2 + PANEL_INCHES * sum(heights)))
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[1.5, 1.0])
    bars = figure.add_subplot(grid[:, 1])
    first: Axes | None = None
    for index, (info, spikes) in enumerate(sample.panels):
        axes = figure.add_subplot(grid[len(heights) - 1 - index, 0], sharex=first)
        draw_spikes(axes, info, spikes)
        groups = sample.n_outputs
        if info.layer.endswith("output") and groups < info.n_neurons and info.n_neurons % groups == 0:
            mark_groups(axes, info, [str(group) for group in range(groups)], "group")
        _shade_unread(axes, sample)
        axes.tick_params(labelbottom=first is None)
        first = first or axes
    if first is not None:
        first.set_xlabel("time (ms)")
    if sample.reading.borders_hz is None:
        _draw_targets(bars, sample)
    else:
        _draw_winners(bars, sample)
    headline(figure, title)
    return figure


def _shade_unread(axes: Axes, sample: Sample) -> None:
    start, stop = sample.reading.windows_ms[0]
    for left, right in ((0.0, start), (stop, sample.end_ms)):
        if right > left:
            axes.axvspan(left, right, color=LIGHT_GREY, alpha=0.35, linewidth=0, zorder=0)


def _draw_targets(axes: Axes, sample: Sample) -> None:
    """Two bars an output."""
    outputs, targets = sample.outputs[0], sample.targets
    x = np.arange(len(outputs))
    if targets is not None:
        axes.bar(x - 0.2, targets[0], 0.4, color=LIGHT_GREY, label="target")
        axes.bar(x + 0.2, outputs, 0.4, color=BLUE, label="output")
    else:
        axes.bar(x, outputs, 0.7, color=BLUE, label="output")
    _describe(axes, sample)
    label, prediction = sample.label(0), sample.prediction(0)
    if label is not None and prediction is not None:
        right = label == prediction
        text = f"right: output {label} wins" if right else f"wrong: output {prediction} wins instead of {label}"
        axes.set_title(text, loc="right", fontsize=9, color=GREEN if right else RED)
    axes.legend(frameon=False, fontsize=8)


def _draw_winners(axes: Axes, sample: Sample) -> None:
    """A bar an output, with the borders between off and on."""
    outputs, targets = np.nan_to_num(sample.outputs[0]), sample.targets
    x = np.arange(len(outputs))
    borders = [border for border in sample.reading.borders_hz or [] if border is not None]
    if targets is None:
        axes.bar(x, outputs, 0.7, color=BLUE)
    else:
        winners = _winners(targets[0], borders[0])
        axes.bar(x[winners], outputs[winners], 0.7, color=BLUE, label="should be on")
        axes.bar(x[~winners], outputs[~winners], 0.7, color="#8da0b3", label="should be off")
        wrong = winners != (outputs > borders[0])
        for place in x[wrong]:
            axes.annotate("✗", (place, outputs[place]), ha="center", va="bottom", color=RED, fontweight="bold")
        n_wrong = int(wrong.sum())
        text = f"{n_wrong} of {len(x)} on the wrong side" if n_wrong else "all on the right side"
        axes.set_title(text, loc="right", fontsize=9, color=RED if n_wrong else GREEN)
    for border, side in zip(borders, ("off", "on"), strict=False):
        axes.axhline(border, color=GREY, linestyle=(0, (5, 3)), linewidth=1.2, zorder=3)
        words = f"{side} {'below' if side == 'off' else 'above'} {border:g}"
        axes.annotate(
            words,
            (1.0, border),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=GREY,
        )
    # room on the right for the words at the borders, which bars would hide
    axes.set_xlim(-0.7, 1.25 * len(x))
    axes.set_ylim(0, 1.15 * max(outputs.max(), *borders))
    _describe(axes, sample)
    if targets is not None:
        axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)


def _winners(targets: NDArray[np.float64], border_hz: float) -> NDArray[np.bool_]:
    """Which outputs should be on: targets are rates, or 0 and 1."""
    on: NDArray[np.bool_] = targets > (border_hz if targets.max() > 1 else 0.5)
    return on


def _describe(axes: Axes, sample: Sample) -> None:
    start, stop = sample.reading.windows_ms[0]
    unit = f" ({sample.reading.unit})" if sample.reading.unit else ""
    heading(axes, "read out")
    axes.set_xlabel(f"output, read from {start:g} to {stop:g} ms")
    axes.set_ylabel(f"{'rate' if sample.reading.unit == 'Hz' else 'value'}{unit}", fontsize=9)
    every = max(1, -(-sample.n_outputs // 16))
    axes.set_xticks(range(0, sample.n_outputs, every))
    plain(axes)
