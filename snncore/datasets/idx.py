"""Datasets that are published as the four classic IDX files: images and labels to train on, and to test on.

They are looked for in the folders of `SPIKESMITH_DATA`, then in the cache, then downloaded. What is found is checked
against MD5 sums: of the unpacked originals where they are known, else of the archives.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets.places import cache_folder, data_folders, searched
from snncore.datasets.samples import Samples, Splits
from snncore.errors import DatasetUnavailable
from snncore.streams import stream


@dataclass(frozen=True, slots=True)
class Published:
    """Where such a dataset is published (`source` + name + `.gz`), and what its files are known by."""

    title: str
    folders: tuple[str, ...]
    """Where it may lie in a data folder; the first is also its place in the cache."""
    source: str
    archive_md5: Mapping[str, str]
    content_md5: Mapping[str, str] | None = None
    """Without these, only the original archives are accepted."""


def load(published: Published, dataset: spec.MNIST | spec.FashionMNIST, seed: int) -> Splits:
    """The splits that the spec describes, from the data that were published; `seed` is that of a random subset."""
    images = _samples(published, "train", dataset.pooling)
    n_others = len(images) - dataset.n_validation
    chosen: slice | NDArray[np.int64] = slice(dataset.n_train)
    if dataset.subset == "random":
        chosen = stream(seed, "subset").permutation(n_others)[: dataset.n_train]
    return Splits(
        train=images[chosen],
        validation=images[n_others:],
        test=_samples(published, "t10k", dataset.pooling)[: dataset.n_test],
    )


def _samples(published: Published, part: str, pooling: int) -> Samples:
    images, labels = _array(published, f"{part}-images-idx3-ubyte"), _array(published, f"{part}-labels-idx1-ubyte")
    pooled = images if pooling == 1 else averaged(images, pooling)
    return Samples(pooled.reshape(len(pooled), -1), labels.astype(np.int64), scale=1 / 255)


def averaged(images: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Images `[n, H, W]` with each block of `side` x `side` pixels as one, their mean: `[n, H / side, W / side]`."""
    n, height, width = images.shape
    blocks = images.reshape(n, height // side, side, width // side, side)
    means: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32)
    return means


def _array(published: Published, name: str) -> NDArray[np.uint8]:
    """The array in an IDX file: magic number (its last byte the dimensions), big-endian sizes, bytes."""
    content = _content(published, name)
    n_dimensions = content[3]
    sizes = np.frombuffer(content, dtype=">u4", count=n_dimensions, offset=4)
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * n_dimensions)
    return values.reshape([int(size) for size in sizes]).copy()  # a view of the bytes would be read-only


def _content(published: Published, name: str) -> bytes:
    for file in _found(published, name):
        try:
            raw = file.read_bytes()
            content = gzip.decompress(raw) if file.suffix == ".gz" else raw
        except (OSError, EOFError) as error:
            raise DatasetUnavailable(f"{file} cannot be read ({error}); remove it or replace it") from error
        known, checked = published.archive_md5[name], raw
        if published.content_md5 is not None:
            known, checked = published.content_md5[name], content
        if (found := md5(checked, usedforsecurity=False).hexdigest()) != known:
            raise DatasetUnavailable(f"{file} is not {published.title}'s {name}: its MD5 is {found}, not {known}")
        return content
    return gzip.decompress(download(published, name).read_bytes())


def _found(published: Published, name: str) -> list[Path]:
    folders = [folder / place for folder in data_folders() for place in published.folders]
    endings = (".gz",) if published.content_md5 is None else (".gz", "")
    files = [folder / f"{name}{ending}" for folder in folders for ending in endings]
    return [file for file in files if file.is_file()]


def download(published: Published, name: str) -> Path:
    """The archive of a file in the cache, downloaded unless it is there, and checked."""
    import pooch

    folder = cache_folder() / published.folders[0]
    try:
        file = pooch.retrieve(
            f"{published.source}{name}.gz", f"md5:{published.archive_md5[name]}", f"{name}.gz", folder
        )
    except (OSError, ValueError) as error:
        raise DatasetUnavailable(
            f"{published.title}'s {name} was not found (searched: {searched()}) and could not be downloaded ({error}). "
            f"Put the four IDX files into a folder `{published.folders[0]}` and name its parent in SPIKESMITH_DATA"
        ) from error
    return Path(file)
