"""The potential and the spikes of a unit over its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.illustrations.pictures.panels import (
    grid,
    input_bars,
    new_picture,
    over_time,
    spike_marks,
    threshold_line,
    trace,
)
from snncore.illustrations.unit import UnitParameters, UnitTrace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(parameters: UnitParameters, result: UnitTrace) -> Figure:
    unit = f"w_input {parameters.w_input:g}, w_leak {parameters.w_leak:g}"
    every = "" if result.period_steps is None else f", one every {result.period_steps} steps"
    picture = new_picture(8.0, 3.8, f"{len(result.spike_steps)} spikes{every} ({unit})")
    places = grid(picture, 2, 1, height_ratios=[3, 1], hspace=0.12)
    upper, lower = picture.add_subplot(places[0]), picture.add_subplot(places[1])
    trace(upper, result.v)
    threshold_line(upper, parameters.threshold)
    spike_marks(upper, result.spike_steps)
    upper.set_ylim(min(0.0, 1.05 * result.v.min()), 1.05 * max(parameters.threshold, result.v.max()))
    upper.set_ylabel("potential", fontsize=9)
    over_time(upper, len(result.v), last=False)
    input_bars(lower, result.input)
    over_time(lower, len(result.v), last=True)
    return picture
