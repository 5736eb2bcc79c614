"""Networks: who is connected to whom, with which delays and initial weights, and how the output is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import NonNegativeMs, Part, PositiveMs, UnitCount
from snncore.spec.neuron import Neuron

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

    y[t] = decay * y[t-1] + (1 - decay) * (W z[t]) + bias, read at the last step, or averaged over a window or each
    frame.
    """

    kind: Literal["leaky"]
    tau_ms: PositiveMs = 20.0
    reduction: Literal["last", "mean", "mean_by_frame"] = Field(
        default="last", description="'mean_by_frame' gives an output for each frame of the encoding."
    )
    window_ms: PositiveMs | None = Field(
        default=None, description="The last part of the presentation, for 'mean'; all of it when absent."
    )
    bias: bool = True
    weights: Weights = NormalWeights(kind="normal")

    @property
    def by_frame(self) -> bool:
        return self.reduction == "mean_by_frame"


class SpikeCountReadout(Part):
    """Groups of spiking neurons; the output is the mean spike count (or rate) of each group after the warm-up."""

    kind: Literal["spike_count"]
    group_size: UnitCount = 1
    warmup_ms: NonNegativeMs = Field(
        default=0.0, description="Spikes before this moment, of the presentation or of each frame, do not count."
    )
    by_frame: bool = Field(default=False, description="Whether each frame of the encoding is counted apart.")
    recurrent: bool = Field(
        default=False,
        description="Whether the output neurons are members of the recurrent population (recurrent architecture "
        "only; that of the embedded network, where there is one), or a spiking layer after it.",
    )
    weights: Weights = NormalWeights(kind="normal")


Readout = Annotated[LeakyReadout | SpikeCountReadout, Field(discriminator="kind")]


class EmbeddedNetwork(Part):
    """A trained recurrent population as another network takes it in: its sizes, neurons, delays, and the seed of
    these."""

    n_inputs: UnitCount = Field(description="Its input neurons.")
    n_hidden: UnitCount
    n_outputs: UnitCount
    group_size: UnitCount = Field(description="Neurons an output; the outputs are the last of the population.")
    neuron: Neuron
    input: Connection
    recurrence: Recurrence
    dt_ms: float = Field(ge=1e-9, le=1e4)
    seed: int = Field(ge=0, lt=2**63)


class Embedded(Part):
    """The network of a finished job as a frozen module behind the recurrent population.

    Trainable all-to-all synapses lead to spiking neurons in the place of its input, which have its neuron's constants
    and no recurrence; from there on its weights are those of the job's best checkpoint, and stay as they are. Gradients
    pass through it (Renner 2020, section 4.2).
    """

    job: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$", description="The job whose network it is.")
    network: EmbeddedNetwork = Field(description="What that job trained; the service fills it in.")
    connection: Connection = Field(default=Connection(), description="From the population to its input neurons.")


class Recurrent(Part):
    """One recurrent population behind the input."""

    kind: Literal["recurrent"]
    n_hidden: UnitCount
    input: Connection = Connection()
    recurrence: Recurrence = Recurrence()
    embedded: Embedded | None = Field(default=None, description="A trained network between population and readout.")
    readout: Readout


class FeedForward(Part):
    """Layers of spiking neurons in sequence."""

    kind: Literal["feedforward"]
    layers: list[UnitCount] = Field(min_length=1, max_length=32, description="Neurons of each hidden layer.")
    connection: Connection = Field(default=Connection(), description="What each layer gets its input through.")
    readout: Readout


Architecture = Annotated[Recurrent | FeedForward, Field(discriminator="kind")]
