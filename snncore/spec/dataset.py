"""Where the samples come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Fraction, Part, UnitCount
from snncore.spec.uploaded import Uploaded, features_of, sizes_of


class Digits(Part):
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships, scaled to [0, 1]; stratified splits."""

    kind: Literal["digits"]
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    validation_fraction: Fraction = Field(default=0.1, description="Of all samples; 0 for none.")
    split_seed: int = Field(default=0, ge=0, lt=2**63, description="Which samples go where; apart from the job's seed.")


class MNIST(Part):
    """The 70,000 MNIST digits of 28 x 28 pixels, scaled to [0, 1]; validation is the end of the training set."""

    kind: Literal["mnist"]
    n_train: int = Field(default=55_000, ge=1, le=60_000, description="The first so many training images.")
    n_validation: int = Field(default=5_000, ge=0, le=59_999, description="The last so many training images.")
    n_test: int = Field(default=10_000, ge=1, le=10_000, description="The first so many test images.")
    pooling: Literal[1, 2, 4, 7] = Field(default=1, description="Blocks of so many pixels squared are averaged to one.")


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


Dataset = Annotated[Digits | MNIST | ExponentialVectors | StoreRecall | Uploaded, Field(discriminator="kind")]


def n_features(dataset: Dataset) -> int:
    """Numbers a sample."""
    match dataset:
        case Digits():
            return 64
        case MNIST():
            return (28 // dataset.pooling) ** 2
        case ExponentialVectors():
            return dataset.n_features
        case StoreRecall():
            return dataset.n_slots * (dataset.n_values + 2)
        case Uploaded():
            return features_of(dataset)


def n_classes(dataset: Dataset) -> int | None:
    """Classes of the labels, or None where samples have none."""
    match dataset:
        case ExponentialVectors():
            return None
        case StoreRecall():
            return dataset.n_values
        case Uploaded():
            return dataset.contents.n_classes
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
