"""How a sample becomes `steps` time steps of input. The encoding sets the time axis of the whole network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from snncore.spec.base import Part, PositiveMs, UnitCount


class _Encoding(Part):
    duration_ms: PositiveMs = Field(description="How long a sample is presented.")
    # A picosecond at least, so that the number of steps is one: duration_ms / 5e-324 would be infinite.
    dt_ms: float = Field(default=1.0, ge=1e-9, le=1e4, description="Time step of the simulation.")
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
    makes_spikes: ClassVar[bool] = True
    """Or currents."""

    @property
    def n_steps(self) -> int:
        return round(self.duration_ms / self.dt_ms)

    @property
    def steps_a_frame(self) -> int:
        return self.n_steps // self.frames


class Poisson(_Encoding):
    """Each feature x of a frame drives `group_size` neurons that spike with probability `min(1, max_rate_hz * x * dt)`
    a step.

    Where a source says P = x * dt * gain with dt in seconds (tf_spiking), max_rate_hz is that gain.
    """

    kind: Literal["poisson"]
    max_rate_hz: float = Field(default=200.0, gt=0, le=1e6, description="Rate at x = 1.")
    group_size: UnitCount = Field(default=1, description="Input neurons a feature.")


class Direct(_Encoding):
    """Each feature of a frame is a constant current `gain * x` as long as the frame is shown."""

    kind: Literal["direct"]
    gain: float = Field(default=1.0, ge=-1e6, le=1e6)
    makes_spikes: ClassVar[bool] = False


class Latency(_Encoding):
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


Encoding = Annotated[Poisson | Direct | Latency, Field(discriminator="kind")]


def inputs_a_feature(encoding: Encoding) -> int:
    """Input neurons that each feature of a frame drives."""
    return encoding.group_size if isinstance(encoding, Poisson) else 1
