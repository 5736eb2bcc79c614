"""Files in the layout of CIFAR, of the published sizes or smaller, with a few images in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snncore.datasets.cifar import CIFAR10, CIFAR100, Published

SMALL = replace(CIFAR10, files=dict.fromkeys(CIFAR10.files, 10))
"""50 images for training and 10 for tests, in place of `snncore.datasets.cifar.CIFAR10`."""
SMALL_100 = replace(CIFAR100, files={"train.bin": 50, "test.bin": 10})


def write(folder: Path, form: Published, images: dict[int, NDArray[np.uint8]], labels: dict[int, bytes]) -> None:
    """Below `folder`, images `[32, 32, 3]` and label bytes by number; the test images go on counting.

    The rest is zeros, which take no room on the disk.
    """
    target = folder / form.folder
    target.mkdir(parents=True, exist_ok=True)
    first = 0
    for name, n in form.files.items():
        with (target / name).open("wb") as file:
            file.truncate(n * form.record)
            for number in (images.keys() | labels.keys()) & set(range(first, first + n)):
                file.seek((number - first) * form.record)
                file.write(labels.get(number, bytes(len(form.labels))))
                if number in images:
                    file.write(images[number].transpose(2, 0, 1).tobytes())
        first += n
