"""Networks made from their spec. They hold weights and no state: a call presents a batch from rest to end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from snncore import spec
from snncore.cost import Link
from snncore.engines import Input, choose_engine
from snncore.errors import NetworkUnavailable
from snncore.layers import Draws, Presentation, SpikingLayer, backward_strategy, shared_parameters, spiking_layer
from snncore.outputs import LeakyOutput, ProjectedOutput, make_output
from snncore.readouts import group_counts, readout_kernel, windows
from snncore.rewiring import Rewiring
from snncore.sequential import SequentialNetwork
from snncore.synapses import Synapses
from snncore.wiring import Passing, layer_links

FROZEN = "embedded"
"""The layer of a network whose weights are another job's."""


class Network(nn.Module):
    """Spiking layers in sequence and a readout.

    The outputs are the last members of a recurrent population, a spiking layer of their own, or leaky linear units. An
    embedded network is two layers more: neurons in the place of its input, and its population with frozen weights,
    which are taken from the checkpoint tensors `embedded` (`layers.hidden...` of the job that trained it).
    """

    kernel: Tensor

    def __init__(self, job: spec.JobSpec, device: torch.device, embedded: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.engine = choose_engine(job.bptt.engine, device)
        self.backward = backward_strategy(job.bptt.backward)
        architecture, readout = job.layered, job.layered.readout
        self.group_size = readout.group_size if isinstance(readout, spec.SpikeCountReadout) else 1
        self.n_output_neurons = job.n_outputs * self.group_size
        dtype = torch.float32 if job.bptt.precision == "float32" else torch.float64

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

        def layer(
            neuron: spec.Neuron, arriving: Synapses, recurrence: Synapses | None = None, *, name: str
        ) -> SpikingLayer:
            n = arriving.weight.shape[0]
            return spiking_layer(neuron, n, arriving, recurrence, name=name, job=job, dtype=dtype, device=device)

        layers: dict[str, SpikingLayer] = {}
        n_before = spec.n_inputs(job)
        inside = isinstance(readout, spec.SpikeCountReadout) and readout.recurrent
        self.population_with_outputs: str | None = None
        if isinstance(architecture, spec.Recurrent):
            part = architecture.embedded
            n = architecture.n_hidden + (self.n_output_neurons if inside and part is None else 0)
            layers["hidden"] = layer(
                job.population,
                synapses(n, "hidden/input", architecture.input, n_before),
                synapses(n, "hidden/recurrent", architecture.recurrence, n),
                name="hidden",
            )
            if part is not None:
                form = part.network
                first = synapses(form.n_inputs, "embedded_input/input", part.connection, n)
                layers["embedded_input"] = layer(form.neuron, first, name="embedded_input")
                n = form.n_hidden + self.n_output_neurons
                layers[FROZEN] = layer(
                    form.neuron,
                    synapses(n, "hidden/input", form.input, form.n_inputs, form.seed),
                    synapses(n, "hidden/recurrent", form.recurrence, n, form.seed),
                    name=FROZEN,
                )
                freeze(layers[FROZEN], embedded or {})
            if inside:
                self.population_with_outputs = next(reversed(layers))
            n_before = n
        else:
            assert isinstance(architecture, spec.FeedForward)
            for i, n in enumerate(architecture.layers, start=1):
                forward = synapses(n, f"hidden_{i}/input", architecture.connection, n_before)
                layers[f"hidden_{i}"] = layer(job.population, forward, name=f"hidden_{i}")
                n_before = n

        self.output: LeakyOutput | ProjectedOutput | None = None
        if not inside:
            last = spec.Connection(weights=readout.weights)
            to_output = synapses(self.n_output_neurons, "output/input", last, n_before)
            self.output = make_output(readout, to_output)
            if self.output is None:
                layers["output"] = layer(job.population, to_output, name="output")
        self.layers = nn.ModuleDict(layers)
        self.matrices = matrices
        """The synapses that are trained, by the names of `snncore.spec.weight_matrices`."""
        self.rewiring = Rewiring(job, matrices) if job.bptt.rewiring else None
        self.register_buffer("kernel", readout_kernel(job).to(device=device, dtype=dtype), persistent=False)
        start, stop = windows(job)[0]
        self.window_ms = (stop - start) * job.encoding.dt_ms
        self.encoding = job.encoding

    def forward(self, x: Input, draws: Draws | None = None) -> Presentation:
        """Present encoded input, spikes or numbers `[T, B, M]`, starting at rest. It draws nothing."""
        layers = [layer.for_engine() for _, layer in self.spiking_layers()]
        projected = isinstance(self.output, ProjectedOutput)
        one_window = self.kernel.shape[0] == 1
        activity = self.engine(
            x,
            layers,
            kernel=self.kernel[0] if one_window and not projected else None,
            projection=self.output.synapses if self.output is not None and projected else None,
            backward=self.backward,
            keep_z=not one_window and not projected,
        )
        names = [name for name, _ in self.spiking_layers()]
        spikes = dict(zip(names, activity.spikes, strict=True))
        counts = dict(zip(names, activity.totals, strict=True))
        if self.output is not None and activity.projected is not None:
            return Presentation(self.output(activity.projected), spikes, counts)
        if activity.weighted is not None:
            weighted = activity.weighted[:, None]
        else:
            assert activity.z is not None
            weighted = torch.einsum("st,tbn->bsn", self.kernel, activity.z)
        if self.output is not None:
            return Presentation(self.output(weighted), spikes, counts)
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

    def constrain(self) -> None:
        """Put parameters that an update has moved out of their range back to its border."""
        for _, layer in self.spiking_layers():
            layer.constrain()

    def neuron_parameters(self) -> dict[str, float]:
        """Trainable numbers that the neurons of a layer share, as they are now: `leak.hidden_1`, `v_threshold.hidden_1`
        and so on. They are reported as metrics after every epoch."""
        return shared_parameters(self.spiking_layers())

    def links(self) -> list[Link]:
        """The synapses, and what goes through them. Those to outputs inside of a population are part of it."""
        arriving, links = Passing.of_input(self.encoding), []
        for name, layer in self.spiking_layers():
            senders = frozenset({name})
            if name == self.population_with_outputs:
                name = "hidden" if name == "hidden" else "embedded_hidden"
                senders = frozenset({name, "output"})
            links += layer_links(name, layer, arriving, senders)
            arriving = Passing(senders, self.encoding.n_steps)
        if self.output is not None:
            links.append(arriving.through(self.output.synapses, "output"))
        return links


def freeze(layer: SpikingLayer, tensors: Mapping[str, Tensor]) -> None:
    """Give a layer the weights of another job's population, and keep them out of every gradient.

    Raises `NetworkUnavailable` where `tensors` are not those of such a population.
    """
    assert layer.synapses is not None
    assert layer.recurrence is not None
    for synapses, part in ((layer.synapses, "synapses"), (layer.recurrence, "recurrence")):
        name = f"layers.hidden.{part}.weight"
        if name not in tensors:
            raise NetworkUnavailable(f"architecture.embedded: the network that was given has no weights {name!r}")
        synapses.freeze(tensors[name])


AnyNetwork: TypeAlias = Network | SequentialNetwork


def make_network(job: spec.JobSpec, device: torch.device, embedded: Mapping[str, Tensor] | None = None) -> AnyNetwork:
    """The network of a job, with its initial weights."""
    if isinstance(job.architecture, spec.Sequential):
        return SequentialNetwork(job, device)
    return Network(job, device, embedded)
