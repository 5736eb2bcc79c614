"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) as they are published in binary form.

A file is a row of records: the label (of CIFAR-100 the coarse, then the fine one), then 3 x 32 x 32 bytes, which are
the planes red, green and blue, each by rows. The folder of the archive is looked for in the folders of
`SPIKESMITH_DATA`, then in the cache, then downloaded. The pixels go once into a file of the cache, in the order row,
column, channel.
"""

from __future__ import annotations

import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets.places import cache_folder, data_folders, locked, searched
from snncore.datasets.rows import key_of, mapped
from snncore.datasets.samples import Samples, Splits
from snncore.errors import DatasetUnavailable

SOURCE = "https://www.cs.toronto.edu/~kriz/"
SIDE, CHANNELS = 32, 3
N_PIXELS = CHANNELS * SIDE * SIDE
ROWS_AT_ONCE = 5_000
LAYOUT = "cifar 1"
"""Part of the key of the file in the cache; to be changed when the same files come to other bytes."""


@dataclass(frozen=True, slots=True)
class Published:
    """An archive, the folder in it, and the images in each of the files, those for tests last."""

    title: str
    archive: str
    sha256: str
    folder: str
    files: Mapping[str, int]
    labels: tuple[str, ...]
    """What the first bytes of a record are."""

    @property
    def record(self) -> int:
        """Bytes of an image and its labels."""
        return len(self.labels) + N_PIXELS


CIFAR10 = Published(
    title="CIFAR-10",
    archive="cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder="cifar-10-batches-bin",
    files={f"data_batch_{i}.bin": 10_000 for i in range(1, 6)} | {"test_batch.bin": 10_000},
    labels=("fine",),
)
CIFAR100 = Published(
    title="CIFAR-100",
    archive="cifar-100-binary.tar.gz",
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    folder="cifar-100-binary",
    files={"train.bin": 50_000, "test.bin": 10_000},
    labels=("coarse", "fine"),
)


def load(dataset: spec.CIFAR10 | spec.CIFAR100) -> Splits:
    """The validation set is the end of the training set."""
    published, which = (CIFAR10, "fine") if isinstance(dataset, spec.CIFAR10) else (CIFAR100, dataset.labels)
    places = [*(folder / published.folder for folder in data_folders()), cache_folder() / published.folder]
    folder = next((place for place in places if _complete(place, published)), None) or download(published)
    files = [folder / name for name in published.files]
    records = [_records(published, file) for file in files]
    n_classes = spec.n_classes(dataset) or 0
    y = np.concatenate(
        [_labels(published, file, held, which, n_classes) for file, held in zip(files, records, strict=True)]
    )
    x = mapped(key_of(files, LAYOUT), (len(y), N_PIXELS), lambda: _pixels(published, records))
    samples, n_test = Samples(x, y, scale=1 / 255), len(records[-1])
    train, test = samples[:-n_test], samples[-n_test:]
    return Splits(
        train=train[: dataset.n_train],
        validation=train[len(train) - dataset.n_validation :],
        test=test[: dataset.n_test],
    )


def _records(published: Published, file: Path) -> NDArray[np.uint8]:
    """The records of a file, `[n, bytes]`, mapped read-only."""
    n, size = published.files[file.name], file.stat().st_size
    if size != n * published.record:
        raise DatasetUnavailable(
            f"{file} is not {published.title}'s: it has {size} bytes, and {n} images of {published.record} bytes are "
            f"{n * published.record}; unpack {published.archive} again"
        )
    try:
        return np.memmap(file, np.uint8, "r", shape=(n, published.record))
    except OSError as error:
        raise DatasetUnavailable(f"{file} cannot be read ({error}); remove it or replace it") from error


def _labels(
    published: Published, file: Path, records: NDArray[np.uint8], which: str, n_classes: int
) -> NDArray[np.int64]:
    labels = records[:, published.labels.index(which)].astype(np.int64)
    if (highest := int(labels.max())) >= n_classes:
        raise DatasetUnavailable(
            f"{file} is not {published.title}'s: image {int(labels.argmax())} is of class {highest}, and the classes "
            f"({which}) are 0 to {n_classes - 1}; unpack {published.archive} again"
        )
    return labels


def _pixels(published: Published, files: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """The pixels of all images in the order row, column, channel, some at a time."""
    for records in files:
        for first in range(0, len(records), ROWS_AT_ONCE):
            planes = records[first : first + ROWS_AT_ONCE, len(published.labels) :]
            yield planes.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)


def _complete(folder: Path, published: Published) -> bool:
    return all((folder / name).is_file() for name in published.files)


def download(published: Published) -> Path:
    """The folder in the cache, unpacked from the archive, and there as a whole or not at all."""
    import pooch

    root = cache_folder()
    folder = root / published.folder
    try:
        with locked(root / f"{published.folder}.lock"):
            if not _complete(folder, published):
                url, known = SOURCE + published.archive, f"sha256:{published.sha256}"
                archive = Path(pooch.retrieve(url, known, published.archive, root))
                _unpack(archive, folder, published)
                archive.unlink()
    except (OSError, ValueError, KeyError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DatasetUnavailable(
            f"{published.title} was not found (searched: {searched()}) and could not be downloaded ({error}). Unpack "
            f"{published.archive} and name the parent of its folder `{published.folder}` in SPIKESMITH_DATA"
        ) from error
    return folder


def _unpack(archive: Path, folder: Path, published: Published) -> None:
    """The files of images in the archive and nothing else that may be in it."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    with tarfile.open(archive, "r:*") as packed:
        for name in published.files:
            content = packed.extractfile(f"{published.folder}/{name}")
            if content is None:
                raise ValueError(f"{archive.name} has no file {published.folder}/{name}")
            with (part / name).open("wb") as output:
                shutil.copyfileobj(content, output)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
