"""What all pictures have in common: colours, sizes, headings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREY, INK = "#1f6feb", "#57606a", "#24292f"
LIGHT_BLUE, LIGHT_GREY = "#b6d4fe", "#d0d7de"
GREEN, RED = "#1a7f37", "#d1495b"
COLOURS = {"train": "#8da0b3", "validation": BLUE, "test": RED}
DPI = 150


def save(figure: Figure, path: Path) -> None:
    """Writes the figure in the format of the path's ending."""
    figure.savefig(path, dpi=DPI)


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def headline(figure: Figure, text: str) -> None:
    # Dollar signs would start formulas.
    figure.suptitle(text.replace("$", r"\$"), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)


def heading(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10, color=INK)


def plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)
