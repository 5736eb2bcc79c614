"""What was found in an upload, and how its format is recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.datasets.labels import Labels
from snncore.spec import Contents


@dataclass(frozen=True, slots=True)
class Examined:
    """A dataset that passed every test."""

    contents: Contents
    classes: list[dict[str, Any]] | None
    """Name and number of samples of each class."""


def classes_of(labels: Labels) -> list[dict[str, Any]]:
    names = labels.names or [str(number) for number in range(len(labels.counts))]
    return [{"name": name, "n_samples": count} for name, count in zip(names, labels.counts, strict=True)]
