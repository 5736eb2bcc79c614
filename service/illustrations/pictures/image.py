"""The layers of a network under each other, on the time axis of the image's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.client.pictures.style import heading, plain
from service.illustrations.pictures.panels import grid, new_picture, note
from snncore.illustrations.base import Floats
from snncore.illustrations.image import ImageActivity, ImageParameters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure(parameters: ImageParameters, result: ImageActivity) -> Figure:
    what = f"Digit {parameters.digit_index}" if parameters.image == "digit" else parameters.image.capitalize()
    picture = new_picture(10.4, 5.8, f"{what} in a hybrid network")
    above = grid(picture, 1, 3, wspace=0.22, top=0.75, bottom=3.0)
    below = grid(picture, 1, 2, wspace=0.28, top=3.5)
    rows, _, colours = result.image.shape
    spikes = np.zeros((result.n_steps, result.n_units))
    spikes[result.spike_steps, result.spike_units] = 1
    potentials = np.clip(result.v / parameters.threshold, 0, 1)
    shown = result.image.repeat(result.steps_a_column, axis=1)
    share = spikes.mean()
    for place, values, name, remark in (
        (above[0], shown, "image, column by column", ""),
        (above[1], _as_image(spikes, rows, colours), "spikes of the LIF units", f"{share:.2f} a unit and step"),
        (above[2], _as_image(potentials, rows, colours), "their potentials", "up to the threshold"),
    ):
        axes = picture.add_subplot(place)
        flat = values[:, :, 0] if colours == 1 else values
        axes.imshow(flat, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        axes.set_ylabel("row" if values is shown else "", fontsize=9)
        _finish(axes, name, remark)
    lstm, softmax = picture.add_subplot(below[0]), picture.add_subplot(below[1])
    largest = float(np.abs(result.lstm).max()) or 1.0
    heat = lstm.imshow(result.lstm.T, cmap="RdBu", vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    picture.colorbar(heat, ax=lstm, pad=0.015, aspect=18).ax.tick_params(labelsize=7)
    lstm.set_ylabel("cell", fontsize=9)
    _finish(lstm, "outputs of the LSTM")
    softmax.plot(result.softmax, linewidth=1.2)
    softmax.set_xlim(-0.5, result.n_steps - 0.5)
    softmax.set_ylim(0, min(1.0, 1.3 * float(result.softmax.max())))
    softmax.set_ylabel("probability", fontsize=9)
    plain(softmax)
    _finish(softmax, "softmax, a line a class", "random weights: nothing was learned")
    return picture


def _as_image(values: Floats, rows: int, colours: int) -> Floats:
    """What the units do, `[T, units]`, in the places and colours of the pixels that drive them."""
    return values.reshape(len(values), rows, colours).transpose(1, 0, 2)


def _finish(axes: Axes, name: str, remark: str = "") -> None:
    heading(axes, name)
    note(axes, remark)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("time step", fontsize=9)
