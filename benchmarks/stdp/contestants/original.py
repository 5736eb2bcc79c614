"""`diehl-cook/400-original`: 700 steps of 0.5 ms with an image, 300 without, delays, inhibitory neurons, retries.

Images that are learned from side by side begin with a cleared state, so that in a batch there are no steps without an
image.
"""

from __future__ import annotations

from benchmarks.stdp.contestants import Training, presets


def build(images: str, batch: int) -> Training:
    together = {"architecture": {"circuit": {"rest_ms": None}}} if batch > 1 else {}
    return presets.training("diehl-cook/400-original", images, batch, together)
