"""Synapses: who is connected to whom, with which delays and initial weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part

DelaySteps = Annotated[int, Field(ge=0, le=1_000)]


class ConstantDelay(Part):
    """The same delay for every synapse, in steps."""

    kind: Literal["constant"]
    steps: DelaySteps

    @property
    def longest(self) -> int:
        return self.steps

    @property
    def shortest(self) -> int:
        return self.steps


class UniformDelay(Part):
    """A delay of its own for each synapse, drawn once, uniformly from `low` to `high` steps inclusive."""

    kind: Literal["uniform"]
    low: DelaySteps
    high: DelaySteps

    @property
    def longest(self) -> int:
        return self.high

    @property
    def shortest(self) -> int:
        return self.low


Delay = Annotated[ConstantDelay | UniformDelay, Field(discriminator="kind")]


class NormalWeights(Part):
    """`N(0, gain**2 / fan_in)`."""

    kind: Literal["normal"]
    gain: float = Field(default=1.0, ge=0, le=1e3)


class UniformWeights(Part):
    """`U(-gain, gain) / sqrt(fan_in)`."""

    kind: Literal["uniform"]
    gain: float = Field(default=1.0, ge=0, le=1e3)


class GlorotWeights(Part):
    """`U(-gain, gain) * sqrt(6 / (fan_in + fan_out))` (Glorot & Bengio 2010)."""

    kind: Literal["glorot"]
    gain: float = Field(default=1.0, ge=0, le=1e3)


class HeFanOutWeights(Part):
    """`N(0, gain**2 * 2 / fan_out)` (He et al. 2015, on the way back)."""

    kind: Literal["he_fan_out"]
    gain: float = Field(default=1.0, ge=0, le=1e3)


class FixedNormalWeights(Part):
    """`N(0, std**2)`, however many synapses there are."""

    kind: Literal["fixed_normal"]
    std: float = Field(default=0.01, ge=0, le=1e3)


Weights = Annotated[
    NormalWeights | UniformWeights | GlorotWeights | HeFanOutWeights | FixedNormalWeights, Field(discriminator="kind")
]


class Connection(Part):
    """Trainable all-to-all synapses from one layer to the next. Delay 0 arrives in the same step."""

    weights: Weights = NormalWeights(kind="normal")
    delay: Delay = ConstantDelay(kind="constant", steps=0)


class Recurrence(Part):
    """Trainable all-to-all synapses of a layer onto itself. Delay 1, the shortest, arrives in the next step."""

    weights: Weights = NormalWeights(kind="normal")
    delay: Delay = ConstantDelay(kind="constant", steps=1)
    autapses: bool = Field(default=False, description="Whether a neuron may excite itself.")
