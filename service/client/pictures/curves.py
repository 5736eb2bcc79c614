"""How a job learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.client.arrays import Curve
from service.client.pictures.style import COLOURS, GREEN, GREY, INK, heading, headline, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 10.0
"""Largest over smallest value from which on an axis of losses is logarithmic."""

LOOKS = {"published": (GREY, (0, (5, 3))), "ceiling": (GREEN, (0, (1, 1.5)))}


@dataclass(frozen=True, slots=True)
class Reference:
    """A number to compare a metric with. `name` is `published` or `ceiling`."""

    metric: str
    name: str
    value: float


def learning_curves(curves: Sequence[Curve], title: str, references: Sequence[Reference] = ()) -> Figure:
    """One panel a metric, in the order given, with a line a split. A series of one point is drawn as a dot."""
    names = list(dict.fromkeys(curve.name for curve in curves))
    if not names:
        raise ValueError("there are no curves to draw")
    figure = new_figure(4.6 * len(names) + 0.4, 3.6)
    for index, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), index + 1)
        drawn = [curve for curve in curves if curve.name == name]
        for curve in drawn:
            _draw_curve(axes, curve)
        draw_references(axes, [reference for reference in references if reference.metric == name])
        if name == "loss" and _spans_decades(drawn):
            _make_logarithmic(axes)
        heading(axes, name.replace("_", " "))
        axes.set_xlabel("optimiser updates")
        axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
        plain(axes)
        axes.legend(frameon=False, fontsize=8)
    headline(figure, title)
    return figure


def draw_references(axes: Axes, references: Sequence[Reference]) -> None:
    for reference in references:
        colour, dashes = LOOKS[reference.name]
        label = f"{reference.name} {reference.value:.4g}"
        axes.axhline(reference.value, color=colour, linestyle=dashes, linewidth=1.4, label=label, gid="reference")


def _draw_curve(axes: Axes, curve: Curve) -> None:
    colour = COLOURS.get(curve.split, INK)
    if len(curve.step) == 1:
        label = f"{curve.split} {curve.value[0]:.4g}"
        axes.plot(curve.step, curve.value, "o", color=colour, markersize=6, label=label, zorder=3)
    else:
        axes.plot(curve.step, curve.value, color=colour, linewidth=1.8, label=curve.split)


def _make_logarithmic(axes: Axes) -> None:
    """With plain numbers at 1, 2, 5, 10 and so on: powers of ten are hard to read where there are few of them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _spans_decades(curves: Sequence[Curve]) -> bool:
    values = np.concatenate([curve.value for curve in curves])
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() >= WIDE * values.min())
