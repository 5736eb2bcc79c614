"""What the pictures of illustrations have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from service.client.pictures.style import BLUE, GREY, INK, LIGHT_GREY, plain
from snncore.illustrations.base import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

MARGINS = {"left": 0.62, "right": 0.3, "top": 0.62, "bottom": 0.5}
"""In inches."""

FEW_STEPS = 120
"""Up to so many, each step of a trace has a dot."""


def new_picture(width: float, height: float, title: str) -> Figure:
    """An empty figure, in inches. Its panels are placed by `grid`: a layout engine would take most of the time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    # Dollar signs would start formulas.
    text = title.replace("$", r"\$")
    figure.text(0.12 / width, 1 - 0.1 / height, text, va="top", fontsize=12, fontweight="bold", color=INK)
    return figure


def grid(figure: Figure, rows: int, columns: int, **places: Any) -> GridSpec:
    """Places for panels within `MARGINS`, of which each can be given otherwise; all else as matplotlib has it."""
    width, height = figure.get_size_inches()
    edges = {side: places.pop(side, inches) for side, inches in MARGINS.items()}
    return figure.add_gridspec(
        rows,
        columns,
        left=edges["left"] / width,
        right=1 - edges["right"] / width,
        top=1 - edges["top"] / height,
        bottom=edges["bottom"] / height,
        **places,
    )


def trace(axes: Axes, v: Floats, colour: str = BLUE, **looks: Any) -> None:
    """A variable over time."""
    marker = "o" if len(v) <= FEW_STEPS and "linestyle" not in looks else ""
    looks = {"linewidth": 1.4, "marker": marker, "markersize": 2.6, **looks}
    axes.plot(np.arange(len(v)), v, color=colour, **looks)


def spike_marks(axes: Axes, steps: Sequence[int] | Any, colour: str = BLUE) -> None:
    """A mark above the axes for each spike."""
    axes.plot(
        steps,
        np.full(len(steps), 1.03),
        "|",
        color=colour,
        markersize=9,
        markeredgewidth=1.3,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )


def threshold_line(axes: Axes, threshold: float) -> None:
    axes.axhline(threshold, color=GREY, linestyle=(0, (5, 3)), linewidth=1.0, zorder=1)
    place = axes.get_yaxis_transform()
    axes.text(1.005, threshold, "thr", transform=place, ha="left", va="center", fontsize=8, color=GREY)


def over_time(axes: Axes, n_steps: int, *, last: bool) -> None:
    """A time axis; only the `last` panel of a column names it."""
    axes.set_xlim(-0.5, n_steps - 0.5)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    plain(axes)
    axes.tick_params(labelbottom=last)
    if last:
        axes.set_xlabel("time step", fontsize=9)


def input_bars(axes: Axes, values: Floats) -> None:
    """The input as an area a step wide."""
    axes.fill_between(np.arange(len(values)), values, step="mid", color=LIGHT_GREY, linewidth=0)
    axes.plot(np.arange(len(values)), values, drawstyle="steps-mid", color=GREY, linewidth=0.9)
    axes.set_ylabel("input", fontsize=9)


def note(axes: Axes, text: str, colour: str = GREY) -> None:
    """Words at the upper right of a panel."""
    axes.set_title(text, loc="right", fontsize=8, color=colour)
