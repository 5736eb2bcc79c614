"""Both forms of the LSTM over the LIF unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.client.pictures.style import BLUE, GREY, INK, RED
from service.illustrations.pictures.panels import grid, new_picture, over_time, spike_marks, threshold_line, trace
from snncore.illustrations.lstm import THRESHOLD, LSTMParameters, Overlay, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure(parameters: LSTMParameters, result: Overlay) -> Figure:
    unit = f"w_input {parameters.w_input:g}, w_leak {parameters.w_leak:g}"
    warning = ", closer to the threshold than is safe" if result.is_close else ""
    picture = new_picture(8.0, 5.4, f"An LSTM as a LIF unit ({unit}{warning})")
    places = grid(picture, 2, 1, hspace=0.42, top=0.75)
    upper, lower = picture.add_subplot(places[0]), picture.add_subplot(places[1])
    _draw(upper, result, result.standard, "output gate sees the new state (standard)", last=False)
    _draw(lower, result, result.paper, "output gate sees the state before (paper)", last=True)
    upper.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3)
    return picture


def _draw(axes: Axes, result: Overlay, form: Trace, name: str, *, last: bool) -> None:
    trace(axes, result.lif.v, GREY, linewidth=3.4, alpha=0.45, marker="", label="potential of the LIF unit")
    trace(axes, form.v, BLUE, label="state of the LSTM")
    trace(axes, form.y, RED, linewidth=1.2, linestyle=(0, (3, 1.5)), label="output of the LSTM")
    threshold_line(axes, THRESHOLD)
    spike_marks(axes, form.spike_steps, RED)
    over_time(axes, len(result.input), last=last)
    axes.set_title(name, loc="left", fontsize=10, color=INK, pad=13)
    if form.period_steps is not None and result.lif.period_steps is not None:
        periods = f"period {form.period_steps} steps, of the LIF unit {result.lif.period_steps}"
        axes.set_title(periods, loc="right", fontsize=8, color=GREY, pad=13)
