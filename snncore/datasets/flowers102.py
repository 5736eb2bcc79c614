"""The Oxford 102 Category Flower Dataset (Nilsback and Zisserman 2008) as it is published.

`jpg/image_00001.jpg` and on, and `imagelabels.mat`, the class of each, are looked for in the folders of
`SPIKESMITH_DATA` (directly or in `flowers102/`), then in the cache, then downloaded.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets.images import deal, in_splits
from snncore.datasets.places import cache_folder, data_folders, locked, searched
from snncore.datasets.samples import Splits
from snncore.errors import DatasetUnavailable
from snncore.streams import stream

SOURCE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
IMAGES, LABELS = "102flowers.tgz", "imagelabels.mat"
MD5 = {IMAGES: "52808999861908f626f3c1f4e79d11fa", LABELS: "e0620be6f572b9609742df49c70aed4d"}


def load(dataset: spec.Flowers102) -> Splits:
    """Of each of the most frequent classes the first images: the first of them to test on, the others dealt."""
    root = next((place for place in _places() if _complete(place)), None) or download()
    labels = _labels(root / LABELS)
    each = {split: size // dataset.n_classes for split, size in spec.split_sizes(dataset).items()}
    chosen: dict[str, list[list[Path]]] = {split: [] for split in each}
    for label in most_frequent(labels, dataset.n_classes):
        numbers = np.flatnonzero(labels == label) + 1
        if len(numbers) < sum(each.values()):
            raise DatasetUnavailable(
                f"dataset.n_train + dataset.n_validation + dataset.n_test ask for {sum(each.values())} images of each "
                f"class, and class {label} of the flowers has {len(numbers)}; lower them or dataset.n_classes"
            )
        files = [root / "jpg" / f"image_{number:05}.jpg" for number in numbers[: sum(each.values())]]
        others = {split: each[split] for split in ("validation", "train")}
        dealt = deal(files[each["test"] :], others, stream(dataset.split_seed, f"split/flowers102/{label}"))
        for split, members in (dealt | {"test": files[: each["test"]]}).items():
            chosen[split].append(members)
    return in_splits(chosen, dataset)


def most_frequent(labels: NDArray[np.int64], n: int) -> list[int]:
    """The `n` classes with the most images, the largest first, of equal ones the lower number first."""
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < n:
        raise DatasetUnavailable(f"dataset.n_classes is {n}, and the labels of the flowers have {len(classes)}")
    return [int(classes[place]) for place in np.argsort(-counts, kind="stable")[:n]]


def _labels(file: Path) -> NDArray[np.int64]:
    from scipy.io import loadmat

    try:
        labels: NDArray[np.int64] = loadmat(file)["labels"].ravel().astype(np.int64)
    except Exception as error:  # it raises all kinds of errors about files that are broken
        raise DatasetUnavailable(f"{file} cannot be read ({error!r}); remove it or replace it") from error
    return labels


def _places() -> list[Path]:
    found = [place for folder in data_folders() for place in (folder / "flowers102", folder)]
    return [*found, cache_folder() / "flowers102"]


def _complete(folder: Path) -> bool:
    return (folder / "jpg").is_dir() and (folder / LABELS).is_file()


def download() -> Path:
    """The folder in the cache, with labels and images, which are unpacked and then there as a whole."""
    import pooch

    folder = cache_folder() / "flowers102"
    try:
        with locked(folder / "lock"):
            if not _complete(folder):
                archive, _ = (
                    Path(pooch.retrieve(SOURCE + name, f"md5:{MD5[name]}", name, folder)) for name in (IMAGES, LABELS)
                )
                _unpack(archive, folder / "jpg")
                archive.unlink()
    except (OSError, ValueError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DatasetUnavailable(
            f"the Oxford flowers were not found (searched: {searched()}) and could not be downloaded ({error}). "
            f"Put their `jpg` and {LABELS} into a folder `flowers102` and name its parent in SPIKESMITH_DATA"
        ) from error
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    """The images in the archive and nothing else that may be in it."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    with tarfile.open(archive, "r:*") as packed:
        for member in packed:
            content = packed.extractfile(member) if member.isfile() else None
            if content is not None and re.fullmatch(r"jpg/image_\d{5}\.jpg", member.name):
                with (part / Path(member.name).name).open("wb") as output:
                    shutil.copyfileobj(content, output)
    part.rename(folder)
