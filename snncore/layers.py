"""What networks are made of. Layers hold weights and no state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from snncore import spec
from snncore.engines import Backward, Checkpointed, Full, Layer, Truncated
from snncore.layer_lif import LayerLIFs
from snncore.neurons import NeuronParameters, neuron_parameters
from snncore.readouts import Reading
from snncore.spikes import SpikeTrain
from snncore.surrogates import SpikeFunction, spike_function
from snncore.synapses import Synapses
from snncore.units import LIFUnits

Draws: TypeAlias = Callable[[str], np.random.Generator]
"""The random stream of a layer, by name, for the batch that is trained on."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a network made of a batch: the reading of its outputs, and of each spiking layer by name the spikes and how
    many of them each neuron fired, `[B, N]`. The counts carry a gradient, the spikes do not."""

    reading: Reading
    spikes: dict[str, SpikeTrain]
    counts: dict[str, Tensor]


class SpikingLayer(nn.Module):
    """Synapses, neurons, and synapses back onto themselves where the layer is recurrent.

    Without synapses, the neurons take what comes before as their current. `neurons` is what is known about them, or
    what trains it.
    """

    def __init__(
        self,
        synapses: Synapses | None,
        recurrence: Synapses | None,
        neurons: NeuronParameters | LIFUnits | LayerLIFs,
        spike: SpikeFunction,
        bias: nn.Parameter | None = None,
    ) -> None:
        super().__init__()
        self.synapses = synapses
        self.recurrence = recurrence
        self.bias = bias
        self.units = None if isinstance(neurons, NeuronParameters) else neurons
        self.fixed = neurons if isinstance(neurons, NeuronParameters) else None
        self.spike = spike

    @property
    def parameters_of_neurons(self) -> NeuronParameters:
        """Those of now."""
        if self.fixed is not None:
            return self.fixed
        assert self.units is not None
        return self.units.parameters_of_neurons()

    def constrain(self) -> None:
        """Put what an update has moved out of its range back to the border."""
        if self.units is not None:
            self.units.constrain()

    def scalars(self) -> dict[str, float]:
        """Trainable numbers that all neurons of the layer share, by their kind."""
        return self.units.scalars() if isinstance(self.units, LayerLIFs) else {}

    def for_engine(self) -> Layer:
        """The layer as an engine takes it."""
        return Layer(self.parameters_of_neurons, self.spike, self.synapses, self.recurrence, self.bias)


def spiking_layer(
    neuron: spec.Neuron,
    n_neurons: int,
    synapses: Synapses | None,
    recurrence: Synapses | None = None,
    *,
    name: str,
    job: spec.JobSpec,
    dtype: torch.dtype,
    device: torch.device,
    bias: nn.Parameter | None = None,
) -> SpikingLayer:
    """A layer of `n_neurons` of the kind that `neuron` describes. `name` is that of its initial values, if it draws
    any."""
    neurons: NeuronParameters | LIFUnits | LayerLIFs
    form: spec.LIF | spec.ALIF | spec.LIFUnit | spec.LayerLIF
    if isinstance(neuron, spec.LIFUnit):
        shape = spec.image_shape(job.dataset)
        n_channels = None if shape is None else shape[2]
        neurons = LIFUnits(
            neuron,
            n_neurons,
            name=name,
            seed=job.seed,
            n_channels=n_channels,
            units_a_feature=spec.inputs_a_feature(job.encoding),
            dtype=dtype,
            device=device,
        )
        form = neuron
    elif isinstance(neuron, spec.LayerLIF):
        neurons = LayerLIFs(neuron, n_neurons, dtype=dtype, device=device)
        form = neuron
    else:
        neurons = neuron_parameters(neuron, n_neurons, job.encoding.dt_ms, dtype=dtype, device=device)
        form = spec.form_of(neuron)
    return SpikingLayer(synapses, recurrence, neurons, spike_function(form), bias)


def shared_parameters(layers: Iterable[tuple[str, SpikingLayer]]) -> dict[str, float]:
    """`SpikingLayer.scalars` of named layers, as `kind.layer`."""
    return {f"{kind}.{name}": value for name, layer in layers for kind, value in layer.scalars().items()}


def backward_strategy(backward: spec.Backward) -> Backward:
    """How an engine goes back through time, by the spec."""
    match backward:
        case spec.FullBackward():
            return Full()
        case spec.CheckpointedBackward():
            return Checkpointed(backward.every_steps)
        case spec.TruncatedBackward():
            return Truncated(backward.window_steps)
