"""The images that all contestants learn from, in a file: MNIST where it is at hand, else drawn with as much ink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

N = 6_000
INK, LIT = 0.1307, 0.191
"""Mean of MNIST's pixels, and the share of them that are not zero."""


def write(file: Path) -> str:
    """Write `x` uint8 `[N, 28, 28]` and `y` `[N]`. Where they are from, in words."""
    x, y, source = _mnist() or _drawn()
    np.savez(file, x=x, y=y)
    return source


def _mnist() -> tuple[NDArray[Any], NDArray[np.int64], str] | None:
    from snncore import datasets, spec
    from snncore.datasets.places import data_folders

    if not any((folder / "mnist").is_dir() for folder in data_folders()):
        return None
    train = datasets.load(spec.MNIST(kind="mnist", n_train=N), 0).train
    assert isinstance(train, datasets.Samples)
    return np.asarray(train.x).reshape(N, 28, 28), train.y, f"the first {N:,} training images of MNIST"


def _drawn() -> tuple[NDArray[np.uint8], NDArray[np.int64], str]:
    """Ten blotches, each shifted by up to two pixels, with the ink of MNIST."""
    generator = np.random.default_rng(0)
    kernel = np.exp(-(np.arange(-6, 7) ** 2) / 8)
    blotches = generator.normal(size=(10, 28, 28))
    for axis in (1, 2):
        blotches = np.apply_along_axis(np.convolve, axis, blotches, kernel, "same")
    lit = blotches > np.quantile(blotches, 1 - LIT, axis=(1, 2), keepdims=True)
    y = generator.integers(0, 10, N)
    shifts = generator.integers(-2, 3, (N, 2))
    shifted = [np.roll(lit[label], shift, (0, 1)) for label, shift in zip(y, shifts, strict=True)]
    x = np.stack(shifted) * np.uint8(round(255 * INK / LIT))
    return x, y, f"{N:,} drawn images with as much ink as MNIST's"
