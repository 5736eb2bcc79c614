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
    Direct: the same current `gain * x` at every step of a frame (where there is one frame: a view of one step,
    repeated). The F features of a sample are `frames` equal parts, shown one after the other.
    """
    frames = x.reshape(x.shape[0], encoding.frames, -1).transpose(0, 1)
    match encoding:
        case spec.Direct():
            current = encoding.gain * frames
            if encoding.frames == 1:
                return current.expand(encoding.n_steps, -1, -1)
            return current.repeat_interleave(encoding.steps_a_frame, 0)
        case spec.Poisson():
            scale = encoding.max_rate_hz * encoding.dt_ms / 1000
            batch, n = x.shape[0], frames.shape[2] * encoding.group_size
            words = torch.empty(encoding.n_steps, batch, n_words(n), dtype=torch.int64, device=x.device)
            for frame, shown in zip(frames, torch.split(words, encoding.steps_a_frame), strict=True):
                probability = (frame * scale).repeat_interleave(encoding.group_size, 1)
                for part in torch.split(shown, DRAWN_STEPS):
                    uniform = draw.random((len(part), batch, n), dtype=np.float32)
                    part[:] = SpikeTrain.pack(torch.from_numpy(uniform).to(x.device) < probability).words
            return SpikeTrain(words, 0, n)
