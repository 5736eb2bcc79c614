"""Figures as data: how LIF units spike, learn and read images, each a pure function of its parameters.

In NumPy, so that a service can draw them while a slider moves, without torch; tests hold them to what the library does.
Source: Gerum & Schilling 2020, "Integration of leaky-integrate-and-fire neurons in standard machine learning
architectures".
"""

from __future__ import annotations

from typing import Any

from snncore.illustrations import coincidence, encodings, gradient, image, lstm, period, smoothing, unit
from snncore.illustrations.base import Illustration

ILLUSTRATIONS: dict[str, Illustration[Any, Any]] = {
    one.ILLUSTRATION.name: one.ILLUSTRATION
    for one in (unit, period, smoothing, gradient, lstm, coincidence, encodings, image)
}
"""By name, in the order in which they build on each other."""

__all__ = ["ILLUSTRATIONS", "Illustration"]
