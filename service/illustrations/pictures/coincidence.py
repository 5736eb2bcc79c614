"""Three phase diagrams with one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.client.pictures.style import GREY, heading
from service.illustrations.pictures.panels import grid, new_picture
from snncore.illustrations.coincidence import CoincidenceParameters, PhaseDiagrams

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SHADES = 256


def figure(parameters: CoincidenceParameters, result: PhaseDiagrams) -> Figure:
    import matplotlib as mpl

    cap = result.cap_steps
    picture = new_picture(9.6, 3.6, "How far apart impulses may come for the unit to spike")
    places = grid(picture, 1, 4, width_ratios=[1, 1, 1, 0.05], wspace=0.12, top=0.75, right=0.65)
    shades = mpl.colormaps["Blues"].resampled(min(cap + 1, MOST_SHADES))
    named = ("2 impulses", "3 impulses", "impulses without end")
    panels = [picture.add_subplot(places[column]) for column in range(3)]
    for axes, name, distances in zip(
        panels, named, (result.two_spikes, result.three_spikes, result.infinite_spikes), strict=True
    ):
        shown = axes.imshow(
            distances,
            origin="lower",
            extent=(0, 1, 0, 1),
            cmap=shades,
            vmin=-0.5,
            vmax=cap + 0.5,
            interpolation="nearest",
            aspect="auto",
        )
        heading(axes, name)
        axes.set_xlabel("w_input", fontsize=9)
        axes.set_xticks((0.0, 0.2, 0.4, 0.6, 0.8))  # the next panel begins where 1 is
        axes.tick_params(labelsize=8, labelleft=axes is panels[0])
    panels[0].set_ylabel("w_leak", fontsize=9)
    bar = picture.colorbar(shown, cax=picture.add_subplot(places[3]))
    bar.ax.tick_params(labelsize=8)
    bar.set_label(f"steps apart ({cap}: {cap} or more)", fontsize=9, color=GREY)
    return picture
