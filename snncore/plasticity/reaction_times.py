"""Reaction times of the decision pools, compared: right with wrong answers, training with test samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.events import Split
from snncore.plasticity.decisions import Decisions
from snncore.streams import stream

N_BINS = 50
N_CONFUSIONS = 10


def report(job: spec.JobSpec, decisions: Mapping[Split, Decisions]) -> dict[str, Any]:
    """What a job's result says under `decisions`: each of the splits `decisions`, and training against test."""
    assert isinstance(job.architecture, spec.DecisionPools)
    decision = job.architecture.decision
    edges = np.linspace(0, decision.duration_ms, N_BINS + 1)
    compared = _equally_many(decisions["train"], decisions["test"], decision.n_compared, job.seed)
    return {
        "bound": decision.bound,
        "edges_ms": edges.tolist(),
        "splits": {split: _split(found, edges, job.n_outputs) for split, found in decisions.items()},
        "train_against_test": kolmogorov_smirnov(*compared),
    }


def kolmogorov_smirnov(first: NDArray[np.float64], second: NDArray[np.float64]) -> dict[str, Any] | None:
    """The two-sample test: the largest distance D of the two distribution functions, its p, and of how many samples,
    without which p says nothing. None where a sample is empty."""
    from scipy.stats import ks_2samp

    if not (len(first) and len(second)):
        return None
    found = ks_2samp(first, second)
    return {"d": float(found.statistic), "p": float(found.pvalue), "n": [len(first), len(second)]}


def _split(decisions: Decisions, edges: NDArray[np.float64], n_classes: int) -> dict[str, Any]:
    correct, wrong = decisions.times_ms[decisions.correct], decisions.times_ms[decisions.wrong]
    counted = {"correct": correct, "wrong": wrong}
    # a time is the end of its step: one that is an edge belongs to the bin before
    histograms = {which: np.histogram(np.nextafter(times, 0), edges)[0].tolist() for which, times in counted.items()}
    return {
        "n": len(decisions.labels),
        "n_missed": int((~decisions.answered).sum()),
        "histograms": histograms,
        "median_ms": {which: float(np.median(times)) if len(times) else None for which, times in counted.items()},
        "correct_against_wrong": kolmogorov_smirnov(correct, wrong),
        "fast_error_share": float((wrong < np.median(correct)).mean()) if len(wrong) and len(correct) else None,
        "confusions": most_frequent_confusions(decisions.confusion(n_classes)),
    }


def most_frequent_confusions(confusion: list[list[int]]) -> list[dict[str, int]]:
    """The wrong answers that were given most often, most frequent first."""
    pairs = [
        {"label": label, "response": response, "count": count}
        for label, row in enumerate(confusion)
        for response, count in enumerate(row)
        if label != response and count
    ]
    return sorted(pairs, key=lambda pair: -pair["count"])[:N_CONFUSIONS]


def _equally_many(
    train: Decisions, test: Decisions, wanted: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reaction times of `wanted` answered samples of each split, drawn; of fewer, but equally many, where one has
    fewer."""
    found = [split.times_ms[split.answered] for split in (train, test)]
    n = min(wanted, *map(len, found))
    first, second = (
        times[stream(seed, f"compared/{split}").permutation(len(times))[:n]]
        for split, times in zip(("train", "test"), found, strict=True)
    )
    return first, second
