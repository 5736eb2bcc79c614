"""The files that datasets need and that Spikesmith can fetch."""

from __future__ import annotations

from typing import NamedTuple


class DataFiles(NamedTuple):
    folders: tuple[str, ...]
    """Where they may lie, below a folder of data or of the cache."""
    names: tuple[str, ...]
    """Files, each perhaps ending in `.gz`, or folders; all of them are needed."""


_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DATA_FILES: dict[str, DataFiles] = {
    "mnist": DataFiles(("mnist", "."), _IDX),
    "fashion_mnist": DataFiles(("fashion_mnist",), _IDX),
    "cifar10": DataFiles(("cifar-10-batches-bin",), (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")),
    "cifar100": DataFiles(("cifar-100-binary",), ("train.bin", "test.bin")),
    "flowers102": DataFiles(("flowers102", "."), ("jpg", "imagelabels.mat")),
    "nmnist": DataFiles((".", "tonic"), ("NMNIST",)),
    "shd": DataFiles((".", "tonic"), ("SHD",)),
    "dvs_gesture": DataFiles((".", "tonic"), ("DVSGesture",)),
}
"""By the kind of dataset. Other kinds need none."""
