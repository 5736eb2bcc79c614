"""The linear units that a network is read from."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from snncore import spec
from snncore.readouts import Reading
from snncore.synapses import Synapses


class Output(nn.Module):
    """Linear units behind synapses, with a bias `[K]` where there is one."""

    def __init__(self, synapses: Synapses, bias: bool) -> None:
        super().__init__()
        self.synapses = synapses
        self.bias = nn.Parameter(synapses.weight.new_zeros(synapses.weight.shape[0])) if bias else None


class LeakyOutput(Output):
    """Leaky units: `snncore.readouts.leaky_kernel` weighs what comes before over time, then comes this."""

    def forward(self, weighted: Tensor) -> Reading:
        """The outputs `[B, S, K]` for weighted sums over time `[B, S, N]`."""
        return Reading(linear(weighted, self.synapses.weight, self.bias), None)


class ProjectedOutput(Output):
    """Units that look at every time step."""

    def forward(self, projected: Tensor) -> Reading:
        """The outputs for what the synapses bring, `[T, B, K]`."""
        return self.read(projected if self.bias is None else projected + self.bias)

    def read(self, current: Tensor) -> Reading:
        raise NotImplementedError


class EveryStepOutput(ProjectedOutput):
    """The current of each step is an output of its own."""

    def read(self, current: Tensor) -> Reading:
        return Reading(current.transpose(0, 1), None)


class AccumulatorOutput(ProjectedOutput):
    """The sum of the currents o[t], kept at zero or above at every step where `non_negative` says so.

    y[t] = max(0, y[t-1] + o[t]) ends at y[T] = s[T] - min(0, min_t s[t]) with the plain sums s (the reflection of
    Skorokhod), so that no loop over time is needed.
    """

    def __init__(self, synapses: Synapses, bias: bool, non_negative: bool) -> None:
        super().__init__(synapses, bias)
        self.non_negative = non_negative

    def read(self, current: Tensor) -> Reading:
        if not self.non_negative:
            return Reading(current.sum(dim=0)[:, None], None)
        sums = torch.cat([current.new_zeros(1, *current.shape[1:]), current.cumsum(dim=0)])
        # of equal sums the last is the lowest, as in the loop, where the gradient of max(0, 0) is 0
        lowest = sums.flip(0).min(dim=0).values
        return Reading((sums[-1] - lowest)[:, None], None)


def make_output(readout: spec.Readout, synapses: Synapses) -> LeakyOutput | ProjectedOutput | None:
    """The output units of a readout; None where the outputs are spiking neurons."""
    match readout:
        case spec.LeakyReadout():
            return LeakyOutput(synapses, readout.bias)
        case spec.EveryStepReadout():
            return EveryStepOutput(synapses, readout.bias)
        case spec.AccumulatorReadout():
            return AccumulatorOutput(synapses, readout.bias, readout.non_negative)
        case spec.SpikeCountReadout():
            return None
