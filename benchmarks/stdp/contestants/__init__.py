"""Who takes part: a module for each library, imported by its worker alone.

A module has `build(images, batch)`, for a file of `benchmarks.stdp.images`, which returns the training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Training:
    """A network of 400 neurons that learns."""

    learn: Callable[[int], None]
    """From so many further images, or from the least number above it that it can stop after."""
    learned: Callable[[], int]
    """Images so far."""
    spikes: Callable[[], float]
    """Spikes of all excitatory neurons an image, lately."""
    versions: dict[str, str]
    share_encoding: Callable[[], float | None]
    """Of the time, what making the input spikes took; None where it is not apart."""


@dataclass(frozen=True)
class Contestant:
    """How to start one, and how much of it to time."""

    name: str
    title: str
    module: str
    environment: Literal["ours", "peers"]
    batch: int
    steps: int
    """Time steps an image."""
    images: int
    """In a timed turn, of a second or so."""
    warmup: int
    """Images before: our networks compute where neurons spike, and those of the beginning spike more often."""


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("bindsnet-1", "BindsNET", "with_bindsnet", "peers", 1, 350, 8, 4),
        Contestant("bindsnet-32", "BindsNET", "with_bindsnet", "peers", 32, 350, 64, 32),
        Contestant("fast-1", "snncore, fast", "fast", "ours", 1, 250, 400, 800),
        Contestant("fast-32", "snncore, fast", "fast", "ours", 32, 250, 448, 800),
        Contestant("original-1", "snncore, original", "original", "ours", 1, 1000, 100, 200),
        Contestant("original-32", "snncore, original", "original", "ours", 32, 700, 128, 192),
    )
}
