"""Networks of layers in sequence, spiking and not. Every layer acts at each time step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part, UnitCount
from snncore.spec.neuron import Neuron
from snncore.spec.readout import Readout, SpikeCountReadout
from snncore.spec.synapses import NormalWeights, Recurrence, Weights

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


class Dense(Part):
    """Weights and biases, the same at every time step: f(W x[t] + b)."""

    kind: Literal["dense"]
    n_units: UnitCount
    bias: bool = True
    activation: Literal["linear", "relu", "tanh", "sigmoid"] = "linear"
    weights: Weights = NormalWeights(kind="normal")


class Spiking(Part):
    """A neuron for each channel of what comes before, which is its input current.

    With a `recurrence` the neurons are connected to each other as well.
    """

    kind: Literal["spiking"]
    neuron: Neuron | None = Field(default=None, description="Absent: the job's `neuron`.")
    recurrence: Recurrence | None = None


class LSTM(Part):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000), with one bias a gate.

    Input weights are drawn as Glorot & Bengio (2010) do, recurrent ones are orthogonal.
    """

    kind: Literal["lstm"]
    n_units: UnitCount
    forget_bias: float = Field(default=1.0, ge=-100, le=100, description="Initial bias of the forget gate.")


class PeepholeLSTM(Part):
    """A peephole LSTM cell for each channel of what comes before, which starts as a LIF unit (Gerum & Schilling 2020,
    section 3); all of its weights are trained. See `snncore.peephole_lstm`."""

    kind: Literal["peephole_lstm"]
    output: Literal["last_state", "current_state"] = Field(
        default="current_state",
        description="What the output gate sees and lets through: the state of the step before, as the paper has it, or "
        "that of this step (Gers & Schmidhuber 2000).",
    )
    w_input: float = Field(default=0.5, ge=-1e3, le=1e3, description="Of the LIF unit.")
    w_leak: float = Field(default=0.1, ge=0, le=1, description="Of the LIF unit.")
    steepness: float = Field(default=200.0, gt=0, le=1e4, description="Of the gates that decide whether it fires.")


class Dropout(Part):
    """While training, each number becomes 0 with probability `rate`, and the others are divided by 1 - rate."""

    kind: Literal["dropout"]
    rate: float = Field(ge=0, lt=1)
    over_time: Literal["independent", "constant"] = Field(
        default="independent", description="Whether each time step has a mask of its own, or the presentation has one."
    )


SequentialLayer = Annotated[Dense | Spiking | LSTM | PeepholeLSTM | Dropout, Field(discriminator="kind")]


class Sequential(Part):
    """Layers in sequence, and a readout."""

    kind: Literal["sequential"]
    layers: list[SequentialLayer] = Field(min_length=1, max_length=64)
    readout: Readout


def named_layers(spec: JobSpec) -> Iterator[tuple[str, SequentialLayer]]:
    """The layers of an architecture 'sequential' by name: spiking ones are `hidden_1`, `hidden_2`, ..., the others are
    counted by their kind. Outputs whose spikes are counted are two layers more."""
    architecture = spec.architecture
    assert isinstance(architecture, Sequential)
    counts: dict[str, int] = {}
    for layer in architecture.layers:
        kind = "hidden" if isinstance(layer, Spiking) else layer.kind
        counts[kind] = counts.get(kind, 0) + 1
        yield f"{kind}_{counts[kind]}", layer
    readout = architecture.readout
    if isinstance(readout, SpikeCountReadout):
        n_units = spec.n_outputs * readout.group_size
        yield "output", Dense(kind="dense", n_units=n_units, bias=False, weights=readout.weights)
        yield "output", Spiking(kind="spiking")


def named_widths(spec: JobSpec, width: int) -> Iterator[tuple[str, SequentialLayer, int, int]]:
    """The same with the channels before and behind each layer; `width` are those of the input."""
    for name, layer in named_layers(spec):
        after = layer.n_units if isinstance(layer, Dense | LSTM) else width
        yield name, layer, width, after
        width = after
