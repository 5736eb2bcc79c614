"""Event recordings by the package tonic, which knows their file formats and where to download them.

Tonic's own files are looked for in the folders of `SPIKESMITH_DATA` (in `NMNIST/`, `SHD/` or `DVSGesture/`, as it lays
them out), else in the cache, to which it downloads them. They are read once, into arrays that are mapped from then on.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.datasets.events import EventSamples
from snncore.datasets.places import cache_folder, data_folders, locked, searched
from snncore.datasets.samples import Splits
from snncore.errors import DatasetUnavailable
from snncore.streams import stream

TONIC_NAMES = {"nmnist": "NMNIST", "shd": "SHD", "dvs_gesture": "DVSGesture"}
MICROSECONDS_A_MS = 1000

Recorded: TypeAlias = spec.NMNIST | spec.SHD | spec.DVSGesture


def load(dataset: Recorded) -> Splits:
    """The splits of the recordings; see `spec.EventRecordings` for their order."""
    train = _shuffled(dataset, "train", dataset.n_train + dataset.n_validation)
    test = _shuffled(dataset, "test", dataset.n_test)
    n = len(train)
    return Splits(
        train=train[: dataset.n_train],
        validation=train[n - dataset.n_validation :],
        test=test[: dataset.n_test],
    )


def _shuffled(dataset: Recorded, part: str, wanted: int) -> EventSamples:
    converted = _converted(dataset, part)
    if len(converted) < wanted:
        raise DatasetUnavailable(
            f"the files of {dataset.kind} have {len(converted)} {part} recordings, and {wanted} are asked for; remove "
            "them, so that tonic downloads them again"
        )
    order = stream(dataset.split_seed, f"split/{dataset.kind}/{part}").permutation(len(converted))
    return converted[order]


def _converted(dataset: Recorded, part: str) -> EventSamples:
    """All recordings of a part, mapped from the arrays in the cache, which are made where they are missing."""
    tonic, version = _tonic(dataset.kind)
    folder = cache_folder() / "events" / f"{dataset.kind}-{part}-tonic-{version}"
    if not folder.is_dir():
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                _convert(_opened(tonic, dataset.kind, part), dataset, folder)
    starts, times_ms, addresses, y = (
        np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("starts", "times_ms", "addresses", "y")
    )
    return EventSamples(np.array(starts), times_ms, addresses, np.array(y), neurons=_neurons(dataset))


def _tonic(kind: str) -> tuple[Any, str]:
    """Tonic's datasets, and its version."""
    try:
        return import_module("tonic.datasets"), metadata.version("tonic")
    except ImportError as error:
        raise DatasetUnavailable(
            f"the dataset {kind!r} is read by the package tonic, which this worker does not have ({error}); install it "
            "with: pip install 'spikesmith[events]'"
        ) from error


def _opened(tonic: Any, kind: str, part: str) -> Any:
    """Tonic's dataset, downloaded where it is not there."""
    name = TONIC_NAMES[kind]
    places = [folder for folder in data_folders() if (folder / name).is_dir()]
    place = places[0] if places else cache_folder() / "tonic"
    try:
        if kind == "shd":
            _unpack(place / name / f"shd_{part}.h5")
        return getattr(tonic, name)(save_to=str(place), train=part == "train")
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise DatasetUnavailable(
            f"{kind} could be neither found nor downloaded (searched for {name}/ in: {searched()}; then in {place}): "
            f"{error}. Put tonic's files there, or run a worker that has a network"
        ) from error


def _unpack(file: Path) -> None:
    """Unpack a file of SHD whose archive is there: tonic takes it for unpacked once that of the other part is."""
    archive = file.with_name(f"{file.name}.zip")
    if archive.is_file() and not file.is_file():
        with zipfile.ZipFile(archive) as opened:
            opened.extract(file.name, file.parent)


def _convert(opened: Any, dataset: Recorded, folder: Path) -> None:
    """Write `folder` with the arrays of all recordings, as a whole or not at all."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a conversion that was killed
    part.mkdir(parents=True)
    try:
        starts, y = [0], []
        with (
            _GrowingArray(part / "times_ms.npy", "<f4") as times,
            _GrowingArray(part / "addresses.npy", "<i4") as places,
        ):
            for events, label in _in_order(opened):
                times.append(events["t"] / MICROSECONDS_A_MS)
                places.append(_addresses(events, dataset.sensor))
                starts.append(times.length)
                y.append(int(label))
        np.save(part / "starts.npy", np.array(starts, np.int64))
        np.save(part / "y.npy", np.array(y, np.int64))
        os.replace(part, folder)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetUnavailable(
            f"the files of {dataset.kind} cannot be read, or not be converted to {folder} ({error}); make sure that "
            f"the disk has room, or remove {opened.location_on_system}, so that tonic downloads them again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _in_order(opened: Any) -> Iterator[tuple[Any, Any]]:
    """The recordings, ordered by the names of their files, where each has its own: folders list them as they please."""
    indices = sorted(range(len(opened)), key=opened.data.__getitem__) if opened.data else range(len(opened))
    return (opened[index] for index in indices)


def _addresses(events: Any, sensor: tuple[int, int, int]) -> NDArray[np.int64]:
    """Rows, columns and polarities as one number each, in this order. Raises `ValueError` for those that the sensor
    does not have."""
    height, _, polarities = sensor
    column = events["x"].astype(np.int64)
    row = events["y"].astype(np.int64) if height > 1 else np.zeros_like(column)
    polarity = events["p"].astype(np.int64) if polarities > 1 else np.zeros_like(column)
    addresses: NDArray[np.int64] = np.ravel_multi_index((row, column, polarity), sensor)
    return addresses


def _neurons(dataset: Recorded) -> NDArray[np.int32] | None:
    """The input neuron of each address of the sensor, where blocks of pixels share one."""
    if dataset.addresses == dataset.sensor:
        return None
    row, column, polarity = np.unravel_index(np.arange(np.prod(dataset.sensor)), dataset.sensor)
    side = dataset.sensor[0] // dataset.addresses[0]
    return np.ravel_multi_index((row // side, column // side, polarity), dataset.addresses).astype(np.int32)


class _GrowingArray:
    """A one-dimensional NPY file that is longer than memory: its header leaves room for the length, which is written
    last."""

    def __init__(self, file: Path, kind: str) -> None:
        self.file, self.kind, self.length = file.open("w+b"), kind, 0

    def __enter__(self) -> _GrowingArray:
        self._write_header()
        return self

    def append(self, values: NDArray[Any]) -> None:
        self.file.write(values.astype(self.kind).tobytes())
        self.length += len(values)

    def __exit__(self, *error: object) -> None:
        self.file.seek(0)
        self._write_header()
        self.file.close()

    def _write_header(self) -> None:
        header = {"descr": self.kind, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self.file, header)
