"""One digit as each of the encodings shows it to a network: the equations of `snncore.encoders` in NumPy."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from snncore.illustrations.base import Floats, Illustration, Matrix, Parameters, Result, Vector
from snncore.illustrations.digits import SIDE, DigitIndex, digit, label
from snncore.streams import stream


class EncodingsParameters(Parameters):
    digit_index: DigitIndex = 0
    steps_a_column: int = Field(
        default=5,
        ge=1,
        le=200,
        description="Encodings of changes show the digit a column (or row) at a time, each so long; the others show "
        "all of it for 8 times as long.",
    )
    scan: Literal["columns", "rows"] = Field(default="columns", description="What encodings of changes go along.")
    spike_probability: float = Field(
        default=0.2, ge=0, le=1, description="Poisson: probability of a spike a step, of a pixel of 1."
    )
    seed: int = Field(default=0, ge=0, lt=2**53, description="Poisson: what is drawn.")
    latency_threshold: float = Field(default=0.2, ge=0.001, le=1, description="Latency: what a pixel has to exceed.")
    latency_time_scale: float = Field(
        default=1.0, ge=0.001, le=100, description="Latency: time constant, in units of the whole time."
    )
    gain: float = Field(default=1.0, ge=-100, le=100, description="Direct: current of a pixel of 1.")
    levels: int = Field(default=4, ge=1, le=50, description="Threshold crossing: thresholds, evenly spaced up to 1.")
    delta_threshold: float = Field(default=0.25, ge=0.001, le=1, description="Delta: the least change that spikes.")


class SpikeEvents(Result):
    """Spikes in the order of time. The neurons of a pixel are neighbours."""

    n_neurons: int
    spike_steps: list[int]
    spike_neurons: list[int]


class Encodings(Result):
    digit: Matrix = Field(description="The pixels, from 0 to 1, `[8, 8]`.")
    label: int = Field(description="What it shows.")
    n_steps: int
    poisson: SpikeEvents = Field(description="A neuron a pixel, spiking at random: the brighter, the more often.")
    latency: SpikeEvents = Field(description="A neuron a pixel, spiking once: the brighter, the sooner.")
    direct: Vector = Field(description="The current of each pixel, which is the same at every step, `[64]`.")
    threshold_crossing: SpikeEvents = Field(
        description="For each pixel of a column, the neurons of rising through each level, then those of falling."
    )
    delta: SpikeEvents = Field(
        description="For each pixel of a column, one neuron of rising and one of falling since the column before."
    )


def compute(parameters: EncodingsParameters) -> Encodings:
    p = parameters
    image = digit(p.digit_index)
    pixels = image.reshape(-1)
    n_steps = SIDE * p.steps_a_column
    frames = image.T if p.scan == "columns" else image
    return Encodings(
        digit=image,
        label=label(p.digit_index),
        n_steps=n_steps,
        poisson=_events(poisson(pixels, n_steps, p.spike_probability, p.seed)),
        latency=_events(latency(pixels, n_steps, p.latency_threshold, p.latency_time_scale)),
        direct=p.gain * pixels,
        threshold_crossing=_events(threshold_crossing(frames, p.levels), p.steps_a_column),
        delta=_events(delta(frames, p.delta_threshold), p.steps_a_column),
    )


def poisson(pixels: Floats, n_steps: int, probability: float, seed: int) -> NDArray[np.bool_]:
    """Spikes `[T, F]`, independent, each with the probability `probability * pixel`."""
    uniform = stream(seed, "illustrations/poisson").random((n_steps, len(pixels)), dtype=np.float32)
    return uniform < probability * pixels


def latency(pixels: Floats, n_steps: int, threshold: float, time_scale: float) -> NDArray[np.bool_]:
    """Spikes `[T, F]`, one a pixel, in step floor(time_scale * T * ln(x / (x - threshold))) if there is such a step."""
    arrives = np.full(len(pixels), np.inf)
    bright = pixels > threshold
    arrives[bright] = np.floor(-time_scale * n_steps * np.log1p(-threshold / pixels[bright]))
    spikes: NDArray[np.bool_] = np.arange(n_steps)[:, None] == arrives
    return spikes


def threshold_crossing(frames: Floats, levels: int) -> NDArray[np.bool_]:
    """Spikes `[frames, F * 2 * levels]`: threshold k of 1..levels is k / levels; before the first frame all is 0."""
    thresholds = np.arange(1, levels + 1) / levels
    reached = frames[..., None] >= thresholds
    was = np.concatenate([np.zeros_like(reached[:1]), reached[:-1]])
    return np.concatenate([reached & ~was, was & ~reached], axis=-1).reshape(len(frames), -1)


def delta(frames: Floats, threshold: float) -> NDArray[np.bool_]:
    """Spikes `[frames, F * 2]` where a pixel has risen or fallen by `threshold`; before the first frame all is 0."""
    change = np.diff(frames, axis=0, prepend=np.zeros_like(frames[:1]))
    return np.stack([change >= threshold, change <= -threshold], axis=-1).reshape(len(frames), -1)


def _events(spikes: NDArray[np.bool_], steps_a_row: int = 1) -> SpikeEvents:
    """The spikes of an array `[rows, neurons]`, each row of which begins a frame of so many steps."""
    rows, neurons = spikes.nonzero()
    return SpikeEvents(
        n_neurons=spikes.shape[1], spike_steps=(rows * steps_a_row).tolist(), spike_neurons=neurons.tolist()
    )


ILLUSTRATION = Illustration(
    name="encodings",
    title="Encodings of a digit",
    shows="One handwritten digit as Poisson spikes, latencies, currents, crossed thresholds and changes.",
    source="The job spec's `encoding` kinds; Gerum & Schilling 2020 (tf_spiking) and Bellec et al. 2018",
    parameters=EncodingsParameters,
    result=Encodings,
    compute=compute,
    examples=({"digit_index": 7, "steps_a_column": 12, "spike_probability": 0.05, "levels": 2},),
)
