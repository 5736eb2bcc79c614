"""Networks made from their spec. They hold weights and no state: a call presents a batch from rest to end."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from snncore import spec
from snncore.neurons import neuron_parameters
from snncore.readouts import Reading, group_counts, leaky_kernel
from snncore.scan import ENGINES
from snncore.surrogates import spike_function
from snncore.synapses import Synapses


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a network made of a batch: the reading of its outputs and the spikes `[T, B, N]` of each layer by name."""

    reading: Reading
    spikes: dict[str, Tensor]


class SpikingLayer(nn.Module):
    """Synapses, neurons, and synapses back onto themselves where the layer is recurrent."""

    def __init__(self, name: str, synapses: Synapses, recurrence: Synapses | None, job: spec.JobSpec) -> None:
        super().__init__()
        self.name = name
        self.synapses = synapses
        self.recurrence = recurrence
        weight = synapses.weight
        self.n_neurons = weight.shape[0]
        self.parameters_of_neurons = neuron_parameters(
            job.neuron, self.n_neurons, job.encoding.dt_ms, dtype=weight.dtype, device=weight.device
        )
        self.spike = spike_function(spec.form_of(job.neuron))
        self.engine = ENGINES[job.training.engine]

    def forward(self, x: Tensor) -> Tensor:
        """Spikes `[T, B, N]` in answer to the spikes or currents `[T, B, M]` of the layer before."""
        return self.engine(self.synapses(x), self.parameters_of_neurons, self.spike, self.recurrence).z


class LeakyOutput(nn.Module):
    """Linear leaky units, read once (`snncore.readouts.leaky_kernel`)."""

    kernel: Tensor

    def __init__(self, synapses: Synapses, readout: spec.LeakyReadout, job: spec.JobSpec) -> None:
        super().__init__()
        weight = synapses.weight
        self.synapses = synapses
        kernel = leaky_kernel(readout, job.encoding.n_steps, job.encoding.dt_ms)
        self.register_buffer("kernel", kernel.to(device=weight.device, dtype=weight.dtype), persistent=False)
        self.bias = nn.Parameter(weight.new_zeros(weight.shape[0])) if readout.bias else None

    def forward(self, z: Tensor) -> Reading:
        """The outputs `[B, K]` for spikes `[T, B, N]`."""
        return Reading(linear(torch.einsum("t,tbn->bn", self.kernel, z), self.synapses.weight, self.bias), None)


class Network(nn.Module):
    """Spiking layers in sequence and a readout.

    The outputs are the last members of a recurrent population, a spiking layer of their own, or leaky linear units.
    """

    def __init__(self, job: spec.JobSpec, device: torch.device) -> None:
        super().__init__()
        architecture, readout = job.architecture, job.architecture.readout
        self.dt_ms = job.encoding.dt_ms
        self.readout = readout
        group_size = readout.group_size if isinstance(readout, spec.SpikeCountReadout) else 1
        self.n_output_neurons = job.n_outputs * group_size
        dtype = torch.float32 if job.training.precision == "float32" else torch.float64
        n_before = spec.n_inputs(job)

        def synapses(n_post: int, name: str, form: spec.Connection | spec.Recurrence, n_pre: int) -> Synapses:
            return Synapses(
                n_pre,
                n_post,
                name=name,
                seed=job.seed,
                weights=form.weights,
                delay=form.delay,
                autapses=getattr(form, "autapses", True),
                dtype=dtype,
                device=device,
            )

        layers: list[SpikingLayer] = []
        self.outputs_inside = False
        if isinstance(architecture, spec.Recurrent):
            self.outputs_inside = isinstance(readout, spec.SpikeCountReadout) and readout.recurrent
            n = architecture.n_hidden + (self.n_output_neurons if self.outputs_inside else 0)
            forward = synapses(n, "hidden/input", architecture.input, n_before)
            layers.append(
                SpikingLayer("hidden", forward, synapses(n, "hidden/recurrent", architecture.recurrence, n), job)
            )
            n_before = n
        else:
            for i, n in enumerate(architecture.layers, start=1):
                forward = synapses(n, f"hidden_{i}/input", architecture.connection, n_before)
                layers.append(SpikingLayer(f"hidden_{i}", forward, None, job))
                n_before = n

        self.leaky: LeakyOutput | None = None
        if not self.outputs_inside:
            last = spec.Connection(weights=readout.weights)
            output = synapses(self.n_output_neurons, "output/input", last, n_before)
            if isinstance(readout, spec.LeakyReadout):
                self.leaky = LeakyOutput(output, readout, job)
            else:
                layers.append(SpikingLayer("output", output, None, job))
        self.layers = nn.ModuleDict({layer.name: layer for layer in layers})

    def forward(self, x: Tensor) -> Presentation:
        """Present encoded input `[T, B, M]`, starting at rest."""
        spikes: dict[str, Tensor] = {}
        for name, layer in self.spiking_layers():
            x = spikes[name] = layer(x)
        if self.leaky is not None:
            return Presentation(self.leaky(x), spikes)
        if self.outputs_inside:
            spikes["hidden"], spikes["output"] = x[..., : -self.n_output_neurons], x[..., -self.n_output_neurons :]
        assert isinstance(self.readout, spec.SpikeCountReadout)
        return Presentation(group_counts(spikes["output"], self.readout, self.dt_ms), spikes)

    def spiking_layers(self) -> list[tuple[str, SpikingLayer]]:
        """The spiking layers by name, in the order in which spikes pass them."""
        return [(name, layer) for name, layer in self.layers.items() if isinstance(layer, SpikingLayer)]

    def fan_out(self) -> dict[str, int]:
        """Synapses that a spike of each layer, and of the input, goes through."""
        sizes = {name: layer.n_neurons for name, layer in self.spiking_layers()}
        after = [*list(sizes.values())[1:], self.n_output_neurons if self.leaky else 0]
        fans = {"input": next(iter(sizes.values()))}
        for (name, layer), n_after in zip(self.spiking_layers(), after, strict=True):
            fans[name] = n_after + (layer.recurrence.fan_out() if layer.recurrence else 0)
        if self.outputs_inside:
            fans["output"] = fans["hidden"]
        return fans
