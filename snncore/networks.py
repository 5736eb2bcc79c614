"""Networks made from their spec. They hold weights and no state: a call presents a batch from rest to end."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from snncore import spec
from snncore.engines import Backward, Checkpointed, Full, Input, Layer, Truncated, choose_engine
from snncore.neurons import neuron_parameters
from snncore.readouts import Reading, group_counts, readout_kernel
from snncore.rewiring import Rewiring
from snncore.spikes import SpikeTrain
from snncore.surrogates import spike_function
from snncore.synapses import Synapses


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a network made of a batch: the reading of its outputs, and of each layer by name the spikes and how many of
    them each neuron fired, `[B, N]`. The counts carry a gradient, the spikes do not."""

    reading: Reading
    spikes: dict[str, SpikeTrain]
    counts: dict[str, Tensor]


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

    def for_engine(self) -> Layer:
        """The layer as an engine takes it."""
        return Layer(self.parameters_of_neurons, self.spike, self.synapses, self.recurrence)


class LeakyOutput(nn.Module):
    """Linear leaky units, read once: `snncore.readouts.leaky_kernel` weighs the spikes over time, then comes this."""

    def __init__(self, synapses: Synapses, readout: spec.LeakyReadout) -> None:
        super().__init__()
        self.synapses = synapses
        self.bias = nn.Parameter(synapses.weight.new_zeros(synapses.weight.shape[0])) if readout.bias else None

    def forward(self, weighted: Tensor) -> Reading:
        """The outputs `[B, K]` for weighted sums of spikes `[B, N]`."""
        return Reading(linear(weighted, self.synapses.weight, self.bias), None)


def backward_strategy(backward: spec.Backward) -> Backward:
    """How an engine goes back through time, by the spec."""
    match backward:
        case spec.FullBackward():
            return Full()
        case spec.CheckpointedBackward():
            return Checkpointed(backward.every_steps)
        case spec.TruncatedBackward():
            return Truncated(backward.window_steps)


class Network(nn.Module):
    """Spiking layers in sequence and a readout.

    The outputs are the last members of a recurrent population, a spiking layer of their own, or leaky linear units.
    """

    kernel: Tensor

    def __init__(self, job: spec.JobSpec, device: torch.device) -> None:
        super().__init__()
        self.engine = choose_engine(job.training.engine, device)
        self.backward = backward_strategy(job.training.backward)
        architecture, readout = job.architecture, job.architecture.readout
        self.dt_ms = job.encoding.dt_ms
        self.readout = readout
        group_size = readout.group_size if isinstance(readout, spec.SpikeCountReadout) else 1
        self.n_output_neurons = job.n_outputs * group_size
        dtype = torch.float32 if job.training.precision == "float32" else torch.float64
        n_before = spec.n_inputs(job)

        matrices: dict[str, Synapses] = {}

        def synapses(n_post: int, name: str, form: spec.Connection | spec.Recurrence, n_pre: int) -> Synapses:
            matrices[name] = Synapses(
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
            return matrices[name]

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
                self.leaky = LeakyOutput(output, readout)
            else:
                layers.append(SpikingLayer("output", output, None, job))
        self.layers = nn.ModuleDict({layer.name: layer for layer in layers})
        self.rewiring = Rewiring(job, matrices) if job.training.rewiring else None
        kernel = readout_kernel(readout, job.encoding.n_steps, job.encoding.dt_ms)
        self.register_buffer("kernel", kernel.to(device=device, dtype=dtype), persistent=False)

    def forward(self, x: Input) -> Presentation:
        """Present encoded input, spikes or numbers `[T, B, M]`, starting at rest."""
        layers = [layer.for_engine() for _, layer in self.spiking_layers()]
        activity = self.engine(x, layers, kernel=self.kernel, backward=self.backward)
        names = [name for name, _ in self.spiking_layers()]
        spikes = dict(zip(names, activity.spikes, strict=True))
        counts = dict(zip(names, activity.totals, strict=True))
        assert activity.weighted is not None
        if self.leaky is not None:
            return Presentation(self.leaky(activity.weighted), spikes, counts)
        counted = activity.weighted
        if self.outputs_inside:
            both, n = activity.spikes[0], activity.spikes[0].n_neurons - self.n_output_neurons
            spikes = {"hidden": both.neurons(0, n), "output": both.neurons(n, both.n_neurons)}
            counts = {"hidden": counts["hidden"][:, :n], "output": counts["hidden"][:, n:]}
            counted = counted[:, n:]
        assert isinstance(self.readout, spec.SpikeCountReadout)
        n_steps = activity.spikes[0].n_steps
        return Presentation(group_counts(counted, self.readout, n_steps, self.dt_ms), spikes, counts)

    def spiking_layers(self) -> list[tuple[str, SpikingLayer]]:
        """The spiking layers by name, in the order in which spikes pass them."""
        return [(name, layer) for name, layer in self.layers.items() if isinstance(layer, SpikingLayer)]

    def fan_out(self) -> dict[str, float]:
        """Synapses that a spike of each layer, and of the input, goes through, on average over its neurons."""
        layers = self.spiking_layers()
        arriving = [layer.synapses for _, layer in layers] + ([self.leaky.synapses] if self.leaky else [])
        senders = ["input", *(name for name, _ in layers)]
        fans = dict.fromkeys(senders, 0.0)
        for name, synapses in zip(senders, arriving, strict=False):
            fans[name] += synapses.fan_out()
        for name, layer in layers:
            fans[name] += layer.recurrence.fan_out() if layer.recurrence else 0
        if self.outputs_inside:
            fans["output"] = fans["hidden"]
        return fans
