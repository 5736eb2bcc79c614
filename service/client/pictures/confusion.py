"""Which classes were taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from service.client.pictures.style import GREY, INK, heading, headline, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COUNTED = 20
"""Classes up to which each cell has its number written in it."""
DARK = 0.5
"""Share of right answers from which on a cell is dark."""


def confusion(matrix: Sequence[Sequence[int]], confused: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """The share of each class, a row, that was given each answer, a column: right ones blue, wrong ones red on a scale
    of their own. Beside it stand the pairs `confused` most."""
    counts = np.array(matrix)
    n, n_answers = counts.shape
    figure = new_figure(9.0, 6.0)
    grid = figure.add_gridspec(1, 2, width_ratios=[3.2, 1.0])
    axes = figure.add_subplot(grid[0, 0])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(n, n_answers, dtype=np.bool_)
    most = shares[~right].max(initial=0) or 1
    axes.imshow(np.ma.masked_array(shares, ~right), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.imshow(np.ma.masked_array(shares, right), cmap="Reds", vmin=0, vmax=1.5 * most, aspect="auto")
    if n <= COUNTED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if right[row, column] and shares[row, column] > DARK else INK
            words = str(counts[row, column])
            axes.text(column, row, words, ha="center", va="center", fontsize=8, color=colour)
    every = max(1, -(-n // COUNTED))
    axes.set_xticks(range(0, n_answers, every))
    axes.set_yticks(range(0, n, every))
    axes.tick_params(labelsize=8)
    axes.set_xlabel("answer")
    axes.set_ylabel("class")
    heading(axes, "classes and answers")
    axes.set_title(f"{counts[right].sum():,} of {counts.sum():,} answers right", loc="right", fontsize=9, color=GREY)
    _name_pairs(figure.add_subplot(grid[0, 1]), confused)
    headline(figure, title)
    return figure


def _name_pairs(axes: Axes, confused: Sequence[Mapping[str, Any]]) -> None:
    axes.set_axis_off()
    heading(axes, "most confused")
    lines = [f"{pair['true']} → {pair['predicted']}   {pair['count']} times, {pair['share']:.1%}" for pair in confused]
    axes.text(0, 1, "\n".join(lines or ["none"]), va="top", fontsize=9, color=INK, linespacing=1.7)
