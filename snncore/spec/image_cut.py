"""How image files become samples of one size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from snncore.spec.base import Part

LARGEST_SIDE = 2_048


class ImageCut(Part):
    """How each image is cut to `height` x `width` x `channels`."""

    height: int = Field(ge=1, le=LARGEST_SIDE, description="Rows, before pooling.")
    width: int = Field(ge=1, le=LARGEST_SIDE, description="Columns, before pooling.")
    channels: Literal[1, 3] = Field(default=3, description="3: red, green, blue; 1: grey.")
    fit: Literal["crop", "resize"] = Field(
        default="resize",
        description="crop: the centre of the image as it is. resize: the image is scaled, its proportions kept, until "
        "it just covers height x width, and then the centre of that.",
    )
    pooling: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Blocks of so many pixels squared are averaged to one, rounded to a byte.",
    )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what comes of an image."""
        return self.height // self.pooling, self.width // self.pooling, self.channels


def broken_cut(cut: ImageCut) -> Iterator[tuple[str, str]]:
    """Fields that do not fit together, and why."""
    if cut.height % cut.pooling or cut.width % cut.pooling:
        yield "pooling", f"must divide height = {cut.height} and width = {cut.width}"
