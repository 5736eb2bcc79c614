"""An ordinary network, the spiking one that it was converted to, and what that learned afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from service.client.arrays import Curve
from service.client.pictures.style import BLUE, GREEN, GREY, INK, heading, headline, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARAMETERS = {"leak": "leak", "v_threshold": "threshold"}
"""Series of the constants of each layer, `leak.LAYER`, and what they are called."""


def conversion(outcome: Mapping[str, Any], curves: Sequence[Curve], title: str) -> Figure:
    """Bars of the test accuracy of each phase, and how the constants of the layers went, darker the
    nearer to the input, as far as there are curves."""
    from matplotlib import colormaps

    drawn = {name: [curve for curve in curves if curve.name.startswith(f"{name}.")] for name in PARAMETERS}
    panels = [name for name, found in drawn.items() if found]
    figure = new_figure(5.0 + 4.0 * len(panels), 3.8)
    grid = figure.add_gridspec(1, 1 + len(panels))
    _draw_bars(figure.add_subplot(grid[0, 0]), outcome)
    for index, name in enumerate(panels):
        axes = figure.add_subplot(grid[0, index + 1])
        axes.set_prop_cycle(color=colormaps["viridis"](np.linspace(0, 0.9, len(drawn[name]))))
        for curve in drawn[name]:
            axes.plot(
                curve.step, curve.value, linewidth=1.8, marker="o", markersize=3, label=curve.name.partition(".")[2]
            )
        heading(axes, PARAMETERS[name])
        axes.set_xlabel("optimiser updates")
        plain(axes)
        if name == panels[-1]:
            axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    headline(figure, title)
    return figure


def _draw_bars(axes: Axes, outcome: Mapping[str, Any]) -> None:
    bars = [("not spiking", outcome["ann"]["test"]["accuracy"], GREY)]
    bars += [(f"converted,\n{one['steps']} steps", one["accuracy"], BLUE) for one in outcome["converted"]]
    bars.append(("fine-tuned", outcome["fine_tuned"]["test"]["accuracy"], GREEN))
    names, heights, colours = zip(*bars, strict=True)
    axes.bar(names, heights, 0.65, color=colours)
    for place, height in enumerate(heights):
        axes.text(place, height + 0.01, f"{height:.4g}", ha="center", fontsize=8, color=INK)
    axes.set_ylim(0, 1.08)
    heading(axes, "test accuracy")
    plain(axes)
