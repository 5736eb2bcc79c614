"""How a sample becomes `steps` time steps of input. The encoding sets the time axis of the whole network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from snncore.spec.base import Part, PositiveMs, UnitCount


class _Encoding(Part):
    duration_ms: PositiveMs = Field(description="How long a sample is presented.")
    # A picosecond at least, so that the number of steps is one: duration_ms / 5e-324 would be infinite.
    dt_ms: float = Field(default=1.0, ge=1e-9, le=1e4, description="Time step of the simulation.")
    makes_spikes: ClassVar[bool] = True
    """Or currents."""

    @property
    def n_steps(self) -> int:
        return round(self.duration_ms / self.dt_ms)


class _OfFeatures(_Encoding):
    frames: int = Field(
        default=1,
        ge=1,
        le=100_000,
        description="The features of a sample are a sequence of so many frames, shown one after the other, each for "
        "duration_ms / frames.",
    )
    scan: Literal["columns", "rows"] | None = Field(
        default=None,
        description="Show an image column by column, from the left, or row by row, from the top: a frame for each. "
        "None: the features are cut into frames in the order in which they are stored.",
    )

    @property
    def steps_a_frame(self) -> int:
        return self.n_steps // self.frames


class Poisson(_OfFeatures):
    """Each feature x of a frame drives `group_size` neurons that spike with probability `min(1, max_rate_hz * x * dt)`
    a step, x being scaled to `feature_sum` where there is one.

    Where a source says P = x * dt * gain with dt in seconds (tf_spiking), max_rate_hz is that gain.
    """

    kind: Literal["poisson"]
    max_rate_hz: float = Field(default=200.0, gt=0, le=1e6, description="Rate at x = 1.")
    group_size: UnitCount = Field(default=1, description="Input neurons a feature.")
    feature_sum: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="What the features of each sample are scaled to sum to, so that all samples cause as many spikes; "
        "those below 0 count as 0. Absent: features are taken as they are.",
    )


class Direct(_OfFeatures):
    """Each feature of a frame is a constant current `gain * (x - offset)` as long as the frame is shown."""

    kind: Literal["direct"]
    gain: float = Field(default=1.0, ge=-1e6, le=1e6)
    offset: float = Field(
        default=0.0, ge=-1e6, le=1e6, description="What is no current: the mean of the features centres them."
    )
    makes_spikes: ClassVar[bool] = False


class Latency(_OfFeatures):
    """Each feature x of a frame drives a neuron that spikes once, the sooner the larger x is.

    Of the N steps of a frame it is step floor(time_scale * N * ln(x / (x - threshold))), in which a unit that leaks
    towards x comes to the threshold (tf_spiking, the package of Gerum & Schilling 2021). Features that are not above
    the threshold, and those whose spike would come after the frame, stay silent.
    """

    kind: Literal["latency"]
    threshold: float = Field(default=0.2, gt=0, le=1e6, description="What x has to exceed.")
    time_scale: float = Field(
        default=1.0,
        gt=0,
        le=1e6,
        description="The time constant of the unit, in frames. tf_spiking has 0.05 unless told otherwise, which puts "
        "all spikes into the first steps.",
    )


class ThresholdCrossing(_OfFeatures):
    """Each feature drives `levels` neurons that spike where it rises to their threshold from one frame to the next, and
    `levels` that spike where it falls below theirs (Bellec et al. 2018, sequential MNIST).

    Threshold k of 1..levels is k * highest / levels: neuron k spikes if x[frame - 1] < threshold <= x[frame], neuron
    levels + k if x[frame] < threshold <= x[frame - 1], at the first step of the frame. Before the first frame x is 0.
    The published code has 40 thresholds from 0 to 1. Nothing crosses 0, so that they are `levels` = 39; for 1 it has
    one neuron, which spikes in all frames with x = 1, and it shows each crossing a frame earlier.
    """

    kind: Literal["threshold_crossing"]
    levels: int = Field(default=39, ge=1, le=1_000, description="Thresholds.")
    highest: float = Field(default=1.0, gt=0, le=1e6, description="The highest of the thresholds.")


class Delta(_OfFeatures):
    """Each feature drives a neuron that spikes at the first step of a frame where it has risen by `threshold` or more
    since the frame before, and with `off` another that spikes where it has fallen as much (delta modulation)."""

    kind: Literal["delta"]
    threshold: float = Field(default=0.1, gt=0, le=1e6)
    off: bool = Field(default=False, description="Whether there is a neuron for falling, beside that for rising.")
    before_first: Literal["zero", "same"] = Field(
        default="zero",
        description="What the first frame is compared with: features of 0, or itself, so that nothing spikes in it.",
    )


class Events(_Encoding):
    """Samples that are events, such as those of an event camera: an input neuron spikes in a step if an event of its
    address falls into it, one or more. Events after duration_ms are not shown."""

    kind: Literal["events"]
    frames: ClassVar[int] = 1
    scan: ClassVar[None] = None

    @property
    def steps_a_frame(self) -> int:
        return self.n_steps


Encoding = Annotated[Poisson | Direct | Latency | ThresholdCrossing | Delta | Events, Field(discriminator="kind")]


def inputs_a_feature(encoding: Encoding) -> int:
    """Input neurons that each feature of a frame, or each address of events, drives."""
    match encoding:
        case Poisson():
            return encoding.group_size
        case ThresholdCrossing():
            return 2 * encoding.levels
        case Delta():
            return 2 if encoding.off else 1
        case Direct() | Latency() | Events():
            return 1
