"""One sequence of the store-recall task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.client.pictures.rasters import PANEL_INCHES, draw_spikes, height_of, mark_groups
from service.client.pictures.sample import Sample
from service.client.pictures.style import GREEN, GREY, INK, LIGHT_GREY, RED, headline, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COMMANDS = ("store", "recall")


def recall(sample: Sample, title: str) -> Figure:
    """Input at the bottom, then the pool and what is behind it, then the outputs of each slot.

    Slots in which a recall is due are shaded: green where the answer was right, red where it was wrong.
    """
    heights = [1.0, *(height_of(info) for info, _ in sample.panels[::-1])]
    figure = new_figure(12.0, 1.4 + PANEL_INCHES * sum(heights))
    # A narrow column for the colour bar keeps the time axes of all panels equally long.
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[60, 1])
    output = figure.add_subplot(grid[0, 0])
    _draw_outputs(figure, output, figure.add_subplot(grid[0, 1]), sample)
    values = [f"value {value}" for value in range(sample.n_outputs)]
    for row, (info, spikes) in enumerate(sample.panels[::-1], start=1):
        axes = figure.add_subplot(grid[row, 0], sharex=output)
        draw_spikes(axes, info, spikes)
        groups = [*values, *COMMANDS] if info.layer == "input" else values if info.layer.endswith("output") else []
        if groups and info.n_neurons % len(groups) == 0:
            mark_groups(axes, info, groups, "")
        _mark_slots(axes, sample)
        axes.tick_params(labelbottom=row == len(sample.panels))
    output.tick_params(labelbottom=not sample.panels)
    output.set_xlim(0, sample.end_ms)
    figure.axes[-1 if sample.panels else 0].set_xlabel("time (ms)")
    headline(figure, title)
    return figure


def _mark_slots(axes: Axes, sample: Sample) -> None:
    for window, (start, stop) in enumerate(sample.reading.windows_ms):
        axes.axvline(start, color=LIGHT_GREY, linewidth=0.8, zorder=0)
        if (colour := _verdict(sample, window)) is not None:
            axes.axvspan(start, stop, color=colour, alpha=0.13, linewidth=0, zorder=0)


def _verdict(sample: Sample, window: int) -> str | None:
    """Green, red, or None where nothing is asked."""
    label = sample.label(window)
    return None if label is None else (GREEN if sample.prediction(window) == label else RED)


def _draw_outputs(figure: Figure, axes: Axes, bar: Axes, sample: Sample) -> None:
    """A column a slot, a row a value. The value that was asked for has a ring, and above stands the answer."""
    outputs, windows = sample.outputs, sample.reading.windows_ms
    finite = outputs[np.isfinite(outputs)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    edges = np.arange(sample.n_outputs + 1) - 0.5
    for row, (start, stop) in zip(outputs, windows, strict=True):
        picture = axes.pcolormesh([start, stop], edges, row[:, None], cmap="Blues", vmin=low, vmax=high)
        axes.axvline(start, color="white", linewidth=1.5)
    asked = [window for window in range(len(windows)) if sample.label(window) is not None]
    for window in asked:
        _frame(axes, sample, window)
    right = sum(_verdict(sample, window) == GREEN for window in asked)
    summary = f"{right} of {len(asked)} recalls right; a ring marks the value that was stored"
    axes.set_title(summary, loc="right", fontsize=8, color=GREY, pad=18)
    axes.set_title("read out", loc="left", fontsize=10, color=INK, pad=18)
    axes.set_ylim(-0.5, sample.n_outputs - 0.5)
    axes.set_yticks(range(sample.n_outputs), [f"value {value}" for value in range(sample.n_outputs)])
    plain(axes)
    figure.colorbar(picture, cax=bar)
    bar.tick_params(labelsize=7)
    bar.set_ylabel(sample.reading.unit or "output", fontsize=8)


def _frame(axes: Axes, sample: Sample, window: int) -> None:
    """What was asked and what was answered in a slot."""
    start, stop = sample.reading.windows_ms[window]
    label, answer, colour = sample.label(window), sample.prediction(window), _verdict(sample, window)
    assert label is not None
    assert colour is not None
    centre, top = (start + stop) / 2, sample.n_outputs - 0.5
    axes.plot(
        [start, stop, stop, start, start], [-0.5, -0.5, top, top, -0.5], color=colour, linewidth=2.2, clip_on=False
    )
    axes.plot(centre, label, "o", markersize=8, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=2)
    words = f"✓ {answer}" if colour == GREEN else f"✗ {'none' if answer is None else answer}, not {label}"
    axes.annotate(
        words,
        (centre, top),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=9,
        fontweight="bold",
        color=colour,
    )
