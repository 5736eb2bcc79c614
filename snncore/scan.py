"""The scan over time: the input current of a layer in, its spikes out.

A plain loop over `snncore.neurons.step` under autograd: readable, differentiable in any precision, and what the
reference engine is made of.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from snncore.neurons import NeuronParameters, NeuronState, resting_state, step
from snncore.surrogates import SpikeFunction
from snncore.synapses import Synapses


class LayerState(NamedTuple):
    """What a layer carries from one call to the next."""

    neurons: NeuronState
    history: Tensor
    """The spikes still on their way through the recurrent synapses, `[D, B, N]`, oldest first; D the longest delay."""

    def detach(self) -> LayerState:
        """The same state, cut off from what made it."""
        return LayerState(NeuronState(*(part.detach() for part in self.neurons)), self.history.detach())


class Scan(NamedTuple):
    """What a layer did: spikes `[T, B, N]`, potentials likewise if they were asked for, and the state after it."""

    z: Tensor
    v: Tensor | None
    state: LayerState


def unroll(
    current: Tensor,
    parameters: NeuronParameters,
    spike: SpikeFunction,
    recurrence: Synapses | None = None,
    state: LayerState | None = None,
    *,
    keep_v: bool = False,
) -> Scan:
    """The plain loop. `current` is `[T, B, N]`; without a `state` the layer starts at rest."""
    n_steps, batch, n_neurons = current.shape
    longest = recurrence.longest_delay if recurrence else 0
    if state is None:
        state = LayerState(resting_state(batch, parameters), current.new_zeros(longest, batch, n_neurons))
    neurons = state.neurons
    spikes = list(state.history.unbind())
    potentials: list[Tensor] = []
    weights = recurrence.weight_by_delay() if recurrence else {}
    joined = torch.cat(list(weights.values()), dim=1) if weights else None

    # unbind, not current[t]: indexing a tensor that needs a gradient costs O(T) a step in the backward pass
    for incoming in current.unbind():
        if joined is not None:
            sent = [spikes[-delay] for delay in weights]
            incoming = incoming + linear(sent[0] if len(sent) == 1 else torch.cat(sent, dim=1), joined)
        neurons = step(incoming, neurons, parameters, spike)
        spikes.append(neurons.z)
        if keep_v:
            potentials.append(neurons.v)

    history = torch.stack(spikes[n_steps:]) if longest else current.new_zeros(0, batch, n_neurons)
    return Scan(
        z=torch.stack(spikes[longest:]),
        v=torch.stack(potentials) if keep_v else None,
        state=LayerState(neurons, history),
    )
