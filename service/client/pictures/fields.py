"""What the neurons of a layer look for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.client.arrays import ReceptiveFields
from service.client.models import ReceptiveFieldsInfo
from service.client.pictures.style import GREY, INK, LIGHT_GREY, headline, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INCHES = 8.0
NAMED = 400
"""Tiles up to which each has its class written on it."""
RGB = 3


def receptive_fields(info: ReceptiveFieldsInfo, fields: ReceptiveFields, title: str) -> Figure:
    """A tile for each neuron, with one scale of colours; those of a class stand together, the lowest class first and
    neurons without one at the end."""
    if info.shape is None:
        raise ValueError("the features are no picture")
    order = np.arange(len(fields.weights))
    if fields.labels is not None:
        order = np.argsort(np.where(fields.labels < 0, fields.labels.max() + 1, fields.labels), kind="stable")
    tiles = as_tiles(fields.weights[order], info.shape)
    columns = math.ceil(math.sqrt(len(tiles) * tiles.shape[1] / tiles.shape[2]))
    sheet = laid_out(tiles, columns)
    figure = new_figure(INCHES + 1.2, INCHES * sheet.shape[0] / sheet.shape[1] + 0.7)
    axes = figure.add_subplot()
    low, high = info.low or 0.0, info.high or 0.0
    if info.shape[2] == RGB:
        axes.imshow(np.clip((np.nan_to_num(sheet, nan=high) - low) / ((high - low) or 1), 0, 1))
    else:
        negative = low < 0
        limit = max(-low, high)
        axes.set_facecolor(LIGHT_GREY)
        shown = axes.imshow(
            sheet,
            cmap="RdBu" if negative else "Blues",
            vmin=-limit if negative else low,
            vmax=limit if negative else high,
        )
        bar = figure.colorbar(shown, ax=axes, shrink=0.6, label="weight")
        bar.ax.tick_params(labelsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    words = f"{info.layer}, {len(tiles)} neurons"
    axes.set_title(words if fields.labels is None else f"{words}, sorted by class", loc="right", fontsize=8, color=GREY)
    if fields.labels is not None and len(tiles) <= NAMED:
        height, width = tiles.shape[1] + 1, tiles.shape[2] + 1
        for place, label in enumerate(fields.labels[order]):
            if label >= 0:
                row, column = divmod(place, columns)
                axes.text(column * width + 1, row * height + 1, str(label), va="top", fontsize=6, color=INK)
    headline(figure, title)
    return figure


def as_tiles(weights: NDArray[np.float32], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """`[n, height, width]`, or `[n, height, width, 3]` for colours; other channels stand beside each other."""
    height, width, channels = shape
    tiles = weights.reshape(len(weights), *shape)
    if channels == RGB:
        return tiles
    return tiles.transpose(0, 1, 3, 2).reshape(len(weights), height, channels * width)


def laid_out(tiles: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """The tiles in rows, with a line of NaN around each."""
    height, width = tiles.shape[1] + 1, tiles.shape[2] + 1
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height + 1, columns * width + 1, *tiles.shape[3:]), np.nan, np.float32)
    for place, tile in enumerate(tiles):
        top, left = 1 + place // columns * height, 1 + place % columns * width
        sheet[top : top + height - 1, left : left + width - 1] = tile
    return sheet
