"""One image that a network read pixel by pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.client.pictures.rasters import PANEL_INCHES, draw_spikes, height_of
from service.client.pictures.sample import Sample
from service.client.pictures.style import BLUE, GREEN, GREY, LIGHT_BLUE, RED, heading, headline, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INPUT_HEIGHT = 1.1


def sequence(sample: Sample, title: str) -> Figure:
    """The pixels over time at the bottom with the image beside them, the layers above, the outputs on the right.

    The time that the outputs were read in is shaded.
    """
    if sample.reading.input is None:
        raise ValueError("this sample has no analog input to draw")
    pixels = np.array([np.nan if value is None else value for value in sample.reading.input])
    heights = [*(height_of(info) for info, _ in sample.panels[::-1]), INPUT_HEIGHT]
    figure = new_figure(12.0, max(4.6, 1.2 + PANEL_INCHES * sum(heights)))
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[3.4, 1.0])
    over_time = figure.add_subplot(grid[-1, 0])
    _draw_pixels(over_time, pixels, sample)
    for row, (info, spikes) in enumerate(sample.panels[::-1]):
        axes = figure.add_subplot(grid[row, 0], sharex=over_time)
        draw_spikes(axes, info, spikes)
        _shade_reading(axes, sample)
        axes.tick_params(labelbottom=False)
    if (image := as_image(pixels)) is not None:
        _draw_image(figure.add_subplot(grid[-1, 1]), image)
    if sample.panels:
        _draw_outputs(figure.add_subplot(grid[:-1, 1]), sample)
    over_time.set_xlim(0, sample.end_ms)
    headline(figure, title)
    return figure


def as_image(pixels: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Rows and columns of a square image that was read row by row; None if it is no square."""
    side = math.isqrt(len(pixels))
    return pixels.reshape(side, side) if side * side == len(pixels) else None


def _draw_pixels(axes: Axes, pixels: NDArray[np.float64], sample: Sample) -> None:
    step_ms = sample.end_ms / len(pixels)
    axes.stairs(pixels, np.arange(len(pixels) + 1) * step_ms, fill=True, color=GREY)
    _shade_reading(axes, sample)
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("pixel value", fontsize=9)
    heading(axes, "input")
    plain(axes)


def _draw_image(axes: Axes, image: NDArray[np.float64]) -> None:
    axes.imshow(image, cmap="Greys", aspect="equal")
    axes.set_title(f"{image.shape[0]} × {image.shape[1]}, read row by row", fontsize=8, color=GREY)
    axes.set_axis_off()


def _shade_reading(axes: Axes, sample: Sample) -> None:
    start, stop = sample.reading.windows_ms[-1]
    axes.axvspan(start, stop, color=LIGHT_BLUE, alpha=0.35, linewidth=0, zorder=0)


def _draw_outputs(axes: Axes, sample: Sample) -> None:
    outputs = sample.outputs[-1]
    label, prediction = sample.label(len(sample.outputs) - 1), sample.prediction(len(sample.outputs) - 1)
    colours = [GREEN if index == label else RED if index == prediction else BLUE for index in range(len(outputs))]
    axes.barh(range(len(outputs)), outputs, 0.7, color=colours)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks(range(len(outputs)))
    axes.set_ylabel("class", fontsize=9)
    start, stop = sample.reading.windows_ms[-1]
    unit = f" ({sample.reading.unit})" if sample.reading.unit else ""
    axes.set_xlabel(f"output{unit}, read from {start:g} to {stop:g} ms", fontsize=9)
    heading(axes, "read out")
    if label is not None and prediction is not None:
        right = label == prediction
        words = f"right: a {label}" if right else f"wrong: a {label}, taken for a {prediction}"
        axes.set_title(words, loc="right", fontsize=9, color=GREEN if right else RED)
    plain(axes)
