"""Networks: who is connected to whom, with which delays and initial weights, and how the output is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import NonNegativeMs, Part, PositiveMs, UnitCount

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


Weights = Annotated[NormalWeights | UniformWeights, Field(discriminator="kind")]


class Connection(Part):
    """Trainable all-to-all synapses from one layer to the next. Delay 0 arrives in the same step."""

    weights: Weights = NormalWeights(kind="normal")
    delay: Delay = ConstantDelay(kind="constant", steps=0)


class Recurrence(Part):
    """Trainable all-to-all synapses of a layer onto itself. Delay 1, the shortest, arrives in the next step."""

    weights: Weights = NormalWeights(kind="normal")
    delay: Delay = ConstantDelay(kind="constant", steps=1)
    autapses: bool = Field(default=False, description="Whether a neuron may excite itself.")


class LeakyReadout(Part):
    """Linear units that low-pass their input and never spike; a value for each class or output.

    y[t] = decay * y[t-1] + (1 - decay) * (W z[t]) + bias, read at the last step or averaged over a window.
    """

    kind: Literal["leaky"]
    tau_ms: PositiveMs = 20.0
    reduction: Literal["last", "mean"] = "last"
    window_ms: PositiveMs | None = Field(
        default=None, description="The last part of the presentation, for 'mean'; all of it when absent."
    )
    bias: bool = True
    weights: Weights = NormalWeights(kind="normal")


class SpikeCountReadout(Part):
    """Groups of spiking neurons; the output is the mean spike count (or rate) of each group after the warm-up."""

    kind: Literal["spike_count"]
    group_size: UnitCount = 1
    warmup_ms: NonNegativeMs = Field(default=0.0, description="Spikes before this moment do not count.")
    recurrent: bool = Field(
        default=False,
        description="Whether the output neurons are members of the recurrent population (recurrent architecture "
        "only), or a spiking layer after it.",
    )
    weights: Weights = NormalWeights(kind="normal")


Readout = Annotated[LeakyReadout | SpikeCountReadout, Field(discriminator="kind")]


class Recurrent(Part):
    """One recurrent population behind the input."""

    kind: Literal["recurrent"]
    n_hidden: UnitCount
    input: Connection = Connection()
    recurrence: Recurrence = Recurrence()
    readout: Readout


class FeedForward(Part):
    """Layers of spiking neurons in sequence."""

    kind: Literal["feedforward"]
    layers: list[UnitCount] = Field(min_length=1, max_length=32, description="Neurons of each hidden layer.")
    connection: Connection = Field(default=Connection(), description="What each layer gets its input through.")
    readout: Readout


Architecture = Annotated[Recurrent | FeedForward, Field(discriminator="kind")]
