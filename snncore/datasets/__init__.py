"""Datasets by their spec."""

from __future__ import annotations

from snncore import spec
from snncore.datasets import (
    cifar,
    digits,
    exponential,
    fashion_mnist,
    flowers102,
    image_folder,
    mnist,
    recordings,
    store_recall,
    uploaded,
)
from snncore.datasets.events import EventSamples
from snncore.datasets.samples import AnySamples, Samples, Splits

__all__ = ["AnySamples", "EventSamples", "Samples", "Splits", "load"]


def load(dataset: spec.Dataset, seed: int) -> Splits:
    """The splits that the spec describes. Raises `DatasetUnavailable` when the data cannot be had."""
    match dataset:
        case spec.Digits():
            return digits.load(dataset)
        case spec.MNIST():
            return mnist.load(dataset, seed)
        case spec.FashionMNIST():
            return fashion_mnist.load(dataset, seed)
        case spec.CIFAR10() | spec.CIFAR100():
            return cifar.load(dataset)
        case spec.ImageFolder():
            return image_folder.load(dataset)
        case spec.Flowers102():
            return flowers102.load(dataset)
        case spec.ExponentialVectors():
            return exponential.load(dataset, seed)
        case spec.StoreRecall():
            return store_recall.load(dataset, seed)
        case spec.EventRecordings():
            return recordings.load(dataset)
        case spec.Uploaded():
            return uploaded.load(dataset)
