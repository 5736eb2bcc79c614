"""Illustrations as pictures."""

from __future__ import annotations

from typing import Any, Literal

from service.drawing import render
from service.illustrations.pictures import coincidence, encodings, gradient, image, lstm, period, smoothing, unit
from snncore.illustrations.base import Parameters, Result

_FIGURES: dict[str, Any] = {
    "unit": unit.figure,
    "period": period.figure,
    "smoothing": smoothing.figure,
    "gradient": gradient.figure,
    "lstm": lstm.figure,
    "coincidence": coincidence.figure,
    "encodings": encodings.figure,
    "image": image.figure,
}
"""A function of parameters and result for each."""

DPI = 110


def draw(name: str, parameters: Parameters, result: Result, kind: Literal["png", "svg"]) -> bytes:
    """The picture of an illustration. The same parameters give the same bytes."""
    return render(lambda: _FIGURES[name](parameters, result), kind, salt=name, dpi=DPI)
