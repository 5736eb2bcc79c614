"""Samples `[B, F]` into input over time: spikes, or numbers `[T, B, M]`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from snncore import spec
from snncore.datasets import EventSamples
from snncore.spikes import WORD, SpikeTrain, n_words

DRAWN_STEPS = 8
"""Steps that are drawn at once: few, so that the random numbers stay in the cache until they are bits."""

ImageShape = tuple[int, int, int]
"""Height, width, channels."""


def encode(
    encoding: spec.Encoding, x: Tensor, draw: np.random.Generator, image_shape: ImageShape | None = None
) -> Tensor | SpikeTrain:
    """What the network sees of the samples `x` `[B, F]`: spikes or currents `[T, B, M]`.

    M is the features of a frame times `spec.inputs_a_feature`; the neurons of a feature are neighbours. What each kind
    of encoding does is said in `snncore.spec.encoding`. `image_shape` is needed where an image is scanned.
    """
    if isinstance(encoding, spec.Poisson) and encoding.feature_sum is not None:
        x = with_feature_sum(x, encoding.feature_sum)
    frames = in_frames(encoding, x, image_shape)
    match encoding:
        case spec.Direct():
            current = encoding.gain * (frames - encoding.offset)
            if encoding.frames == 1:
                return current.expand(encoding.n_steps, -1, -1)  # a view of one step, repeated
            return current.repeat_interleave(encoding.steps_a_frame, 0)
        case spec.Poisson():
            return _poisson(encoding, frames, draw)
        case spec.Latency():
            return _latency(encoding, frames)
        case spec.ThresholdCrossing():
            return _threshold_crossing(encoding, frames)
        case spec.Delta():
            return _delta(encoding, frames)
        case spec.Events():
            raise TypeError("the encoding 'events' shows events, not features: `encode_events`")


def encode_events(
    encoding: spec.Events, samples: EventSamples, n_addresses: int, device: torch.device
) -> tuple[SpikeTrain, float]:
    """Spikes of `n_addresses` neurons, in each step in which an event of their address falls.

    With them comes the share of the events that are not shown because they fall outside of the presentation.
    """
    n_steps = encoding.n_steps
    words = np.zeros((n_steps, len(samples), n_words(n_addresses)), np.uint64)
    n_events = n_shown = 0
    for sample in range(len(samples)):
        times_ms, addresses = samples.events(sample)
        step = np.floor(times_ms / np.float32(encoding.dt_ms))
        shown = (step >= 0) & (step < n_steps)
        address = addresses[shown].astype(np.uint64)
        place = step[shown].astype(np.int64), address // WORD
        np.bitwise_or.at(words[:, sample], place, np.uint64(1) << address % WORD)
        n_events, n_shown = n_events + len(step), n_shown + len(address)
    bits = torch.from_numpy(words.view(np.int64)).to(device)
    return SpikeTrain(bits, 0, n_addresses), (n_events - n_shown) / max(1, n_events)


def in_frames(encoding: spec.Encoding, x: Tensor, image_shape: ImageShape | None) -> Tensor:
    """Samples `[B, F]` as the frames that are shown one after the other, `[frames, B, F / frames]`.

    A column of an image is its rows from the top, a row its columns from the left; the channels of a pixel are
    neighbours.
    """
    batch = x.shape[0]
    if encoding.scan is None:
        return x.reshape(batch, encoding.frames, -1).transpose(0, 1)
    if image_shape is None:
        raise ValueError(f"scan = {encoding.scan!r} needs the shape of the images")
    images = x.reshape(batch, *image_shape)
    first = images.permute(2, 0, 1, 3) if encoding.scan == "columns" else images.permute(1, 0, 2, 3)
    return first.reshape(encoding.frames, batch, -1)


def with_feature_sum(x: Tensor, feature_sum: float) -> Tensor:
    """Samples `[B, F]`, scaled so that the features of each sum to `feature_sum`. Those below 0 become 0, and a sample
    that has none above it stays at 0."""
    positive = x.clamp_min(0)
    total = positive.sum(1, keepdim=True)
    return torch.where(total > 0, positive * (feature_sum / total), 0)


def spike_probability(encoding: spec.Poisson, frame: Tensor) -> Tensor:
    """Of a frame `[B, F]`: how likely each input neuron spikes in a step, `[B, M]`. From 1 on it does in all."""
    return (frame * (encoding.max_rate_hz * encoding.dt_ms / 1000)).repeat_interleave(encoding.group_size, 1)


def _poisson(encoding: spec.Poisson, frames: Tensor, draw: np.random.Generator) -> SpikeTrain:
    """The neurons of a feature spike independently, with a probability that is the same at all steps of a frame."""
    words, n = _no_spikes(encoding, frames)
    for frame, shown in zip(frames, torch.split(words, encoding.steps_a_frame), strict=True):
        probability = spike_probability(encoding, frame)
        for part in torch.split(shown, DRAWN_STEPS):
            uniform = draw.random((len(part), words.shape[1], n), dtype=np.float32)
            part[:] = SpikeTrain.pack(torch.from_numpy(uniform).to(frames.device) < probability).words
    return SpikeTrain(words, 0, n)


def _latency(encoding: spec.Latency, frames: Tensor) -> SpikeTrain:
    """Each neuron spikes in step floor(time_scale * N * ln(x / (x - threshold))) of the N of a frame, or never."""
    words, n = _no_spikes(encoding, frames)
    n_steps = encoding.steps_a_frame
    x = frames.double()
    step = (-encoding.time_scale * n_steps * torch.log1p(-encoding.threshold / x)).floor()
    step = torch.where(x > encoding.threshold, step, torch.inf)
    for arrives, shown in zip(step, torch.split(words, n_steps), strict=True):
        steps = torch.arange(n_steps, dtype=torch.float64, device=frames.device)
        for part, now in zip(torch.split(shown, DRAWN_STEPS), torch.split(steps, DRAWN_STEPS), strict=True):
            part[:] = SpikeTrain.pack(arrives == now[:, None, None]).words
    return SpikeTrain(words, 0, n)


def _threshold_crossing(encoding: spec.ThresholdCrossing, frames: Tensor) -> SpikeTrain:
    """Of each feature first the neurons for rising through the thresholds, lowest first, then those for falling."""
    levels = torch.arange(1, encoding.levels + 1, dtype=frames.dtype, device=frames.device)
    thresholds = levels * encoding.highest / encoding.levels

    def crossings(before: Tensor, now: Tensor) -> Tensor:
        was, reached = before[..., None] >= thresholds, now[..., None] >= thresholds
        return torch.cat([reached & ~was, was & ~reached], dim=-1)

    return _at_onsets(encoding, frames, torch.zeros_like(frames[:1]), crossings)


def _delta(encoding: spec.Delta, frames: Tensor) -> SpikeTrain:
    """Of each feature first the neuron for rising, then that for falling, where there is one."""
    first = frames[:1]

    def changes(before: Tensor, now: Tensor) -> Tensor:
        change = now - before
        rises, falls = change >= encoding.threshold, change <= -encoding.threshold
        return torch.stack([rises, falls] if encoding.off else [rises], dim=-1)

    return _at_onsets(encoding, frames, first if encoding.before_first == "same" else torch.zeros_like(first), changes)


def _at_onsets(
    encoding: spec.Encoding, frames: Tensor, before_first: Tensor, fired: Callable[[Tensor, Tensor], Tensor]
) -> SpikeTrain:
    """Spikes at the first step of each frame: `fired(frame before, frame)` of `[f, B, F]` gives `[f, B, F, n]`, which
    of the n neurons of each feature spike."""
    words, n = _no_spikes(encoding, frames)
    before = torch.cat([before_first, frames[:-1]])
    onsets = words[:: encoding.steps_a_frame]
    parts = (torch.split(frames_in_turn, DRAWN_STEPS) for frames_in_turn in (onsets, before, frames))
    for part, was, now in zip(*parts, strict=True):
        part[:] = SpikeTrain.pack(fired(was, now).flatten(2)).words
    return SpikeTrain(words, 0, n)


def _no_spikes(encoding: spec.Encoding, frames: Tensor) -> tuple[Tensor, int]:
    """Words for the spikes of a presentation `[T, B, W]`, all zero, and how many neurons they are for."""
    n = frames.shape[2] * spec.inputs_a_feature(encoding)
    shape = (encoding.n_steps, frames.shape[1], n_words(n))
    return torch.zeros(shape, dtype=torch.int64, device=frames.device), n
