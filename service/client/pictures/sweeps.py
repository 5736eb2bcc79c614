"""How the jobs of a sweep learned, in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.client.arrays import Curve
from service.client.pictures.curves import Reference, draw_references
from service.client.pictures.style import heading, headline, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE_COLOURS = (
    *("#1f6feb", "#d1495b", "#1a7f37", "#e08e0b", "#8250df", "#0b7285"),
    *("#bf3989", "#6f5a3a", "#4c9be8", "#f2845c", "#67a86a", "#57606a"),
)
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))


@dataclass(frozen=True, slots=True)
class PointCurves:
    """What a grid point sets, in words, and the curves of its seeds, of all metrics."""

    label: str
    curves: Sequence[Curve]


def sweep_curves(
    points: Sequence[PointCurves], title: str, references: Sequence[Reference] = (), *, varied: str = ""
) -> Figure:
    """One panel a metric, in the order in which they come, with a line a grid point: the mean over its seeds, and a
    band from the lowest to the highest of them. `varied` is the title of the legend."""
    names = list(dict.fromkeys(curve.name for point in points for curve in point.curves))
    if not names:
        raise ValueError("there are no curves to draw")
    figure = new_figure(4.6 * len(names) + 2.6, 4.0)
    for index, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), index + 1)
        for number, point in enumerate(points):
            if curves := [curve for curve in point.curves if curve.name == name]:
                _draw_point(axes, number, point.label, curves)
        draw_references(axes, [reference for reference in references if reference.metric == name])
        heading(axes, f"{name.replace('_', ' ')} ({', '.join(_splits(points, name))})")
        axes.set_xlabel("optimiser updates")
        axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
        plain(axes)
        if any(reference.metric == name for reference in references):
            axes.legend(handles=axes.lines[-sum(one.metric == name for one in references) :], frameon=False, fontsize=8)
    _make_legend(figure, varied)
    headline(figure, title)
    return figure


def over_seeds(curves: Sequence[Curve]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The steps at which every seed has a value, `[T]`, and these values, `[seeds, T]`."""
    common = curves[0].step
    for curve in curves[1:]:
        common = np.intersect1d(common, curve.step)
    return common, np.stack([curve.value[np.isin(curve.step, common)] for curve in curves])


def _draw_point(axes: Axes, number: int, label: str, curves: Sequence[Curve]) -> None:
    steps, values = over_seeds(curves)
    colour = LINE_COLOURS[number % len(LINE_COLOURS)]
    dashes = DASHES[number // len(LINE_COLOURS) % len(DASHES)]
    if len(curves) > 1:
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.14, linewidth=0)
    marker = "o" if len(steps) == 1 else ""
    axes.plot(steps, values.mean(axis=0), color=colour, linestyle=dashes, linewidth=1.7, marker=marker, label=label)


def _splits(points: Sequence[PointCurves], name: str) -> list[str]:
    return list(dict.fromkeys(curve.split for point in points for curve in point.curves if curve.name == name))


def _make_legend(figure: Figure, varied: str) -> None:
    """One for all panels, beside them, with a line for each grid point that is in any of them."""
    lines = {str(line.get_label()): line for axes in figure.axes for line in axes.lines if line.get_gid() is None}
    legend = figure.legend(
        list(lines.values()), list(lines), loc="outside right upper", frameon=False, fontsize=8, title=varied
    )
    legend.get_title().set_fontsize(8)
