"""Datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.cifar import CIFAR
from snncore.spec.dataset import (
    MNIST,
    Digits,
    FashionMNIST,
    StoreRecall,
    image_shape,
    split_sizes,
)
from snncore.spec.image_cut import broken_cut
from snncore.spec.images import Flowers102, ImageFiles, ImageFolder
from snncore.spec.preparation import PreparedImages, broken_preparation
from snncore.spec.recordings import EventRecordings
from snncore.spec.rules.broken import Broken
from snncore.spec.uploaded import Uploaded, broken_upload

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def dataset(spec: JobSpec) -> Broken:
    dataset = spec.dataset
    sizes = split_sizes(dataset)
    match dataset:
        case Digits() if sizes["train"] < 1 or sizes["test"] < 1:
            yield (
                ("dataset", "test_fraction"),
                "leaves an empty split: test_fraction + validation_fraction must stay below 1, "
                "and each split that is asked for must hold a sample",
            )
        case MNIST() | FashionMNIST() if dataset.n_train + dataset.n_validation > 60_000:
            yield (
                ("dataset", "n_validation"),
                "n_train + n_validation must not exceed the 60,000 training images",
            )
        case CIFAR() if dataset.n_train + dataset.n_validation > 50_000:
            yield (
                ("dataset", "n_validation"),
                "n_train + n_validation must not exceed the 50,000 training images",
            )
        case ImageFiles():
            yield from _images(dataset)
        case EventRecordings() if dataset.n_train + dataset.n_validation > dataset.recorded:
            yield (
                ("dataset", "n_validation"),
                f"n_train + n_validation must not exceed the {dataset.recorded:,} training recordings",
            )
        case StoreRecall() if spec.encoding.frames != dataset.n_slots:
            yield ("encoding", "frames"), f"must be dataset.n_slots = {dataset.n_slots}: a frame for each slot"
        case Uploaded():
            for fields, msg in broken_upload(dataset):
                yield ("dataset", *fields), msg


def preparation(spec: JobSpec) -> Broken:
    shape = image_shape(spec.dataset)
    if isinstance(spec.dataset, PreparedImages) and shape is not None:
        for fields, msg in broken_preparation(spec.dataset, shape):
            yield ("dataset", *fields), msg


def _images(dataset: ImageFolder | Flowers102) -> Broken:
    for split, size in split_sizes(dataset).items():
        if size % dataset.n_classes:
            yield (
                ("dataset", f"n_{split}"),
                f"must be a multiple of n_classes = {dataset.n_classes}, so that each class has as many images",
            )
    for field, msg in broken_cut(dataset):
        yield ("dataset", field), msg
    if isinstance(dataset, ImageFolder) and dataset.classes is not None:
        if len(dataset.classes) != dataset.n_classes:
            yield ("dataset", "classes"), f"names {len(dataset.classes)} classes, and n_classes is {dataset.n_classes}"
        if len(set(dataset.classes)) < len(dataset.classes):
            yield ("dataset", "classes"), "names a class twice"
