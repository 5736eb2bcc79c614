"""Which classes a network takes for each other."""

from __future__ import annotations

from collections.abc import Sequence

from service.jobs.schemas import Confusion

MOST = 10
"""Pairs that are told."""


def most_confused(matrix: Sequence[Sequence[int]] | None) -> list[Confusion] | None:
    """The largest entries off the diagonal of a confusion matrix, whose rows are classes and whose columns answers.

    Of pairs that are equally frequent the lower classes come first. None where there are no classes.
    """
    if matrix is None:
        return None
    pairs = [
        Confusion(true=true, predicted=predicted, count=n, share=n / sum(row))
        for true, row in enumerate(matrix)
        for predicted, n in enumerate(row)
        if n > 0 and predicted != true
    ]
    return sorted(pairs, key=lambda pair: -pair.count)[:MOST]
