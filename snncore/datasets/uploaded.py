"""Datasets that were uploaded to the service.

The worker puts the file of each into the cache, `uploads/SHA256`. What is in it was checked when it was uploaded.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets.class_folders import class_folders
from snncore.datasets.dealing import dealt
from snncore.datasets.events import EventSamples
from snncore.datasets.images import decoded
from snncore.datasets.places import cache_folder, locked
from snncore.datasets.samples import AnySamples, Samples, Splits
from snncore.errors import DatasetUnavailable
from snncore.spec.uploaded import cut_of
from snncore.streams import stream

ROWS_AT_ONCE_BYTES = 2**24


def place_of(sha256: str) -> Path:
    """Where the uploaded file with this sha256 has to be."""
    return cache_folder() / "uploads" / sha256


def load(dataset: spec.Uploaded) -> Splits:
    """The splits of an uploaded dataset. Raises `DatasetUnavailable` when its file is not there, or cannot be read."""
    file = place_of(dataset.contents.sha256)
    if not file.is_file():
        raise DatasetUnavailable(
            f"the uploaded dataset {dataset.name!r} is not at {file}; run the job by the service, which puts it there"
        )
    try:
        match dataset.contents:
            case spec.ArrayContents() as contents:
                return _arrays(dataset, contents, file)
            case spec.ImageContents() as contents:
                return _images(dataset, contents, file)
            case spec.EventContents():
                return _events(dataset, file)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetUnavailable(
            f"the uploaded dataset {dataset.name!r} cannot be read from {file} ({error}); remove that file and make "
            "sure that the disk has room, then submit the job again"
        ) from error


def _arrays(dataset: spec.Uploaded, contents: spec.ArrayContents, file: Path) -> Splits:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
        y = _joined(archive["y"], archive["y_test"] if contents.n_test else None) if contents.n_classes else None
    order = _order(dataset, y)
    x = _in_order(file, order, dataset.split_seed, contents)
    samples = Samples(x, None if y is None else y[order], 1 / 255 if contents.values == "uint8" else 1.0)
    return _split(dataset, samples)


def _images(dataset: spec.Uploaded, contents: spec.ImageContents, file: Path) -> Splits:
    with zipfile.ZipFile(file) as archive:
        found = class_folders(member.filename for member in archive.infolist() if not member.is_dir())
    members = found.train + found.test
    y = np.array([label for _, label in members], np.int64)
    order = _order(dataset, y)
    folder = _unpacked(file)
    x = decoded([folder / members[place][0] for place in order], cut_of(dataset, contents))
    return _split(dataset, Samples(x, y[order], 1 / 255))


def _events(dataset: spec.Uploaded, file: Path) -> Splits:
    folder = _unpacked(file)
    starts, times_ms, addresses, y = (
        np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in ("starts", "times_ms", "addresses", "y")
    )
    y = np.asarray(y, np.int64)
    recordings = EventSamples(
        starts=np.asarray(starts, np.int64),
        times_ms=_as(times_ms, np.float32),
        addresses=_as(addresses, np.int32),
        y=y,
    )
    return _split(dataset, recordings[_order(dataset, y)])


def _as(values: NDArray[Any], kind: type[np.generic]) -> NDArray[Any]:
    """The values as they are mapped, if they are of that kind."""
    return values if values.dtype == kind else values.astype(kind)


def _unpacked(file: Path) -> Path:
    """The folder with what is in an archive, unpacked once. It appears whole or not at all."""
    folder = file.with_name(f"{file.name}-files")
    if not folder.is_dir():
        with locked(file.with_suffix(".lock")):
            if not folder.is_dir():
                with tempfile.TemporaryDirectory(dir=file.parent, prefix="unpacking-") as part:
                    with zipfile.ZipFile(file) as archive:
                        archive.extractall(Path(part) / "files")
                    os.replace(Path(part) / "files", folder)
    return folder


def _joined(y: NDArray[np.generic], y_test: NDArray[np.generic] | None) -> NDArray[np.int64]:
    parts = [y] if y_test is None else [y, y_test]
    return np.concatenate([part.astype(np.int64) for part in parts])


def _order(dataset: spec.Uploaded, y: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The samples in the order in which they are dealt: it depends on the seed alone, not on the sizes of the splits.

    Those of an uploaded test set keep their places at the end.
    """
    n, n_test = dataset.contents.n_samples, dataset.contents.n_test
    first = dealt(n - n_test, None if y is None else y[: n - n_test], stream(dataset.split_seed, "split/uploaded"))
    return np.concatenate([first, np.arange(n - n_test, n)])


def _split(dataset: spec.Uploaded, samples: AnySamples) -> Splits:
    """Test, validation and training samples one after the other; an uploaded test set comes last."""
    sizes, n = spec.split_sizes(dataset), len(samples)
    n_test = dataset.contents.n_test
    first = 0 if n_test else sizes["test"]
    second = first + sizes["validation"]
    return Splits(
        train=samples[second : second + sizes["train"]],
        validation=samples[first:second],
        test=samples[n - n_test :] if n_test else samples[:first],
    )


def _in_order(
    file: Path, order: NDArray[np.int64], split_seed: int, contents: spec.ArrayContents
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """The features `[n, F]` of an NPZ file in this order, mapped read-only from a file that is written once."""
    ordered = file.with_name(f"{file.name}-{split_seed}.npy")
    if not ordered.is_file():
        with locked(ordered.with_suffix(".lock")):
            if not ordered.is_file():
                _write(ordered, file, order, contents)
    mapped: NDArray[np.float32] | NDArray[np.uint8] = np.load(ordered, mmap_mode="r")
    return mapped


def _write(ordered: Path, file: Path, order: NDArray[np.int64], contents: spec.ArrayContents) -> None:
    """Copy the samples row by row: neither the packed file nor the written one is ever in memory as a whole."""
    kind = np.dtype(np.uint8 if contents.values == "uint8" else "<f4")
    n_features = int(np.prod(contents.shape))
    n_first = contents.n_samples - contents.n_test
    part = ordered.with_suffix(".part")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="unpacking-") as folder, zipfile.ZipFile(file) as archive:
        sources = [_mapped(archive, name, Path(folder)) for name in (("x", "x_test") if contents.n_test else ("x",))]
        try:
            with part.open("wb") as output:
                header = {"descr": kind.str, "fortran_order": False, "shape": (contents.n_samples, n_features)}
                np.lib.format.write_array_header_1_0(output, header)
                for source, rows in zip(sources, (order[:n_first], order[n_first:] - n_first), strict=False):
                    _copy(source, rows, kind, output)
            os.replace(part, ordered)
        finally:
            part.unlink(missing_ok=True)


def _mapped(archive: zipfile.ZipFile, name: str, folder: Path) -> NDArray[np.generic]:
    """An array of an NPZ file, mapped from where it was unpacked to."""
    unpacked = folder / f"{name}.npy"
    with archive.open(f"{name}.npy") as packed, unpacked.open("wb") as output:
        shutil.copyfileobj(packed, output, 2**20)
    mapped: NDArray[np.generic] = np.load(unpacked, mmap_mode="r", allow_pickle=False)
    return mapped


def _copy(source: NDArray[np.generic], rows: NDArray[np.int64], kind: np.dtype[np.generic], output: BinaryIO) -> None:
    at_once = max(1, ROWS_AT_ONCE_BYTES // max(1, source[:1].nbytes))
    output.writelines(
        source[rows[first : first + at_once]].astype(kind, order="C").tobytes()
        for first in range(0, len(rows), at_once)
    )
