"""A smoothed unit over the hard one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.client.pictures.style import BLUE, GREY, LIGHT_GREY, RED
from service.illustrations.pictures.panels import grid, new_picture, note, over_time, threshold_line, trace
from snncore.illustrations.smoothing import SmoothedTrace, SmoothingParameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(parameters: SmoothingParameters, result: SmoothedTrace) -> Figure:
    title = f"Smoothed steps, d1 = {parameters.output_width:g}, d2 = {parameters.reset_width:g}"
    picture = new_picture(8.0, 4.4, title)
    places = grid(picture, 2, 1, height_ratios=[3, 2], hspace=0.12)
    upper, lower = picture.add_subplot(places[0]), picture.add_subplot(places[1])
    trace(upper, result.v_hard, GREY, linewidth=3.2, alpha=0.45, marker="", label="hard steps")
    trace(upper, result.v_smooth, BLUE, label="smoothed")
    threshold_line(upper, parameters.threshold)
    upper.set_ylabel("potential", fontsize=9)
    upper.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    over_time(upper, len(result.input), last=False)
    note(upper, f"largest difference of the outputs {result.largest_difference:.2g}")
    lower.vlines(result.spikes_hard.nonzero()[0], 0, 1, color=LIGHT_GREY, linewidth=4.0)
    trace(lower, result.y_smooth, RED)
    lower.set_ylim(-0.05, 1.12)
    lower.set_ylabel("output", fontsize=9)
    over_time(lower, len(result.input), last=True)
    return picture
