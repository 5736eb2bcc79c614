"""What is done to images between the file and the encoding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from snncore.spec.base import Part
from snncore.spec.errors import Location


class Augmentation(Part):
    """Training images are changed at random each time they are shown (He et al. 2016, section 4.2); others are not."""

    crop_padding: int = Field(
        default=0,
        ge=0,
        le=1_024,
        description="So many black pixels are laid around an image, and a part of its own size is cut from a place of "
        "the result that is drawn, all as likely.",
    )
    horizontal_flip: bool = Field(default=False, description="Whether an image is mirrored with a probability of 1/2.")


class Standardisation(Part):
    """Each channel is shown as (x - mean) / std, in all splits; pixels x are those from 0 to 1."""

    mean: list[Annotated[float, Field(ge=-1e3, le=1e3)]] = Field(min_length=1, max_length=3, description="By channel.")
    std: list[Annotated[float, Field(ge=1e-6, le=1e3)]] = Field(min_length=1, max_length=3, description="By channel.")


class PreparedImages(Part):
    """A dataset of images that can be augmented and standardised."""

    augmentation: Augmentation | None = Field(default=None, description="Null: images are shown as they are.")
    standardise: Standardisation | None = Field(default=None, description="Null: pixels go from 0 to 1.")


def broken_preparation(dataset: PreparedImages, shape: tuple[int, int, int]) -> Iterator[tuple[Location, str]]:
    """Fields that do not go with images of this height, width and number of channels, and why."""
    height, width, n_channels = shape
    augmentation = dataset.augmentation
    if augmentation is not None:
        if augmentation.crop_padding >= min(height, width):
            yield (
                ("augmentation", "crop_padding"),
                f"must be below {min(height, width)}, or some crops would hold nothing of the image",
            )
        if augmentation.crop_padding == 0 and not augmentation.horizontal_flip:
            yield ("augmentation",), "changes nothing: set crop_padding or horizontal_flip, or leave it out"
    if dataset.standardise is not None:
        for field in ("mean", "std"):
            n = len(getattr(dataset.standardise, field))
            if n != n_channels:
                yield ("standardise", field), f"has {n} values, and the images have {n_channels} channels"
