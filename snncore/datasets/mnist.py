"""MNIST from the four classic IDX files.

They are looked for in the folders of `SPIKESMITH_DATA` (separated like PATH; directly or in `mnist/`, gzipped or not),
then in the cache, then downloaded. What is found is checked against the MD5 of the unpacked originals.
"""

from __future__ import annotations

import gzip
from hashlib import md5
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets.places import cache_folder, data_folders, searched
from snncore.datasets.samples import Samples, Splits
from snncore.errors import DatasetUnavailable

CONTENT_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
ARCHIVE_MD5 = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
SOURCE = "https://ossci-datasets.s3.amazonaws.com/mnist/"


def load(dataset: spec.MNIST) -> Splits:
    """The validation set is the end of the training set; pixels stay bytes until a batch needs them."""
    train = _samples("train", dataset.pooling)
    n = len(train)
    return Splits(
        train=train[: dataset.n_train],
        validation=train[n - dataset.n_validation :],
        test=_samples("t10k", dataset.pooling)[: dataset.n_test],
    )


def _samples(part: str, pooling: int) -> Samples:
    images, labels = _idx(f"{part}-images-idx3-ubyte"), _idx(f"{part}-labels-idx1-ubyte")
    pooled = images if pooling == 1 else averaged(images, pooling)
    return Samples(pooled.reshape(len(pooled), -1), labels.astype(np.int64), scale=1 / 255)


def averaged(images: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Images `[n, H, W]` with each block of `side` x `side` pixels as one, their mean: `[n, H / side, W / side]`."""
    n, height, width = images.shape
    blocks = images.reshape(n, height // side, side, width // side, side)
    means: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32)
    return means


def _idx(name: str) -> NDArray[np.uint8]:
    """The array in an IDX file: magic number (its last byte the dimensions), big-endian sizes, bytes."""
    content = _content(name)
    n_dimensions = content[3]
    sizes = np.frombuffer(content, dtype=">u4", count=n_dimensions, offset=4)
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * n_dimensions)
    return values.reshape([int(size) for size in sizes]).copy()  # a view of the bytes would be read-only


def _content(name: str) -> bytes:
    for file in _found(name):
        try:
            content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        except (OSError, EOFError) as error:
            raise DatasetUnavailable(f"{file} cannot be read ({error}); remove it or replace it") from error
        if (found := md5(content, usedforsecurity=False).hexdigest()) != CONTENT_MD5[name]:
            raise DatasetUnavailable(f"{file} is not MNIST's {name}: its MD5 is {found}, not {CONTENT_MD5[name]}")
        return content
    return gzip.decompress(_download(name).read_bytes())


def _found(name: str) -> list[Path]:
    folders = [place for folder in data_folders() for place in (folder / "mnist", folder)]
    files = [folder / f"{name}{ending}" for folder in folders for ending in (".gz", "")]
    return [file for file in files if file.is_file()]


def _download(name: str, source: str = SOURCE) -> Path:
    import pooch

    folder = cache_folder() / "mnist"
    try:
        file = pooch.retrieve(f"{source}{name}.gz", f"md5:{ARCHIVE_MD5[name]}", f"{name}.gz", folder)
    except (OSError, ValueError) as error:
        raise DatasetUnavailable(
            f"MNIST's {name} was not found (searched: {searched()}) and could not be downloaded ({error}). "
            "Put the four IDX files into a folder `mnist` and name its parent in SPIKESMITH_DATA"
        ) from error
    return Path(file)
