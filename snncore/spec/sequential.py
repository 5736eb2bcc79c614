"""Networks of layers in sequence, spiking and not. Every layer acts at each time step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from snncore.spec.base import Part, UnitCount
from snncore.spec.errors import Location
from snncore.spec.neuron import Neuron
from snncore.spec.readout import Readout, SpikeCountReadout
from snncore.spec.synapses import NormalWeights, Recurrence, Weights

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


Activation: TypeAlias = Literal["linear", "relu", "tanh", "sigmoid"]


class Dense(Part):
    """Weights and biases, the same at every time step: f(W x[t] + b)."""

    kind: Literal["dense"]
    n_units: UnitCount
    bias: bool = True
    activation: Activation = "linear"
    weights: Weights = NormalWeights(kind="normal")


class Conv2d(Part):
    """A convolution of what comes before as an image, the same at every time step: f(W * x[t] + b).

    It needs an image: samples that are shown whole, or what other layers have made of one. Its result is an image of
    `channels`, features in the order row, column, channel. There is one bias a channel. For the initial weights, a unit
    takes kernel^2 * (channels before) inputs, and each input goes to kernel^2 * channels units.
    """

    kind: Literal["conv2d"]
    channels: UnitCount
    kernel: int = Field(default=3, ge=1, le=64, description="Side of the square of pixels that a unit sees.")
    stride: int = Field(default=1, ge=1, le=64, description="Pixels from one unit to the next.")
    padding: Literal["same"] | Annotated[int, Field(ge=0, le=63)] = Field(
        default="same",
        description="Pixels of zeros around the image; 'same': (kernel - 1) / 2 of them, so that at stride 1 the image "
        "stays as large as it was.",
    )
    bias: bool = True
    activation: Activation = "linear"
    weights: Weights = NormalWeights(kind="normal")

    @property
    def border(self) -> int:
        """Pixels of zeros on each side."""
        return (self.kernel - 1) // 2 if self.padding == "same" else self.padding

    def side(self, before: int) -> int:
        """Pixels along a side of the result, of so many before; below 1 where the kernel finds no place."""
        return (before + 2 * self.border - self.kernel) // self.stride + 1


class AveragePool(Part):
    """Blocks of `size` x `size` pixels of an image become one, their mean in each channel."""

    kind: Literal["average_pool"]
    size: int = Field(default=2, ge=2, le=256)


class ReLU(Part):
    """max(0, x[t])."""

    kind: Literal["relu"]


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


InnerLayer = Annotated[
    Dense | Conv2d | AveragePool | ReLU | Spiking | LSTM | PeepholeLSTM | Dropout, Field(discriminator="kind")
]


class Residual(Part):
    """The sum of two stacks of layers that both act on what comes before (He et al. 2016): `layers`, and `shortcut`,
    which may be empty, so that what comes before is added as it is. Both have to come to the same shape."""

    kind: Literal["residual"]
    layers: list[InnerLayer] = Field(min_length=1, max_length=16)
    shortcut: list[InnerLayer] = Field(default=[], max_length=16)

    def branches(self, name: str) -> tuple[NamedLayers, NamedLayers]:
        """`layers` and `shortcut`, by names that begin with that of this layer."""
        return list(_named(self.layers, f"{name}_")), list(_named(self.shortcut, f"{name}_shortcut_"))


SequentialLayer = Annotated[
    Dense | Conv2d | AveragePool | ReLU | Residual | Spiking | LSTM | PeepholeLSTM | Dropout,
    Field(discriminator="kind"),
]
NamedLayers: TypeAlias = "list[tuple[str, SequentialLayer]]"


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
    yield from _named(architecture.layers)
    readout = architecture.readout
    if isinstance(readout, SpikeCountReadout):
        n_units = spec.n_outputs * readout.group_size
        yield "output", Dense(kind="dense", n_units=n_units, bias=False, weights=readout.weights)
        yield "output", Spiking(kind="spiking")


def _named(layers: Sequence[SequentialLayer], prefix: str = "") -> Iterator[tuple[str, SequentialLayer]]:
    counts: dict[str, int] = {}
    for layer in layers:
        kind = "hidden" if isinstance(layer, Spiking) else layer.kind
        counts[kind] = counts.get(kind, 0) + 1
        yield f"{prefix}{kind}_{counts[kind]}", layer


def placed_parts(architecture: Sequential) -> Iterator[tuple[Location, SequentialLayer]]:
    """All layers with their places in the spec, those inside of residual ones before these."""
    for i, layer in enumerate(architecture.layers):
        place: Location = ("architecture", "layers", i)
        if isinstance(layer, Residual):
            for branch in ("layers", "shortcut"):
                for j, inner in enumerate(getattr(layer, branch)):
                    yield (*place, branch, j), inner
        yield place, layer
