"""Datasets that somebody uploaded to the service."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from snncore.spec.base import Fraction, Part, UnitCount
from snncore.spec.errors import Location
from snncore.spec.image_cut import LARGEST_SIDE, ImageCut, broken_cut

DEFAULT_TEST_FRACTION = 0.2
DATASET_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


class _Contents(Part):
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the uploaded file, which it is found by.")
    n_samples: int = Field(ge=2, le=2**31, description="All of them.")
    n_test: int = Field(
        default=0, ge=0, le=2**31, description="The last so many were uploaded as the test set; 0: it is drawn."
    )


class ArrayContents(_Contents):
    """Samples as numbers. An image is `[height, width]` or `[height, width, channels]`."""

    format: Literal["arrays"]
    shape: list[UnitCount] = Field(min_length=1, max_length=3, description="Of one sample.")
    values: Literal["float", "uint8"] = Field(description="`uint8` counts in steps of 1/255.")
    low: float = Field(description="The smallest number that occurs, after scaling.")
    high: float = Field(description="The largest.")
    n_classes: int | None = Field(ge=2, le=65_536, description="Null: the samples have no classes.")


Size = Annotated[list[Annotated[int, Field(ge=1, le=2**31)]], Field(min_length=2, max_length=2)]


class ImageContents(_Contents):
    """Image files in a folder for each class."""

    format: Literal["images"]
    smallest: Size = Field(description="Rows and columns that each image has at least.")
    largest: Size = Field(description="Rows and columns that no image has more of.")
    channels: Literal[1, 3] = Field(description="1: all of them are grey.")
    n_classes: int = Field(ge=2, le=65_536)


class EventContents(_Contents):
    """Events, each at a time and of an address."""

    format: Literal["events"]
    n_addresses: UnitCount
    duration_ms: float = Field(ge=0, description="When the last event of all comes.")
    n_classes: int = Field(ge=2, le=65_536)


Contents: TypeAlias = Annotated[ArrayContents | ImageContents | EventContents, Field(discriminator="format")]


class Uploaded(Part):
    """A dataset that was uploaded with `PUT /v1/datasets/{name}`.

    Samples are shuffled and dealt out so that each split holds the classes in the proportions of the whole; where the
    upload has a test set of its own, the others are.
    """

    kind: Literal["uploaded"]
    name: Annotated[str, Field(pattern=DATASET_NAME, description="That it was uploaded under.")]
    test_fraction: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=f"Null: {DEFAULT_TEST_FRACTION:g}, or the test set that was uploaded.",
    )
    validation_fraction: Fraction = Field(
        default=0.1, description="Of all samples but those of an uploaded test set; 0 for none."
    )
    n_train: int | None = Field(
        default=None, ge=1, le=2**31, description="Train on so many of the samples that are left; null: on all."
    )
    split_seed: int = Field(default=0, ge=0, lt=2**63, description="Which samples go where; apart from the job's seed.")
    images: ImageCut | None = Field(
        default=None, description="How images are cut; null: they are all of one size, and stay as they are."
    )
    contents: Contents = Field(description="What was uploaded; the service fills it in.")


def features_of(dataset: Uploaded) -> int:
    """Numbers a sample, or addresses that its events may have."""
    match dataset.contents:
        case ArrayContents() as contents:
            return math.prod(contents.shape)
        case ImageContents() as contents:
            return math.prod(cut_of(dataset, contents).shape)
        case EventContents() as contents:
            return contents.n_addresses


def cut_of(dataset: Uploaded, contents: ImageContents) -> ImageCut:
    """How uploaded images are cut."""
    height, width = (min(side, LARGEST_SIDE) for side in contents.largest)
    return dataset.images or ImageCut(height=height, width=width, channels=contents.channels)


def left_for_training(dataset: Uploaded) -> dict[str, int]:
    """Samples of each split before `n_train` is taken of them."""
    contents = dataset.contents
    dealt = contents.n_samples - contents.n_test
    n_test = contents.n_test or round(dealt * (dataset.test_fraction or DEFAULT_TEST_FRACTION))
    n_validation = round(dealt * dataset.validation_fraction)
    n_train = dealt - n_validation - (0 if contents.n_test else n_test)
    return {"train": n_train, "validation": n_validation, "test": n_test}


def sizes_of(dataset: Uploaded) -> dict[str, int]:
    """Samples of each split."""
    sizes = left_for_training(dataset)
    return sizes if dataset.n_train is None else {**sizes, "train": dataset.n_train}


def image_shape_of(dataset: Uploaded) -> tuple[int, int, int] | None:
    """Height, width and channels, where the samples have two dimensions or more."""
    match dataset.contents:
        case ImageContents() as contents:
            return cut_of(dataset, contents).shape
        case ArrayContents(shape=[height, width]):
            return height, width, 1
        case ArrayContents(shape=[height, width, channels]):
            return height, width, channels
        case _:
            return None


def broken_upload(dataset: Uploaded) -> Iterator[tuple[Location, str]]:
    """Fields that do not go with what was uploaded, and why."""
    yield from _broken_splits(dataset)
    if isinstance(dataset.contents, ImageContents):
        yield from _broken_images(dataset, dataset.contents)
    elif dataset.images is not None:
        yield ("images",), f"is for uploaded image files only, and {dataset.name!r} has {dataset.contents.format}"


def _broken_splits(dataset: Uploaded) -> Iterator[tuple[Location, str]]:
    contents, left = dataset.contents, left_for_training(dataset)
    if contents.n_test and dataset.test_fraction is not None:
        yield (
            ("test_fraction",),
            f"{dataset.name!r} was uploaded with a test set of {contents.n_test} samples; leave it out",
        )
    elif left["train"] < 1 or left["test"] < 1:
        yield (
            ("validation_fraction" if contents.n_test else "test_fraction",),
            f"leaves an empty split of the {contents.n_samples} samples: test_fraction + validation_fraction must stay "
            "below 1, and each split that is asked for must hold a sample",
        )
    elif dataset.n_train is not None and dataset.n_train > left["train"]:
        yield ("n_train",), f"only {left['train']} samples are left for training"


def _broken_images(dataset: Uploaded, contents: ImageContents) -> Iterator[tuple[Location, str]]:
    smallest, largest = (f"{rows} x {columns}" for rows, columns in (contents.smallest, contents.largest))
    cut = dataset.images
    if cut is None:
        if smallest != largest or max(contents.largest) > LARGEST_SIDE:
            yield (
                ("images",),
                f"the images have {smallest} to {largest} pixels; say to which height and width, {LARGEST_SIDE} at "
                "most, they are to be cut",
            )
        return
    for field, msg in broken_cut(cut):
        yield ("images", field), msg
    if cut.fit == "crop" and (cut.height > contents.smallest[0] or cut.width > contents.smallest[1]):
        yield ("images", "fit"), f"there are images with {smallest} pixels only; take 'resize', or cut them smaller"


def unshown_as_rates(dataset: Uploaded) -> Iterator[str]:
    """What about the numbers of a dataset no firing rate can show."""
    contents = dataset.contents
    if not isinstance(contents, ArrayContents):
        return
    if contents.low < 0:
        yield (
            f"{dataset.name!r} goes from {contents.low:g} to {contents.high:g}, and what lies below 0 makes no spikes; "
            "scale the samples to 0 to 1, or take the encoding 'direct'"
        )
    elif contents.high > 10:
        yield (
            f"{dataset.name!r} goes up to {contents.high:g}, and max_rate_hz is the rate of 1; scale the samples to 0 "
            "to 1"
        )


def uploaded_sha256(dataset: object) -> str | None:
    """The sha256 of the file that a dataset is made of, if it was uploaded."""
    return dataset.contents.sha256 if isinstance(dataset, Uploaded) else None
