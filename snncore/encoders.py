"""Samples `[B, F]` into input over time: spikes, or numbers `[T, B, M]`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from snncore import spec
from snncore.spikes import SpikeTrain


def encode(encoding: spec.Encoding, x: Tensor, draw: np.random.Generator) -> Tensor | SpikeTrain:
    """What the network sees of the samples `x` `[B, F]`: spikes or currents `[T, B, F * group_size]`.

    Poisson: the neurons of a feature spike independently with probability `min(1, max_rate_hz * x * dt)` a step.
    Direct: the same current `gain * x` at every step (a view of one step, repeated).
    """
    match encoding:
        case spec.Direct():
            return (encoding.gain * x).expand(encoding.n_steps, *x.shape)
        case spec.Poisson():
            probability = (x * (encoding.max_rate_hz * encoding.dt_ms / 1000)).repeat_interleave(encoding.group_size, 1)
            uniform = draw.random((encoding.n_steps, *probability.shape), dtype=np.float32)
            return SpikeTrain.pack(torch.from_numpy(uniform).to(x.device) < probability)
