"""The synapses of a network of layers in sequence, and what goes through them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from snncore import spec
from snncore.cost import Link
from snncore.image_layers import AveragePool, Convolution
from snncore.layers import SpikingLayer
from snncore.lstm import LSTM
from snncore.peephole_lstm import PeepholeLSTM
from snncore.stages import Dense, Dropout, Residual, SpikingStage
from snncore.synapses import Synapses

FROM_INPUT = 4
"""Weights that the input of a peephole cell is multiplied by: those of three gates, and w_input."""
FROM_THE_CELL = 7
"""And its state and its output: three peepholes, three gates, and w_output."""


@dataclass(frozen=True, slots=True)
class Passing:
    """What passes from one layer to the next: spikes of `senders`, or numbers, which change so often while a sample is
    shown."""

    senders: frozenset[str] | None
    changes: int

    @classmethod
    def of_input(cls, encoding: spec.Encoding) -> Passing:
        """Spikes, or the currents of each frame, which stay as long as it is shown."""
        if encoding.makes_spikes:
            return cls(frozenset({"input"}), encoding.n_steps)
        return cls(None, encoding.frames)

    def into(self, to: str, synapses: float, fan_out: float) -> Link:
        return Link(to, synapses, self.senders, fan_out, self.changes)

    def through(self, synapses: Synapses, to: str) -> Link:
        return self.into(to, synapses.count(), synapses.fan_out())

    def and_also(self, other: Passing) -> Passing:
        """The sum of both, which is one of spikes only if both are."""
        both = None if self.senders is None or other.senders is None else self.senders | other.senders
        return Passing(both, max(self.changes, other.changes))


def layer_links(name: str, layer: SpikingLayer, arriving: Passing, members: frozenset[str] | None = None) -> list[Link]:
    """The synapses into a spiking layer, and those between its neurons, whose spikes count for `members` (the layer).

    A layer without synapses takes each spike as if it had one, and numbers as its currents, without any product.
    """
    links = []
    if layer.synapses is not None:
        links.append(arriving.through(layer.synapses, name))
    elif arriving.senders is not None:
        links.append(arriving.into(name, layer.for_engine().n_neurons, 1.0))
    if layer.recurrence is not None:
        senders = frozenset({name}) if members is None else members
        links.append(Link(name, layer.recurrence.count(), senders, layer.recurrence.fan_out()))
    return links


class Wiring:
    """The links of a stack of stages, collected on the way through it.

    Pooling, dropout and rectification make no synapses: a spike goes on through them, scaled, to the layer behind.
    """

    def __init__(self, n_steps: int) -> None:
        self.n_steps = n_steps
        self.links: list[Link] = []

    def through(self, stages: nn.ModuleDict, arriving: Passing) -> Passing:
        """Collect the links of a stack. Returns what passes behind it."""
        for name, stage in stages.items():
            arriving = self._stage(name, stage, arriving)
        return arriving

    def _stage(self, name: str, stage: nn.Module, arriving: Passing) -> Passing:
        always_new = Passing(None, self.n_steps)
        match stage:
            case SpikingStage():
                for layer_name, layer in stage.named():
                    self.links += layer_links(layer_name, layer, arriving)
                    arriving = Passing(frozenset({layer_name}), self.n_steps)
                return arriving
            case Residual():
                return self.through(stage.layers, arriving).and_also(self.through(stage.shortcut, arriving))
            case Dropout() | AveragePool() | nn.ReLU():
                return arriving
            case Dense():
                self.links.append(arriving.through(stage.synapses, name))
                return Passing(None, arriving.changes)
            case Convolution():
                self.links.append(arriving.into(name, stage.connections(), stage.fan_out()))
                return Passing(None, arriving.changes)
            case LSTM():
                n_inputs, gates = stage.cell.input_size, 4 * stage.n_units
                self.links.append(arriving.into(name, gates * n_inputs, gates))
                self.links.append(always_new.into(name, gates * stage.n_units, gates))
                return always_new
            case PeepholeLSTM():
                n = stage.get_parameter("w_input").numel()
                self.links.append(arriving.into(name, FROM_INPUT * n, FROM_INPUT))
                self.links.append(always_new.into(name, FROM_THE_CELL * n, FROM_THE_CELL))
                return always_new
            case _:
                raise TypeError(f"it is not known what spikes do in {stage!r}")
