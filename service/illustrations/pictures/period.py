"""The period over the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.client.pictures.style import BLUE, GREY, LIGHT_GREY, plain
from service.illustrations.pictures.panels import grid, new_picture
from snncore.illustrations.period import PeriodCurve, PeriodParameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(parameters: PeriodParameters, result: PeriodCurve) -> Figure:
    unit = f"w_input {parameters.w_input:g}, w_leak {parameters.w_leak:g}"
    picture = new_picture(8.0, 3.8, f"Period of a LIF unit ({unit})")
    axes = picture.add_subplot(grid(picture, 1, 1)[0])
    k = np.array([np.nan if one is None else one for one in result.period_steps])
    exact = np.array([np.nan if one is None else one for one in result.exact_steps])
    axes.plot(result.current, exact, color=GREY, linewidth=1.0, linestyle=(0, (5, 3)), label="before rounding up")
    axes.plot(result.current, k, color=BLUE, linewidth=1.8, drawstyle="steps-pre", label="period k(I)")
    least = result.input_threshold
    if least > 0:
        axes.axvspan(0, min(least, parameters.largest_current), color=LIGHT_GREY, alpha=0.35, linewidth=0)
    if least < parameters.largest_current:
        axes.axvline(least, color=GREY, linewidth=1.0)
    axes.set_title(f"no spikes up to I_min = {least:.4g}", loc="left", fontsize=9, color=GREY)
    axes.set_xlim(0, parameters.largest_current)
    axes.set_yscale("log")
    _number_plainly(axes)
    finite = k[np.isfinite(k)]
    axes.set_ylim(0.8, max(10.0, 1.25 * float(finite.max())) if finite.size else 10.0)
    axes.set_xlabel("constant input I", fontsize=9)
    axes.set_ylabel("steps from spike to spike", fontsize=9)
    axes.grid(color="#e6e8eb", linewidth=0.8)
    plain(axes)
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    return picture


def _number_plainly(axes: object) -> None:
    """1, 2, 5, 10 rather than powers of ten."""
    from matplotlib.axes import Axes
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    assert isinstance(axes, Axes)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
