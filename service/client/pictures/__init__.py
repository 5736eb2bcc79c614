"""What a job learned, as pictures, from what the service returns.

Figures are made with matplotlib's objects, never with pyplot: no display is needed, and nothing global is touched.
"""

from __future__ import annotations

from service.client.pictures.curves import Reference, learning_curves
from service.client.pictures.rasters import raster
from service.client.pictures.rates import rates
from service.client.pictures.recall import recall
from service.client.pictures.sample import Sample
from service.client.pictures.sequence import sequence
from service.client.pictures.style import save

__all__ = ["Reference", "Sample", "learning_curves", "raster", "rates", "recall", "save", "sequence"]
