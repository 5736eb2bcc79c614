"""How a sample becomes `steps` time steps of input. The encoding sets the time axis of the whole network."""

from __future__ import annotations

from typing import Annotated, Literal

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

    @property
    def n_steps(self) -> int:
        return round(self.duration_ms / self.dt_ms)

    @property
    def steps_a_frame(self) -> int:
        return self.n_steps // self.frames


class Poisson(_Encoding):
    """Each feature x of a frame drives `group_size` neurons that spike with probability `min(1, max_rate_hz * x * dt)`
    a step."""

    kind: Literal["poisson"]
    max_rate_hz: float = Field(default=200.0, gt=0, le=1e6, description="Rate at x = 1.")
    group_size: UnitCount = Field(default=1, description="Input neurons a feature.")


class Direct(_Encoding):
    """Each feature of a frame is a constant current `gain * x` as long as the frame is shown."""

    kind: Literal["direct"]
    gain: float = Field(default=1.0, ge=-1e6, le=1e6)


Encoding = Annotated[Poisson | Direct, Field(discriminator="kind")]
