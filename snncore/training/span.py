"""Parts of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a run that a descent is. Epochs and steps are counted over the whole run."""

    epochs: int
    """Of the whole run, as are the steps."""
    steps: int
    phase: str = "training"
    prefix: str = ""
    """Of the names of its series."""
    epochs_before: int = 0
    steps_before: int = 0
    samples_after: float = 0.0
    """What comes after it, in training samples of this descent that take as long."""
    keeps_best: bool = True
    """Whether its best weights are the run's, which leave as the checkpoint `best`."""
