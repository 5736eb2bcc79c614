"""A digit, and beside it what each encoding makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.client.pictures.style import BLUE, LIGHT_GREY, heading, plain
from service.illustrations.pictures.panels import grid, new_picture, note
from snncore.illustrations.digits import SIDE
from snncore.illustrations.encodings import Encodings, EncodingsParameters, SpikeEvents

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure(parameters: EncodingsParameters, result: Encodings) -> Figure:
    picture = new_picture(10.0, 5.8, f"Digit {parameters.digit_index}, a {result.label}, in five encodings")
    places = grid(picture, 2, 3, wspace=0.24, hspace=0.42, top=0.8)
    image = picture.add_subplot(places[0, 0])
    image.imshow(result.digit, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    image.tick_params(labelsize=8)
    image.set_xlabel("column", fontsize=9)
    image.set_ylabel("row", fontsize=9)
    heading(image, "digit")
    pixels = SIDE * SIDE
    _raster(picture.add_subplot(places[0, 1]), result, result.poisson, "poisson", "pixel", pixels)
    _raster(picture.add_subplot(places[0, 2]), result, result.latency, "latency", "pixel", pixels)
    direct = picture.add_subplot(places[1, 0])
    currents = np.repeat(result.direct[:, None], result.n_steps, axis=1)
    largest = float(np.abs(currents).max()) or 1.0
    direct.imshow(currents, cmap="RdBu", vmin=-largest, vmax=largest, interpolation="nearest", aspect="auto")
    _finish(direct, "direct", "pixel", f"currents up to {largest:.3g}")
    for place, events, name in (
        (places[1, 1], result.threshold_crossing, "threshold crossing"),
        (places[1, 2], result.delta, "delta"),
    ):
        axes = picture.add_subplot(place)
        for step in range(0, result.n_steps, parameters.steps_a_column):
            axes.axvline(step - 0.5, color=LIGHT_GREY, linewidth=0.6, zorder=0)
        _raster(axes, result, events, name, "row" if parameters.scan == "columns" else "column", SIDE)
    return picture


def _raster(axes: Axes, result: Encodings, events: SpikeEvents, name: str, what: str, n_pixels: int) -> None:
    """Spikes, with neurons counted in the pixels that they belong to, downwards as in an image."""
    a_pixel = events.n_neurons // n_pixels
    heights = (np.array(events.spike_neurons) + 0.5) / a_pixel - 0.5
    size = float(np.clip(0.8 * 130 / events.n_neurons, 3.2, 7.0))
    axes.plot(events.spike_steps, heights, "|", color=BLUE, markersize=size, markeredgewidth=1.4)
    if what != "pixel":
        for border in range(1, n_pixels):
            axes.axhline(border - 0.5, color=LIGHT_GREY, linewidth=0.6, zorder=0)
    axes.set_xlim(-0.5, result.n_steps - 0.5)
    axes.set_ylim(n_pixels - 0.5, -0.5)
    plain(axes)
    neurons = f"{events.n_neurons} neurons, {len(events.spike_steps)} spikes"
    _finish(axes, name, what, neurons)


def _finish(axes: Axes, name: str, what: str, remark: str) -> None:
    heading(axes, name)
    note(axes, remark)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("time step", fontsize=9)
    axes.set_ylabel(what, fontsize=9)
