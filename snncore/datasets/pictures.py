"""An image file as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from snncore import spec
from snncore.errors import DatasetUnavailable

FORMATS = {
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "PPM": (".ppm", ".pgm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""What is read, by the content; others of Pillow's formats start programs. And the endings that files are found by."""
ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings)


def picture(file: Path, wanted: spec.ImageCut) -> NDArray[np.uint8]:
    """The image in `file` as `wanted` cuts it: `[height / pooling, width / pooling, channels]`.

    It is turned upright by its EXIF orientation. Of a film it is the first frame, of 16 bits a pixel the upper 8, and
    what is transparent becomes white. Raises `DatasetUnavailable` for a file that is broken or too small to crop.
    """
    try:
        with Image.open(file, formats=list(FORMATS)) as opened:
            image = flat(ImageOps.exif_transpose(opened), "RGB" if wanted.channels == 3 else "L")
    except Exception as error:  # the decoders raise all kinds of errors about broken files
        raise DatasetUnavailable(f"{file} cannot be read as an image ({error}); remove it or replace it") from error
    pixels = np.asarray(_cut(image, file, wanted)).reshape(wanted.height, wanted.width, wanted.channels)
    return pixels if wanted.pooling == 1 else _pooled(pixels, wanted.pooling)


def flat(image: Image.Image, mode: str) -> Image.Image:
    """Without transparency, 8 bits a channel, in the mode `RGB` or `L`."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("its pixels are of 32 bits, and how bright they may be is not known")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _cut(image: Image.Image, file: Path, wanted: spec.ImageCut) -> Image.Image:
    if wanted.fit == "resize":
        return ImageOps.fit(image, (wanted.width, wanted.height), Image.Resampling.BILINEAR)
    left, top = (image.width - wanted.width) // 2, (image.height - wanted.height) // 2
    if left < 0 or top < 0:
        raise DatasetUnavailable(
            f"{file} has {image.height} x {image.width} pixels, too few for the {wanted.height} x {wanted.width} of "
            "dataset.height and dataset.width; lower them, or take dataset.fit 'resize'"
        )
    return image.crop((left, top, left + wanted.width, top + wanted.height))


def _pooled(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """`[H, W, C]` with each block of `side` x `side` pixels as one, their mean rounded to a byte."""
    height, width, channels = pixels.shape
    blocks = pixels.reshape(height // side, side, width // side, side, channels)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return np.rint(means).astype(np.uint8)
