"""The table of a sweep as CSV, with all there is, and as Markdown, with what goes into a paper."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from service.sweeps.grid import text_of
from service.sweeps.schemas import Statistic, Table
from service.sweeps.table import main_metrics

FIGURES = ("mean", "std", "ci95", "n")


def as_csv(table: Table) -> bytes:
    """A column for each field of the grid, the counts, and four for each metric. What is not known is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    columns = [f"{metric}.{figure}" for metric in table.metrics for figure in FIGURES]
    writer.writerow([*table.keys, "n_jobs", "n", *columns])
    for row in table.rows:
        figures: list[Any] = []
        for metric in table.metrics:
            found = row.statistics.get(metric)
            figures += [None if found is None else getattr(found, figure) for figure in FIGURES]
        cells = [_whole(row.point[key]) for key in table.keys]
        writer.writerow([*cells, row.n_jobs, row.n, *("" if one is None else repr(one) for one in figures)])
    return out.getvalue().encode()


def _whole(value: Any) -> str:
    return text_of(value, longest=None)


def as_markdown(table: Table) -> bytes:
    """A column for each field of the grid, mean ± std of the main metrics, and how many jobs are behind them."""
    metrics = main_metrics(table.metrics)
    titles = [*table.keys, *(" ".join(metric.split(".")[1:]) for metric in metrics), "n"]
    right = len(metrics) + 1
    lines = [titles, ["---"] * len(table.keys) + ["---:"] * right]
    for row in table.rows:
        n = str(row.n) if row.n == row.n_jobs else f"{row.n} of {row.n_jobs}"
        figures = [plus_minus(row.statistics.get(metric)) for metric in metrics]
        lines.append([*(text_of(row.point[key]) for key in table.keys), *figures, n])
    text = "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)
    return text.encode()


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")


def plus_minus(statistic: Statistic | None) -> str:
    """`0.931 ± 0.012`: the spread to two figures, the mean to the same place."""
    if statistic is None or statistic.mean is None:
        return "–"
    if not statistic.std:
        return f"{statistic.mean:.4g}" + (" ± 0" if statistic.std == 0 else "")
    places = 1 - math.floor(math.log10(statistic.std))
    if not -4 <= places <= 9:
        return f"{statistic.mean:.4g} ± {statistic.std:.2g}"
    places = max(places, 0)
    return f"{statistic.mean:.{places}f} ± {statistic.std:.{places}f}"
