"""`diehl-cook/400`: 250 steps of 1 ms, one spike a step, no inhibitory neurons."""

from __future__ import annotations

from benchmarks.stdp.contestants import Training, presets


def build(images: str, batch: int) -> Training:
    return presets.training("diehl-cook/400", images, batch)
