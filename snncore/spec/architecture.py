"""Networks: which layers there are, and in which order."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from snncore.spec.base import Part, UnitCount
from snncore.spec.competitive import Competitive
from snncore.spec.neuron import Neuron
from snncore.spec.pools import DecisionPools
from snncore.spec.readout import Readout
from snncore.spec.sequential import Sequential
from snncore.spec.synapses import Connection, Recurrence


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


Layered: TypeAlias = Recurrent | FeedForward | Sequential
"""Architectures of layers and a readout, which are trained by their gradient."""

Architecture = Annotated[
    Recurrent | FeedForward | Sequential | Competitive | DecisionPools, Field(discriminator="kind")
]
