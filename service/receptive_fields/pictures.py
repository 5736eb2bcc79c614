"""Receptive fields as a sheet of pictures, one for each neuron."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from service.problems import Problem
from service.receptive_fields.formats import Selected
from service.store.tables import ReceptiveField

Bytes = NDArray[np.uint8]

GAP = (208, 215, 222)
"""Between the tiles, and in the place of weights that are not finite."""
WHITE, BLUE, RED, INK = (255, 255, 255), (31, 59, 115), (178, 24, 43), (36, 41, 47)
LEVELS = 255
"""Of colours: odd, so that one of them is for 0."""
SIDE = 1200
"""Pixels that the longer side of a sheet is enlarged to, as far as whole numbers go."""
SMALLEST_NAMED = 20
"""Pixels that a tile is high at least where classes are written on it."""
RGB = 3


@dataclass(frozen=True, slots=True)
class Sheet:
    """How the tiles of `n` neurons, `height` x `width` pixels each, are laid out."""

    n: int
    height: int
    width: int
    columns: int
    scale: int

    @classmethod
    def of(cls, fields: ReceptiveField, n: int, *, named: bool) -> Sheet:
        """As near to a square as it goes. Raises `Problem` for features that are no picture."""
        if fields.shape is None:
            raise Problem(
                422,
                "no_picture",
                f"The {fields.n_features} features of layer {fields.layer!r} are no image, so there is no picture of "
                "them; take application/json, application/x-npz or application/vnd.apache.arrow.stream.",
            )
        height, width, channels = fields.shape
        # Three channels are colours; others stand beside each other.
        width = width if channels in (1, RGB) else width * channels
        columns = min(max(n, 1), math.ceil(math.sqrt(max(n, 1) * (height + 1) / (width + 1))))
        rows = max(1, -(-n // columns))
        scale = max(1, SIDE // max(rows * (height + 1), columns * (width + 1)))
        if named:
            scale = max(scale, -(-SMALLEST_NAMED // height))
        return cls(n, height, width, columns, scale)

    @property
    def rows(self) -> int:
        return max(1, -(-self.n // self.columns))

    @property
    def size(self) -> tuple[int, int]:
        """Of the whole, in pixels: from top to bottom, and from left to right."""
        return 1 + self.rows * (self.scale * self.height + 1), 1 + self.columns * (self.scale * self.width + 1)

    def place(self, index: int) -> tuple[int, int]:
        """Left and top of a tile."""
        row, column = divmod(index, self.columns)
        return 1 + column * (self.scale * self.width + 1), 1 + row * (self.scale * self.height + 1)


def draw(fields: ReceptiveField, selected: Selected, sheet: Sheet, *, named: bool) -> bytes:
    """A PNG with a tile for each neuron, row by row, gaps of one pixel between, and one scale of colours for all.

    The scale is that of all neurons of the layer, so that parts of it can be compared. The same weights give the same
    bytes.
    """
    coloured = colours(selected.weights, fields)
    tiles = coloured.reshape(sheet.n, sheet.height, sheet.width, 3).repeat(sheet.scale, 1).repeat(sheet.scale, 2)
    pixels = np.full((*sheet.size, 3), GAP, np.uint8)
    for index, tile in enumerate(tiles):
        left, top = sheet.place(index)
        pixels[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    image = Image.fromarray(pixels)
    if named and selected.labels is not None:
        _name(image, selected.labels, sheet)
    out = io.BytesIO()
    info = PngInfo()
    info.add_text("Software", "Spikesmith")
    image.save(out, "png", pnginfo=info, compress_level=3)
    return out.getvalue()


def colours(weights: NDArray[np.float32], fields: ReceptiveField) -> Bytes:
    """RGB of each pixel, in the order of the features, with channels that are no colours side by side.

    From `low` to `high` it is white to blue; where weights are negative, 0 is white and what is below it red. Three
    channels are red, green and blue from `low` to `high`.
    """
    assert fields.shape is not None
    low, high = fields.low or 0.0, fields.high or 0.0
    finite = np.isfinite(weights)
    shape, n = tuple(fields.shape), len(weights)
    if shape[2] == RGB:
        shares = np.where(finite, weights - low, 0) / ((high - low) or 1)
        return (np.clip(shares, 0, 1) * 255).astype(np.uint8)
    if low < 0:
        largest = max(-low, high)
        low, high = -largest, largest
    shares = np.where(finite, weights - low, 0) / ((high - low) or 1)
    levels = np.clip(shares * LEVELS, 0, LEVELS - 1).astype(np.int64)
    scale = _between(RED, WHITE, BLUE) if low < 0 else _between(WHITE, BLUE)
    coloured = scale[levels]
    coloured[~finite] = GAP
    if shape[2] == 1:
        return coloured
    return coloured.reshape(n, *shape, 3).transpose(0, 1, 3, 2, 4)


def _between(*anchors: tuple[int, int, int]) -> Bytes:
    """`LEVELS` colours from the first to the last."""
    at = np.linspace(0, len(anchors) - 1, LEVELS)
    channels = [np.interp(at, range(len(anchors)), [anchor[channel] for anchor in anchors]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def _name(image: Image.Image, labels: Sequence[int | None], sheet: Sheet) -> None:
    """Write its class into the upper left corner of each tile that has one."""
    canvas = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(10, sheet.scale * sheet.height // 5))
    for index, label in enumerate(labels):
        if label is not None:
            left, top = sheet.place(index)
            canvas.text((left + 1, top), str(label), INK, font, stroke_width=1, stroke_fill=WHITE)
