"""Synapses that spikes go through in a network of layers in sequence."""

from __future__ import annotations

from torch import nn

from snncore.image_layers import AveragePool, Convolution
from snncore.lstm import LSTM
from snncore.peephole_lstm import PeepholeLSTM
from snncore.stages import Dense, Dropout, Residual, SpikingStage

Senders = frozenset[str]
"""Whose spikes arrive: layers, or `input`. None where numbers do."""


class Fans:
    """`of` has for each spiking layer, and for the input, the synapses that one of its spikes goes through on average.

    Pooling, dropout and rectification make no synapses: a spike goes on through them, scaled, to the layer behind.
    """

    def __init__(self) -> None:
        self.of: dict[str, float] = {"input": 0.0}

    def send(self, senders: Senders, n: float) -> None:
        for sender in senders:
            self.of[sender] += n

    def through(self, stages: nn.ModuleDict, senders: Senders) -> Senders:
        """Count the synapses of a stack behind `senders`. Returns whose spikes arrive behind it."""
        for stage in stages.values():
            senders = self._stage(stage, senders)
        return senders

    def _stage(self, stage: nn.Module, senders: Senders) -> Senders:
        match stage:
            case SpikingStage():
                for name, layer in stage.named():
                    self.send(senders, 1.0 if layer.synapses is None else layer.synapses.fan_out())
                    self.of[name] = layer.recurrence.fan_out() if layer.recurrence else 0.0
                    senders = frozenset({name})
                return senders
            case Residual():
                return self.through(stage.layers, senders) | self.through(stage.shortcut, senders)
            case Dropout() | AveragePool() | nn.ReLU():
                return senders
            case Dense():
                self.send(senders, stage.synapses.fan_out())
            case Convolution():
                self.send(senders, stage.fan_out())
            case LSTM():
                self.send(senders, 4.0 * stage.n_units)
            case PeepholeLSTM():
                self.send(senders, 4.0)
            case _:
                raise TypeError(f"it is not known what spikes do in {stage!r}")
        return frozenset()
