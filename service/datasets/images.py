"""Uploaded image files in a folder for each class. Each of them is decoded before any is stored."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from service.datasets.archive import Archive
from service.datasets.examined import Examined, classes_of
from service.datasets.faults import SHOWN, collected, fault, refused, unfit
from service.datasets.labels import LONGEST_NAME, MOST_CLASSES, Labels
from service.problems import FieldProblem
from snncore.datasets.class_folders import ClassFolders, class_folders
from snncore.datasets.pictures import ENDINGS, FORMATS, flat
from snncore.spec import ImageContents

LARGEST_FILE_BYTES = 64 * 2**20
MOST_PIXELS = 50_000_000
LAYOUT = "CLASS/FILE, or train/CLASS/FILE and test/CLASS/FILE"


@dataclass(slots=True)
class _Seen:
    """What the images have in common."""

    rows: set[int]
    columns: set[int]
    are_grey: bool = True


def examine(archive: Archive, sha256: str) -> Examined:
    """What an archive of images holds. Raises 422 with what is wrong with it."""
    found = class_folders(archive.names)
    _demand_order(archive, found)
    members = [name for name, _ in found.train + found.test]
    seen = _Seen(set(), set())
    faults: list[FieldProblem] = []
    for name in members:
        if (wrong := _look_at(archive, name, seen)) is not None:
            faults.append(wrong)
        if len(faults) == SHOWN:
            break
    if faults:
        raise refused(faults)
    contents = ImageContents(
        format="images",
        sha256=sha256,
        n_samples=len(members),
        n_test=len(found.test),
        smallest=[min(seen.rows), min(seen.columns)],
        largest=[max(seen.rows), max(seen.columns)],
        channels=1 if seen.are_grey else 3,
        n_classes=len(found.classes),
    )
    counts = np.bincount([number for _, number in found.train + found.test], minlength=len(found.classes))
    return Examined(contents, classes_of(Labels([int(count) for count in counts], found.classes)))


def _demand_order(archive: Archive, found: ClassFolders) -> None:
    """422 unless all files are images in the folders of two classes or more."""
    with collected() as faults:
        faults += [fault(name, f"lies at no place for an image; images are {LAYOUT}") for name in found.misplaced]
        for name, _ in found.train + found.test:
            if not name.lower().endswith(tuple(ENDINGS)):
                known = ", ".join(sorted(ENDINGS))
                faults.append(fault(name, f"is no image by its name ({known}); leave it out, or rename it"))
            elif archive.size(name) > LARGEST_FILE_BYTES:
                msg = f"has {archive.size(name)} bytes, more than {LARGEST_FILE_BYTES}; make it smaller"
                faults.append(fault(name, msg))
        faults += [
            fault(name, f"has a name of more than {LONGEST_NAME} characters")
            for name in found.classes
            if len(name) > LONGEST_NAME
        ]
    if not 2 <= len(found.classes) <= MOST_CLASSES:
        msg = f"has folders of {len(found.classes)} classes, and needs 2 to {MOST_CLASSES}; images are {LAYOUT}"
        raise unfit("", msg, "missing_class")
    trained = {number for _, number in found.train}
    if absent := [name for number, name in enumerate(found.classes) if number not in trained]:
        raise unfit(f"train/{absent[0]}", "holds no image, and test has images of that class", "missing_class")


def _look_at(archive: Archive, name: str, seen: _Seen) -> FieldProblem | None:
    """Decode an image, and add what it is like to what was `seen`; what is wrong with it, if anything."""
    with archive.open(name, name) as member:
        content = member.read()
    try:
        with Image.open(io.BytesIO(content), formats=list(FORMATS)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                size = f"{opened.height} x {opened.width}"
                return fault(name, f"has {size} pixels, more than {MOST_PIXELS}; make it smaller")
            is_grey = opened.mode in ("1", "L", "LA") or opened.mode.startswith("I;16")
            image = flat(ImageOps.exif_transpose(opened), "RGB")
    except Exception as error:  # the decoders raise all kinds of errors about broken files
        return fault(name, f"cannot be read as an image ({error}); leave it out, or replace it")
    seen.rows.add(image.height)
    seen.columns.add(image.width)
    seen.are_grey &= is_grey
    return None
