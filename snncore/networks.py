"""Networks made from their spec. They hold weights and no state: a call presents a batch from rest to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from snncore import spec
from snncore.engines import Backward, Checkpointed, Full, Input, Layer, Truncated, choose_engine
from snncore.errors import NetworkUnavailable
from snncore.neurons import neuron_parameters
from snncore.readouts import Reading, group_counts, readout_kernel, windows
from snncore.rewiring import Rewiring
from snncore.spikes import SpikeTrain
from snncore.surrogates import spike_function
from snncore.synapses import Synapses

FROZEN = "embedded"
"""The layer of a network whose weights are another job's."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a network made of a batch: the reading of its outputs, and of each layer by name the spikes and how many of
    them each neuron fired, `[B, N]`. The counts carry a gradient, the spikes do not."""

    reading: Reading
    spikes: dict[str, SpikeTrain]
    counts: dict[str, Tensor]


class SpikingLayer(nn.Module):
    """Synapses, neurons, and synapses back onto themselves where the layer is recurrent."""

    def __init__(self, synapses: Synapses, recurrence: Synapses | None, neuron: spec.Neuron, dt_ms: float) -> None:
        super().__init__()
        self.synapses = synapses
        self.recurrence = recurrence
        weight = synapses.weight
        self.n_neurons = weight.shape[0]
        self.parameters_of_neurons = neuron_parameters(
            neuron, self.n_neurons, dt_ms, dtype=weight.dtype, device=weight.device
        )
        self.spike = spike_function(spec.form_of(neuron))

    def for_engine(self) -> Layer:
        """The layer as an engine takes it."""
        return Layer(self.parameters_of_neurons, self.spike, self.synapses, self.recurrence)


class LeakyOutput(nn.Module):
    """Linear leaky units: `snncore.readouts.leaky_kernel` weighs the spikes over time, then comes this."""

    def __init__(self, synapses: Synapses, readout: spec.LeakyReadout) -> None:
        super().__init__()
        self.synapses = synapses
        self.bias = nn.Parameter(synapses.weight.new_zeros(synapses.weight.shape[0])) if readout.bias else None

    def forward(self, weighted: Tensor) -> Reading:
        """The outputs `[B, S, K]` for weighted sums of spikes `[B, S, N]`."""
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

    The outputs are the last members of a recurrent population, a spiking layer of their own, or leaky linear units. An
    embedded network is two layers more: neurons in the place of its input, and its population with frozen weights,
    which are taken from the checkpoint tensors `embedded` (`layers.hidden...` of the job that trained it).
    """

    kernel: Tensor

    def __init__(self, job: spec.JobSpec, device: torch.device, embedded: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.engine = choose_engine(job.training.engine, device)
        self.backward = backward_strategy(job.training.backward)
        architecture, readout = job.architecture, job.architecture.readout
        self.group_size = readout.group_size if isinstance(readout, spec.SpikeCountReadout) else 1
        self.n_output_neurons = job.n_outputs * self.group_size
        dtype = torch.float32 if job.training.precision == "float32" else torch.float64

        matrices: dict[str, Synapses] = {}

        def synapses(
            n_post: int, name: str, form: spec.Connection | spec.Recurrence, n_pre: int, frozen_seed: int | None = None
        ) -> Synapses:
            made = Synapses(
                n_pre,
                n_post,
                name=name,
                seed=job.seed if frozen_seed is None else frozen_seed,
                weights=form.weights,
                delay=form.delay,
                autapses=getattr(form, "autapses", True),
                dtype=dtype,
                device=device,
            )
            if frozen_seed is None:
                matrices[name] = made
            return made

        layers: dict[str, SpikingLayer] = {}
        dt_ms = job.encoding.dt_ms
        n_before = spec.n_inputs(job)
        inside = isinstance(readout, spec.SpikeCountReadout) and readout.recurrent
        self.population_with_outputs: str | None = None
        if isinstance(architecture, spec.Recurrent):
            part = architecture.embedded
            n = architecture.n_hidden + (self.n_output_neurons if inside and part is None else 0)
            layers["hidden"] = SpikingLayer(
                synapses(n, "hidden/input", architecture.input, n_before),
                synapses(n, "hidden/recurrent", architecture.recurrence, n),
                job.neuron,
                dt_ms,
            )
            if part is not None:
                form = part.network
                first = synapses(form.n_inputs, "embedded_input/input", part.connection, n)
                layers["embedded_input"] = SpikingLayer(first, None, form.neuron, dt_ms)
                n = form.n_hidden + self.n_output_neurons
                layers[FROZEN] = SpikingLayer(
                    synapses(n, "hidden/input", form.input, form.n_inputs, form.seed),
                    synapses(n, "hidden/recurrent", form.recurrence, n, form.seed),
                    form.neuron,
                    dt_ms,
                )
                freeze(layers[FROZEN], embedded or {})
            if inside:
                self.population_with_outputs = next(reversed(layers))
            n_before = n
        else:
            for i, n in enumerate(architecture.layers, start=1):
                forward = synapses(n, f"hidden_{i}/input", architecture.connection, n_before)
                layers[f"hidden_{i}"] = SpikingLayer(forward, None, job.neuron, dt_ms)
                n_before = n

        self.leaky: LeakyOutput | None = None
        if not inside:
            last = spec.Connection(weights=readout.weights)
            output = synapses(self.n_output_neurons, "output/input", last, n_before)
            if isinstance(readout, spec.LeakyReadout):
                self.leaky = LeakyOutput(output, readout)
            else:
                layers["output"] = SpikingLayer(output, None, job.neuron, dt_ms)
        self.layers = nn.ModuleDict(layers)
        self.rewiring = Rewiring(job, matrices) if job.training.rewiring else None
        self.register_buffer("kernel", readout_kernel(job).to(device=device, dtype=dtype), persistent=False)
        start, stop = windows(job)[0]
        self.window_ms = (stop - start) * dt_ms

    def forward(self, x: Input) -> Presentation:
        """Present encoded input, spikes or numbers `[T, B, M]`, starting at rest."""
        layers = [layer.for_engine() for _, layer in self.spiking_layers()]
        one_window = self.kernel.shape[0] == 1
        activity = self.engine(
            x, layers, kernel=self.kernel[0] if one_window else None, backward=self.backward, keep_z=not one_window
        )
        names = [name for name, _ in self.spiking_layers()]
        spikes = dict(zip(names, activity.spikes, strict=True))
        counts = dict(zip(names, activity.totals, strict=True))
        if activity.weighted is not None:
            weighted = activity.weighted[:, None]
        else:
            assert activity.z is not None
            weighted = torch.einsum("st,tbn->bsn", self.kernel, activity.z)
        if self.leaky is not None:
            return Presentation(self.leaky(weighted), spikes, counts)
        if (whole := self.population_with_outputs) is not None:
            both, n = spikes.pop(whole), counts[whole].shape[1] - self.n_output_neurons
            name = "hidden" if whole == "hidden" else "embedded_hidden"
            spikes |= {name: both.neurons(0, n), "output": both.neurons(n, both.n_neurons)}
            total = counts.pop(whole)
            counts |= {name: total[:, :n], "output": total[:, n:]}
            weighted = weighted[:, :, n:]
        return Presentation(group_counts(weighted, self.group_size, self.window_ms), spikes, counts)

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
        if self.population_with_outputs is not None:
            fans["output"] = fans[self.population_with_outputs]
            if self.population_with_outputs == FROZEN:
                fans["embedded_hidden"] = fans.pop(FROZEN)
        return fans


def freeze(layer: SpikingLayer, tensors: Mapping[str, Tensor]) -> None:
    """Give a layer the weights of another job's population, and keep them out of every gradient.

    Raises `NetworkUnavailable` where `tensors` are not those of such a population.
    """
    assert layer.recurrence is not None
    for synapses, part in ((layer.synapses, "synapses"), (layer.recurrence, "recurrence")):
        name = f"layers.hidden.{part}.weight"
        if name not in tensors:
            raise NetworkUnavailable(f"architecture.embedded: the network that was given has no weights {name!r}")
        synapses.freeze(tensors[name])
