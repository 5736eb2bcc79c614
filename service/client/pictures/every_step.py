"""One sample of which a class was read at every time step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.client.pictures.rasters import PANEL_INCHES, draw_spikes, height_of
from service.client.pictures.sample import Sample
from service.client.pictures.style import GREEN, GREY, LIGHT_GREY, RED, heading, headline, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PROBABILITY_HEIGHT, INPUT_HEIGHT = 1.8, 0.8


def every_step(sample: Sample, title: str) -> Figure:
    """The probability of each class over time, and below it the layers that spiked, the first at the bottom.

    Where the input is a single current, it is drawn on top of them all.
    """
    current = sample.reading.input
    heights = [PROBABILITY_HEIGHT, *(height_of(info) for info, _ in sample.panels[::-1])]
    heights = heights if current is None else [INPUT_HEIGHT, *heights]
    figure = new_figure(9.0, 1.2 + PANEL_INCHES * sum(heights))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    row = 0 if current is None else 1
    over_time = figure.add_subplot(grid[row, 0])
    _draw_probabilities(over_time, sample)
    if current is not None:
        above = figure.add_subplot(grid[0, 0], sharex=over_time)
        values = [np.nan if value is None else value for value in current]
        above.stairs(values, np.linspace(0, sample.end_ms, len(values) + 1), fill=True, color=GREY)
        heading(above, "input")
        plain(above)
    for below, (info, spikes) in enumerate(sample.panels[::-1], start=row + 1):
        draw_spikes(figure.add_subplot(grid[below, 0], sharex=over_time), info, spikes)
    for axes in figure.axes:
        last = axes.get_subplotspec()
        axes.tick_params(labelbottom=last is not None and last.is_last_row())
        if last is not None and last.is_last_row():
            axes.set_xlabel("time (ms)")
    over_time.set_xlim(0, sample.end_ms)
    headline(figure, title)
    return figure


def probabilities(sample: Sample) -> NDArray[np.float64]:
    """The softmax of the outputs at each step, `[T, K]`."""
    outputs = sample.outputs
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _draw_probabilities(axes: Axes, sample: Sample) -> None:
    """A line a class: the right one green, the answer red where it is another one, the others grey."""
    believed, label, answer = probabilities(sample), sample.label(0), sample.prediction(0)
    edges = [start for start, _ in sample.reading.windows_ms] + [sample.reading.windows_ms[-1][1]]
    for index in range(sample.n_outputs):
        if index in (label, answer):
            continue
        axes.stairs(believed[:, index], edges, baseline=None, color=LIGHT_GREY, linewidth=0.9)
    if answer is not None and answer != label:
        words = f"{answer}, the answer: {believed[:, answer].mean():.3f} on average"
        axes.stairs(believed[:, answer], edges, baseline=None, color=RED, linewidth=1.6, label=words)
    if label is not None:
        words = f"{label}, the right class: {believed[:, label].mean():.3f} on average"
        axes.stairs(believed[:, label], edges, baseline=None, color=GREEN, linewidth=2.2, label=words)
        right = label == answer
        axes.set_title("right" if right else "wrong", loc="right", fontsize=9, color=GREEN if right else RED)
    axes.axhline(1 / sample.n_outputs, color=GREY, linestyle=(0, (1, 1.5)), linewidth=1, label="chance")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("probability", fontsize=9)
    heading(axes, "read out at every step")
    plain(axes)
    axes.legend(frameon=False, fontsize=8)
