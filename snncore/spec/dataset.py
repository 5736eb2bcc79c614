"""Where the samples come from."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Fraction, Part, UnitCount
from snncore.spec.cifar import CIFAR, CIFAR10, CIFAR100
from snncore.spec.images import Flowers102, ImageFiles, ImageFolder
from snncore.spec.recordings import NMNIST, SHD, DVSGesture, EventRecordings
from snncore.spec.uploaded import EventContents, Uploaded, features_of, image_shape_of, sizes_of


class Digits(Part):
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships, scaled to [0, 1]; stratified splits."""

    kind: Literal["digits"]
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    validation_fraction: Fraction = Field(default=0.1, description="Of all samples; 0 for none.")
    split_seed: int = Field(default=0, ge=0, lt=2**63, description="Which samples go where; apart from the job's seed.")


class _SmallImages(Part):
    """60,000 images for training and 10,000 for tests, of 28 x 28 grey pixels; validation is the end of the former."""

    n_train: int = Field(default=55_000, ge=1, le=60_000, description="So many training images.")
    subset: Literal["first", "random"] = Field(
        default="first",
        description="Which of the training images that are not for validation: the first n_train, or n_train of them "
        "drawn without replacement by the job's seed.",
    )
    n_validation: int = Field(default=5_000, ge=0, le=59_999, description="The last so many training images.")
    n_test: int = Field(default=10_000, ge=1, le=10_000, description="The first so many test images.")
    pooling: Literal[1, 2, 4, 7] = Field(default=1, description="Blocks of so many pixels squared are averaged to one.")


class MNIST(_SmallImages):
    """The 70,000 MNIST digits of 28 x 28 pixels, scaled to [0, 1]; validation is the end of the training set."""

    kind: Literal["mnist"]


class FashionMNIST(_SmallImages):
    """70,000 pictures of clothes in ten classes, in the format of MNIST (Xiao, Rasul and Vollgraf 2017)."""

    kind: Literal["fashion_mnist"]


class ExponentialVectors(Part):
    """Vectors of independent exponentially distributed features, drawn anew for each seed."""

    kind: Literal["exponential"]
    n_features: UnitCount
    mean: float = Field(default=0.5, gt=0, le=1e3)
    n_train: int = Field(default=10_000, ge=1, le=10_000_000)
    n_validation: int = Field(default=1_000, ge=0, le=1_000_000)
    n_test: int = Field(default=1_000, ge=1, le=1_000_000)
    fresh: bool = Field(default=False, description="Whether the training samples are drawn anew for every epoch.")


class StoreRecall(Part):
    """Sequences of slots to remember values in (Bellec et al. 2018; Renner 2020, section 4.2).

    A slot shows one of `n_values` values, drawn anew in each. With `command_probability` it carries a command as well,
    by turns store and recall; no value is shown at a recall, and the slot after a store carries no command. A sequence
    ends with no store open and holds one recall at least. The features are a frame for each slot: the values one-hot,
    then store, then recall. To be answered at each recall: the value of the last store.
    """

    kind: Literal["store_recall"]
    n_values: int = Field(ge=2, le=1_000)
    n_slots: int = Field(default=12, ge=3, le=1_000)
    command_probability: float = Field(default=1 / 6, gt=0, lt=1)
    n_train: int = Field(default=1_280, ge=1, le=10_000_000)
    n_validation: int = Field(default=128, ge=0, le=1_000_000)
    n_test: int = Field(default=1_280, ge=1, le=1_000_000)
    fresh: bool = Field(default=True, description="Whether the training sequences are drawn anew for every epoch.")


Dataset = Annotated[
    Digits
    | MNIST
    | FashionMNIST
    | CIFAR10
    | CIFAR100
    | ImageFolder
    | Flowers102
    | ExponentialVectors
    | StoreRecall
    | NMNIST
    | SHD
    | DVSGesture
    | Uploaded,
    Field(discriminator="kind"),
]


def image_shape(dataset: Dataset) -> tuple[int, int, int] | None:
    """Height, width and channels of samples that are images, whose features are in this order; None for others."""
    match dataset:
        case Digits():
            return 8, 8, 1
        case MNIST() | FashionMNIST():
            return 28 // dataset.pooling, 28 // dataset.pooling, 1
        case CIFAR():
            return 32, 32, 3
        case ImageFiles():
            return dataset.shape
        case Uploaded():
            return image_shape_of(dataset)
        case _:
            return None


def n_features(dataset: Dataset) -> int:
    """Numbers a sample, or addresses that its events may have."""
    match dataset:
        case ExponentialVectors():
            return dataset.n_features
        case StoreRecall():
            return dataset.n_slots * (dataset.n_values + 2)
        case EventRecordings():
            return prod(dataset.addresses)
        case Uploaded():
            return features_of(dataset)
        case _:
            return prod(image_shape(dataset) or ())


def holds_events(dataset: Dataset) -> bool:
    """Whether samples are events, not features."""
    if isinstance(dataset, Uploaded):
        return isinstance(dataset.contents, EventContents)
    return isinstance(dataset, EventRecordings)


def held_in_memory(dataset: Dataset) -> bool:
    """Whether all samples are in memory at once; of image files, recordings and uploads only the batch that is asked
    for."""
    return not isinstance(dataset, ImageFiles | CIFAR | EventRecordings | Uploaded)


def n_classes(dataset: Dataset) -> int | None:
    """Classes of the labels, or None where samples have none."""
    match dataset:
        case ExponentialVectors():
            return None
        case StoreRecall():
            return dataset.n_values
        case Uploaded():
            return dataset.contents.n_classes
        case ImageFiles():
            return dataset.n_classes
        case CIFAR100():
            return 100 if dataset.labels == "fine" else 20
        case SHD():
            return 20
        case DVSGesture():
            return 11
        case _:
            return 10


def split_sizes(dataset: Dataset) -> dict[str, int]:
    """Samples of each split."""
    if isinstance(dataset, Digits):
        n_test = round(1_797 * dataset.test_fraction)
        n_validation = round(1_797 * dataset.validation_fraction)
        return {"train": 1_797 - n_test - n_validation, "validation": n_validation, "test": n_test}
    if isinstance(dataset, Uploaded):
        return sizes_of(dataset)
    return {"train": dataset.n_train, "validation": dataset.n_validation, "test": dataset.n_test}
