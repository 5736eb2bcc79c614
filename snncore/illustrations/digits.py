"""The digits that come with scikit-learn."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from pydantic import Field

from snncore.illustrations.base import Floats

N_DIGITS = 1_797
SIDE = 8

DigitIndex = Annotated[int, Field(ge=0, lt=N_DIGITS, description="Which of scikit-learn's digits, in their order.")]


@cache
def _all_digits() -> tuple[Floats, list[int]]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, SIDE, SIDE) / 16
    images.setflags(write=False)
    return images, labels.tolist()


def digit(index: int) -> Floats:
    """One image in [0, 1], `[8, 8]`; read-only."""
    image: Floats = _all_digits()[0][index]
    return image


def label(index: int) -> int:
    """What it shows."""
    return _all_digits()[1][index]
