"""Samples `[B, F]` into input over time: spikes, or numbers `[T, B, M]`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from snncore import spec
from snncore.spikes import SpikeTrain, n_words

DRAWN_STEPS = 8
"""Steps that are drawn at once: few, so that the random numbers stay in the cache until they are bits."""


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
            batch, n = probability.shape
            words = torch.empty(encoding.n_steps, batch, n_words(n), dtype=torch.int64, device=x.device)
            for start in range(0, encoding.n_steps, DRAWN_STEPS):
                part = words[start : start + DRAWN_STEPS]
                uniform = draw.random((len(part), batch, n), dtype=np.float32)
                part[:] = SpikeTrain.pack(torch.from_numpy(uniform).to(x.device) < probability).words
            return SpikeTrain(words, 0, n)
