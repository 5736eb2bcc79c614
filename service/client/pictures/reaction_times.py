"""How long decisions took, where they were right and where they were wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from service.client.pictures.style import BLUE, GREY, INK, RED, heading, headline, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPLITS = ("train", "validation", "test")
LOOKS = {"correct": (BLUE, 0.35), "wrong": (RED, 0.25)}


def reaction_times(decisions: Mapping[str, Any], title: str) -> Figure:
    """A panel a split with a histogram of the right and one of the wrong answers, each as the share of its answers, and
    a line at its median; below, the Kolmogorov-Smirnov tests with their numbers of samples."""
    splits = [split for split in SPLITS if split in decisions["splits"]]
    if not splits:
        raise ValueError("there are no decisions to draw")
    figure = new_figure(5.0 * len(splits) + 0.4, 4.0)
    first: Axes | None = None
    for index, split in enumerate(splits):
        axes = figure.add_subplot(1, len(splits), index + 1, sharex=first, sharey=first)
        _draw_split(axes, decisions["edges_ms"], decisions["splits"][split])
        heading(axes, split)
        first = first or axes
    assert first is not None
    first.set_ylabel("share of these answers", fontsize=9)
    first.set_xlim(0, _last(decisions, splits))
    first.set_ylim(bottom=0)
    if words := tested(decisions.get("train_against_test")):
        figure.supxlabel(f"training against test: {words}", fontsize=9, color=INK)
    headline(figure, title)
    return figure


def tested(found: Mapping[str, Any] | None) -> str:
    """A Kolmogorov-Smirnov test in words; nothing where there was none."""
    if found is None:
        return ""
    first, second = found["n"]
    return f"D = {found['d']:.3f}, p = {found['p']:.2g}, n = {first:,} and {second:,}"


def _draw_split(axes: Axes, edges_ms: list[float], split: Mapping[str, Any]) -> None:
    for which, (colour, alpha) in LOOKS.items():
        counts = np.array(split["histograms"][which])
        n, median = int(counts.sum()), split["median_ms"][which]
        if not n or median is None:
            continue
        words = f"{which}: {n:,}, median {median:.0f} ms"
        axes.stairs(counts / n, edges_ms, fill=True, color=colour, alpha=alpha)
        axes.stairs(counts / n, edges_ms, color=colour, linewidth=1.4, label=words)
        axes.axvline(median, color=colour, linestyle=(0, (5, 3)), linewidth=1.2, gid="median")
    missed = f"{split['n_missed']:,} of {split['n']:,} missed"
    axes.set_title(missed, loc="right", fontsize=8, color=GREY)
    test = tested(split.get("correct_against_wrong"))
    axes.set_xlabel(f"reaction time (ms)\ncorrect against wrong: {test}" if test else "reaction time (ms)", fontsize=9)
    plain(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)


def _last(decisions: Mapping[str, Any], splits: list[str]) -> float:
    """The end of the last bin that anything is in."""
    edges = decisions["edges_ms"]
    counts = [split_counts for split in splits for split_counts in decisions["splits"][split]["histograms"].values()]
    filled = np.flatnonzero(np.sum(counts, axis=0))
    return float(edges[filled[-1] + 1] if len(filled) else edges[-1])
