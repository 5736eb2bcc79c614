"""The tiny images of CIFAR (Krizhevsky 2009)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from snncore.spec.preparation import PreparedImages


class CIFAR(PreparedImages):
    """50,000 images for training and 10,000 for tests; validation is the end of the former."""

    n_train: int = Field(default=45_000, ge=1, le=50_000, description="The first so many training images.")
    n_validation: int = Field(default=5_000, ge=0, le=49_999, description="The last so many training images.")
    n_test: int = Field(default=10_000, ge=1, le=10_000, description="The first so many test images.")


class CIFAR10(CIFAR):
    """60,000 photographs of ten classes, 32 x 32 pixels in colour, scaled to [0, 1] (Krizhevsky 2009)."""

    kind: Literal["cifar10"]


class CIFAR100(CIFAR):
    """60,000 photographs of 100 classes, 32 x 32 pixels in colour, scaled to [0, 1] (Krizhevsky 2009)."""

    kind: Literal["cifar100"]
    labels: Literal["fine", "coarse"] = Field(
        default="fine", description="The 100 classes, or the 20 superclasses that they belong to."
    )
