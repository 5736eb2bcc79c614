"""Hybrid networks: spiking layers, dense ones, convolutions, LSTMs and dropout in any sequence (Gerum & Schilling 2020,
section 4; Rathi & Roy 2020).

Spiking layers that follow each other, or stand behind dense ones that are linear, are one stage, which an engine
presents as a whole: the products with spikes stay sparse, and no numbers lie between the layers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from snncore import spec
from snncore.cost import Link
from snncore.engines import Input, choose_engine
from snncore.engines.interface import Activity, as_numbers
from snncore.layers import Draws, Presentation, SpikingLayer, shared_parameters
from snncore.outputs import LeakyOutput, ProjectedOutput, make_output
from snncore.readouts import group_counts, readout_kernel, windows
from snncore.rewiring import Rewiring
from snncore.stack_builder import StackBuilder
from snncore.stages import Passage, SpikingStage
from snncore.wiring import Passing, Wiring


class Tail(NamedTuple):
    """What the readout takes of the last layer: its values weighted by the kernel `[B, S, N]`, or the currents that
    they send `[T, B, K]`."""

    weighted: Tensor | None
    projected: Tensor | None


class SequentialNetwork(nn.Module):
    """The layers of an architecture 'sequential', and its readout.

    Spiking layers are called `hidden_1`, `hidden_2`, ... in their order, and `output` where spikes are counted; the
    others by their kind, `dense_1`, `lstm_1`, ...
    """

    kernel: Tensor

    def __init__(self, job: spec.JobSpec, device: torch.device) -> None:
        super().__init__()
        assert isinstance(job.architecture, spec.Sequential)
        self.engine = choose_engine(job.bptt.engine, device)
        readout = job.architecture.readout
        self.group_size = readout.group_size if isinstance(readout, spec.SpikeCountReadout) else 1
        dtype = torch.float32 if job.bptt.precision == "float32" else torch.float64
        builder = StackBuilder(job, device, dtype, self.engine, spec.input_shape(job))
        self.stages = nn.ModuleDict(builder.build(list(spec.named_layers(job))))
        self.output: LeakyOutput | ProjectedOutput | None = None
        if not isinstance(readout, spec.SpikeCountReadout):
            to_output = builder.synapses("output/input", builder.shape.n, job.n_outputs, readout.weights)
            self.output = make_output(readout, to_output)
        self.matrices = builder.matrices
        """The synapses that are trained, by the names of `snncore.spec.weight_matrices`."""
        self.rewiring = Rewiring(job, builder.matrices) if job.bptt.rewiring else None
        self.register_buffer("kernel", readout_kernel(job).to(device=device, dtype=dtype), persistent=False)
        start, stop = windows(job)[0]
        self.window_ms = (stop - start) * job.encoding.dt_ms
        self.dtype = dtype
        self.encoding = job.encoding

    def forward(self, x: Input, draws: Draws | None = None) -> Presentation:
        """Present encoded input, spikes or numbers `[T, B, M]`, from rest. Without `draws`, nothing is dropped."""
        passage = Passage(self.dtype, draws)
        last = list(self.stages)[-1]
        tail = Tail(None, None)
        for name, stage in self.stages.items():
            if isinstance(stage, SpikingStage) and name == last:
                activity = self._last(passage, stage, x)
                weighted = None if activity.weighted is None else activity.weighted[:, None]
                tail = Tail(weighted, activity.projected)
                x = x if activity.z is None else activity.z
            else:
                x = passage.through(stage, x)
        spikes, counts = passage.spikes, passage.counts
        if isinstance(self.output, ProjectedOutput):
            projected = tail.projected
            if projected is None:
                projected = self.output.synapses(as_numbers(x, self.dtype))
            return Presentation(self.output(projected), spikes, counts)
        weighted = tail.weighted
        if weighted is None:
            weighted = torch.einsum("st,tbn->bsn", self.kernel, as_numbers(x, self.dtype))
        if self.output is not None:
            return Presentation(self.output(weighted), spikes, counts)
        return Presentation(group_counts(weighted, self.group_size, self.window_ms), spikes, counts)

    def _last(self, passage: Passage, stage: SpikingStage, x: Input) -> Activity:
        """What the readout takes of the last stage."""
        if isinstance(self.output, ProjectedOutput):
            return passage.presented(stage, x, None, self.output.synapses, keep_z=False)
        if self.kernel.shape[0] == 1:
            return passage.presented(stage, x, self.kernel[0], None, keep_z=False)
        return passage.presented(stage, x, None, None, keep_z=True)

    def spiking_layers(self) -> list[tuple[str, SpikingLayer]]:
        """The spiking layers by name, in their order; of a residual layer first those of its `layers`."""
        return [pair for stage in self.stages.modules() if isinstance(stage, SpikingStage) for pair in stage.named()]

    def constrain(self) -> None:
        """Put parameters that an update has moved out of their range back to its border."""
        for _, layer in self.spiking_layers():
            layer.constrain()

    def neuron_parameters(self) -> dict[str, float]:
        """Trainable numbers that the neurons of a layer share, as they are now: `leak.hidden_1`, `v_threshold.hidden_1`
        and so on. They are reported as metrics after every epoch."""
        return shared_parameters(self.spiking_layers())

    def links(self) -> list[Link]:
        """The synapses, and what goes through them."""
        wiring = Wiring(self.encoding.n_steps)
        last = wiring.through(self.stages, Passing.of_input(self.encoding))
        if self.output is not None:
            wiring.links.append(last.through(self.output.synapses, "output"))
        return wiring.links
