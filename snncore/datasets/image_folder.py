"""Images in a folder for each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from snncore import spec
from snncore.datasets.images import deal, in_splits
from snncore.datasets.pictures import ENDINGS
from snncore.datasets.places import data_folders, searched
from snncore.datasets.samples import Splits
from snncore.errors import DatasetUnavailable
from snncore.streams import stream

_WHOLE = (("", ("test", "validation", "train")),)
_PARTED = (("train", ("validation", "train")), ("test", ("test",)))
"""Folders, and the splits that their images are dealt to, in this order."""


def load(dataset: spec.ImageFolder) -> Splits:
    """Deal the images of each class to the splits, test first, so that those for testing depend on `n_test` alone.

    Raises `DatasetUnavailable` when the folder is not what the spec says.
    """
    try:
        root = _root(dataset.folder)
        each = {split: size // dataset.n_classes for split, size in spec.split_sizes(dataset).items()}
        chosen: dict[str, list[list[Path]]] = {split: [] for split in each}
        parted = (root / "train").is_dir() and (root / "test").is_dir()
        names = _class_names(dataset, root / "train" if parted else root)
        if parted and (other := _class_names(dataset, root / "test")) != names:
            raise DatasetUnavailable(
                f"dataset.classes: {root} has {_listed(names)} in train/ and {_listed(other)} in test/; name those "
                "that are in both"
            )
        for name in names:
            for folder, splits in _PARTED if parted else _WHOLE:
                wanted = {split: each[split] for split in splits}
                for split, files in _deal(root / folder / name, wanted, dataset.split_seed).items():
                    chosen[split].append(files)
    except OSError as error:
        raise DatasetUnavailable(f"dataset.folder: {dataset.folder!r} cannot be read ({error})") from error
    return in_splits(chosen, dataset)


def _root(name: str) -> Path:
    for folder in data_folders():
        if (folder / name).is_dir():
            return folder / name
    raise DatasetUnavailable(
        f"dataset.folder: there is no folder {name!r} (searched: {searched()}). Name the folder that it lies in in "
        "SPIKESMITH_DATA, where the worker runs"
    )


def _class_names(dataset: spec.ImageFolder, folder: Path) -> list[str]:
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if dataset.classes is not None:
        if missing := [name for name in dataset.classes if name not in found]:
            raise DatasetUnavailable(
                f"dataset.classes: {folder} has no folder {', '.join(map(repr, missing))}; it has {_listed(found)}"
            )
        return dataset.classes
    if len(found) != dataset.n_classes:
        raise DatasetUnavailable(
            f"dataset.n_classes is {dataset.n_classes}, and {folder} has {len(found)} class folders: {_listed(found)}. "
            "Change it, or say which classes are meant in dataset.classes"
        )
    return found


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return (shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more") or "none"


def _deal(folder: Path, wanted: Mapping[str, int], seed: int) -> dict[str, list[Path]]:
    """So many images of a class for each split, drawn without regard to the other classes."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS and file.is_file())
    if len(files) < sum(wanted.values()):
        fields = " + ".join(f"dataset.n_{split}" for split in wanted)
        raise DatasetUnavailable(
            f"{fields} ask for {sum(wanted.values())} images of each class, and {folder} has {len(files)}"
        )
    return deal(files, wanted, stream(seed, f"split/images/{folder.name}"))
