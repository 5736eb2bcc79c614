"""What a job learned, as pictures, from what the service returns.

Figures are made with matplotlib's objects, never with pyplot: no display is needed, and nothing global is touched.
"""

from __future__ import annotations

from service.client.pictures.confusion import confusion
from service.client.pictures.conversion import conversion
from service.client.pictures.curves import Reference, learning_curves
from service.client.pictures.every_step import every_step
from service.client.pictures.fields import receptive_fields
from service.client.pictures.rasters import raster
from service.client.pictures.rates import rates
from service.client.pictures.reaction_times import reaction_times
from service.client.pictures.recall import recall
from service.client.pictures.sample import Sample
from service.client.pictures.sequence import sequence
from service.client.pictures.style import save
from service.client.pictures.sweeps import PointCurves, sweep_curves

__all__ = [
    "PointCurves",
    "Reference",
    "Sample",
    "confusion",
    "conversion",
    "every_step",
    "learning_curves",
    "raster",
    "rates",
    "reaction_times",
    "recall",
    "receptive_fields",
    "save",
    "sequence",
    "sweep_curves",
]
