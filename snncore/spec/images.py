"""Image files to train on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.image_cut import ImageCut

_PATH_PART = r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*"
"""A file name that is neither hidden nor leads upwards."""
ClassName = Annotated[str, Field(pattern=f"^{_PATH_PART}$", max_length=100)]


class ImageFiles(ImageCut):
    """Images of classes: how each is cut to `height` x `width` x `channels`, and how many there are of them.

    The features of a sample are its bytes in the order row, column, channel, scaled to [0, 1]. Each split holds equally
    many images of every class, in turns. The worker decodes them once, into a file of its cache, and reads batches.
    """

    n_classes: int = Field(ge=2, le=10_000)
    n_train: int = Field(ge=1, le=1_000_000, description="Training images of all classes together.")
    n_validation: int = Field(default=0, ge=0, le=1_000_000, description="Taken from what is there for training.")
    n_test: int = Field(ge=1, le=1_000_000)
    split_seed: int = Field(default=0, ge=0, lt=2**63, description="Which images go where; apart from the job's seed.")


class ImageFolder(ImageFiles):
    """Images in a folder for each class.

    `folder` lies in one of the folders that SPIKESMITH_DATA names where the worker runs. It holds `train/CLASS/` and
    `test/CLASS/`, or `CLASS/` alone, of which test images are dealt first. Read are BMP, GIF, JPEG, PNG, PPM, TIFF and
    WebP files by their endings; transparent images are laid on white.
    """

    kind: Literal["image_folder"]
    folder: str = Field(
        pattern=f"^{_PATH_PART}(/{_PATH_PART})*$",
        max_length=200,
        description="Its name, without '..', below a folder of SPIKESMITH_DATA.",
    )
    classes: list[ClassName] | None = Field(
        default=None, min_length=2, max_length=10_000, description="Which class folders; default: all there are."
    )


class Flowers102(ImageFiles):
    """Photographs of flowers: the most frequent classes of the Oxford 102 Category Flower Dataset (Nilsback and
    Zisserman 2008), as in Gerum and Schilling (2020, section 4).

    Of each class it takes the first images by number. The first of these are to be tested on, validation images are
    drawn from the others. The splits that are published with the images are not used.
    """

    kind: Literal["flowers102"]
    n_classes: int = Field(default=10, ge=2, le=102, description="The most frequent so many classes.")
    n_train: int = Field(default=900, ge=1, le=8_189, description="Training images of all classes together.")
    n_validation: int = Field(default=100, ge=0, le=8_189, description="Drawn from the images that are not for tests.")
    n_test: int = Field(default=200, ge=1, le=8_189, description="The first images of the classes.")
    height: int = Field(default=400, ge=1, le=2_048, description="Rows, before pooling.")
    width: int = Field(default=500, ge=1, le=2_048, description="Columns, before pooling.")
    fit: Literal["crop", "resize"] = Field(default="crop", description="As of the kind 'image_folder'.")
