"""Images changed at random, so that a network never sees the same one twice."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snncore import spec

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]


def augmented(x: Pixels, shape: tuple[int, int, int], wanted: spec.Augmentation, draw: np.random.Generator) -> Pixels:
    """Images `[n, H * W * C]` (row, column, channel) padded, cropped and mirrored, each by a draw of its own.

    Drawn are first the corners of the crops, row and column of each image, then who is mirrored.
    """
    n, (height, width, channels), padding = len(x), shape, wanted.crop_padding
    images: NDArray[Any] = x.reshape(n, height, width, channels)
    if padding:
        top, left = draw.integers(0, 2 * padding, size=(2, n), endpoint=True)
        padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
        images = windows[np.arange(n), top, left].transpose(0, 2, 3, 1)  # the windows have the channels in front
    if wanted.horizontal_flip:
        mirrored = draw.random(n) < 0.5
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    return np.ascontiguousarray(images).reshape(n, -1)
