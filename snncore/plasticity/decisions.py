"""What decision pools make of a split: answers, reaction times, votes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncore.plasticity.pools import NOBODY, Shown


@dataclass(frozen=True, slots=True)
class Decisions:
    """A decision for each of B samples of C classes, and the spikes of N neurons for all of them."""

    labels: NDArray[np.int64]
    """`[B]`, the right classes."""
    responses: NDArray[np.int64]
    """`[B]`, the pools that decided; `NOBODY`: missed."""
    times_ms: NDArray[np.float64]
    """`[B]`, the reaction times: the end of the step of the decision. Of no meaning where a sample is missed."""
    votes: NDArray[np.int64]
    """`[B]`, the pools that fired most in the whole presentation, `NOBODY` where none fired."""
    pool_spikes: NDArray[np.int64]
    """`[C]`"""
    neuron_spikes: NDArray[np.int64]
    """`[N]`"""
    input_spikes: int

    @property
    def answered(self) -> NDArray[np.bool_]:
        answered: NDArray[np.bool_] = self.responses != NOBODY
        return answered

    @property
    def correct(self) -> NDArray[np.bool_]:
        correct: NDArray[np.bool_] = self.responses == self.labels
        return correct

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Answered, and not with the label."""
        return self.answered & ~self.correct

    def metrics(self) -> dict[str, float]:
        """By the names of their series. There is no reaction time where there is no such answer."""
        times = {"correct": self.times_ms[self.correct], "wrong": self.times_ms[self.wrong]}
        return {
            "accuracy": float(self.correct.mean()),
            "vote_accuracy": float((self.votes == self.labels).mean()),
            "miss_share": float((~self.answered).mean()),
        } | {f"{which}_reaction_time_ms": float(found.mean()) for which, found in times.items() if len(found)}

    def confusion(self, n_classes: int) -> list[list[int]]:
        """How often a sample of the row's class was answered with the column's. Misses are in no column."""
        pairs = self.labels[self.answered] * n_classes + self.responses[self.answered]
        counts: list[list[int]] = np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, -1).tolist()
        return counts


def collected(parts: list[tuple[NDArray[np.int64], Shown]], dt_ms: float) -> Decisions:
    """The decisions of batches, given as labels and what came of them."""
    labels = np.concatenate([labels for labels, _ in parts])
    shown = [part for _, part in parts]
    spikes = np.concatenate([part.pool_spikes for part in shown])
    return Decisions(
        labels=labels,
        responses=np.concatenate([part.responses for part in shown]),
        times_ms=np.concatenate([part.decision_steps + 1 for part in shown]) * dt_ms,
        votes=np.where(spikes.any(axis=1), spikes.argmax(axis=1), NOBODY),
        pool_spikes=spikes.sum(axis=0),
        neuron_spikes=np.sum([part.neuron_spikes for part in shown], axis=0),
        input_spikes=int(sum(part.input_spikes[0] for part in shown)),
    )
