"""How the network is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part
from snncore.spec.descent import GradientDescent, WholeTraining
from snncore.spec.diet import Diet
from snncore.spec.pools import TeacherSTDP
from snncore.spec.rewiring import DeepR
from snncore.spec.stdp import STDP


class RateRegulariser(Part):
    """Adds `strength * mean over hidden neurons of (target - rate)**2`, rates in kHz (Renner 2020, eq. 4.10)."""

    target_hz: float = Field(default=50.0, ge=0, le=1e5)
    strength: float = Field(ge=0, le=1e9)


class FullBackward(Part):
    """The potential of every step is kept for the way back."""

    kind: Literal["full"]


class CheckpointedBackward(Part):
    """The same gradient from less memory: the state of every `every_steps`-th step is kept, and the steps in between
    are run again on the way back (Chen et al. 2016). About the square root of the steps takes the least memory."""

    kind: Literal["checkpointed"]
    every_steps: int = Field(ge=1, le=100_000)


class TruncatedBackward(Part):
    """Windows of `window_steps`: no gradient passes from one to the one before through the neurons' state or the
    recurrent spikes (Williams & Peng 1990). Takes the memory of 'checkpointed', and computes another gradient."""

    kind: Literal["truncated"]
    window_steps: int = Field(ge=1, le=100_000)


Backward = Annotated[FullBackward | CheckpointedBackward | TruncatedBackward, Field(discriminator="kind")]


class BPTT(GradientDescent, WholeTraining):
    """Backpropagation through time with surrogate gradients."""

    kind: Literal["bptt"]
    rate_regulariser: RateRegulariser | None = None
    rewiring: DeepR | None = Field(default=None, description="kind: deep_r; absent: every synapse exists.")
    backward: Backward = Field(
        default=FullBackward(kind="full"), description="How the gradient goes back through time."
    )


Training = Annotated[BPTT | Diet | STDP | TeacherSTDP, Field(discriminator="kind")]
