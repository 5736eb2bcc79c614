"""Hybrid networks: spiking layers, dense ones, LSTMs and dropout in any sequence (Gerum & Schilling 2020, section 4).

Spiking layers that follow each other, or stand behind dense ones that are linear, are one stage, which an engine
presents as a whole: the products with spikes stay sparse, and no numbers lie between the layers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from snncore import spec
from snncore.engines import Input, choose_engine
from snncore.engines.interface import Activity, Engine, as_numbers
from snncore.layers import Draws, Presentation, SpikingLayer, backward_strategy, spiking_layer
from snncore.lstm import LSTM
from snncore.outputs import LeakyOutput, ProjectedOutput, make_output
from snncore.peephole_lstm import PeepholeLSTM
from snncore.readouts import group_counts, readout_kernel, windows
from snncore.rewiring import Rewiring
from snncore.spikes import SpikeTrain
from snncore.stages import Dense, Dropout, SpikingStage
from snncore.synapses import Synapses


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
        builder = _Builder(job, device, dtype, self.engine)
        for name, layer in spec.named_layers(job):
            builder.add(name, layer)
        builder.close()
        self.stages = nn.ModuleDict(builder.stages)
        self.output: LeakyOutput | ProjectedOutput | None = None
        if not isinstance(readout, spec.SpikeCountReadout):
            to_output = builder.synapses("output/input", builder.width, job.n_outputs, readout.weights)
            self.output = make_output(readout, to_output)
        self.matrices = builder.matrices
        """The synapses that are trained, by the names of `snncore.spec.weight_matrices`."""
        self.rewiring = Rewiring(job, builder.matrices) if job.bptt.rewiring else None
        self.register_buffer("kernel", readout_kernel(job).to(device=device, dtype=dtype), persistent=False)
        start, stop = windows(job)[0]
        self.window_ms = (stop - start) * job.encoding.dt_ms
        self.dtype = dtype

    def forward(self, x: Input, draws: Draws | None = None) -> Presentation:
        """Present encoded input, spikes or numbers `[T, B, M]`, from rest. Without `draws`, nothing is dropped."""
        spikes: dict[str, SpikeTrain] = {}
        counts: dict[str, Tensor] = {}
        last = list(self.stages)[-1]
        tail = Tail(None, None)
        for name, stage in self.stages.items():
            if isinstance(stage, SpikingStage):
                activity = self._present(stage, x, is_last=name == last)
                names = [layer for layer, _ in stage.named()]
                spikes |= dict(zip(names, activity.spikes, strict=True))
                counts |= dict(zip(names, activity.totals, strict=True))
                weighted = None if activity.weighted is None else activity.weighted[:, None]
                tail = Tail(weighted, activity.projected)
                if activity.z is not None:
                    x = activity.z
            elif isinstance(stage, Dropout):
                x = stage(as_numbers(x, self.dtype), draws)
            else:
                x = stage(as_numbers(x, self.dtype))
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

    def _present(self, stage: SpikingStage, x: Input, *, is_last: bool) -> Activity:
        """A stage; the last one gives what the readout takes, the others their spikes."""
        if is_last and isinstance(self.output, ProjectedOutput):
            return stage(x, None, self.output.synapses, False)  # type: ignore[no-any-return]
        if is_last and self.kernel.shape[0] == 1:
            return stage(x, self.kernel[0], None, False)  # type: ignore[no-any-return]
        return stage(x, None, None, True)  # type: ignore[no-any-return]

    def spiking_layers(self) -> list[tuple[str, SpikingLayer]]:
        """The spiking layers by name, in their order."""
        return [pair for stage in self.stages.values() if isinstance(stage, SpikingStage) for pair in stage.named()]

    def constrain(self) -> None:
        """Put parameters that an update has moved out of their range back to its border."""
        for _, layer in self.spiking_layers():
            layer.constrain()

    def fan_out(self) -> dict[str, float]:
        """Synapses that a spike of each spiking layer, and of the input, goes through, on average."""
        fans: dict[str, float] = {"input": 0.0}
        sender: str | None = "input"

        def sends(n: float) -> None:
            if sender is not None:
                fans[sender] += n

        for stage in self.stages.values():
            if isinstance(stage, SpikingStage):
                for name, layer in stage.named():
                    sends(1.0 if layer.synapses is None else layer.synapses.fan_out())
                    fans[name] = layer.recurrence.fan_out() if layer.recurrence else 0.0
                    sender = name
            elif not isinstance(stage, Dropout):
                sends(_fan_out(stage))
                sender = None  # what comes next gets numbers, and no spikes
        if self.output is not None:
            sends(self.output.synapses.fan_out())
        return fans


def _fan_out(stage: nn.Module) -> float:
    match stage:
        case Dense():
            return stage.synapses.fan_out()
        case LSTM():
            return 4.0 * stage.n_units
        case _:
            return 4.0


class _Builder:
    """Makes stages of layers, one after the other."""

    def __init__(self, job: spec.JobSpec, device: torch.device, dtype: torch.dtype, engine: Engine) -> None:
        self.job, self.device, self.dtype, self.engine = job, device, dtype, engine
        self.backward = backward_strategy(job.bptt.backward)
        self.width = spec.n_inputs(job)
        self.stages: dict[str, nn.Module] = {}
        self.matrices: dict[str, Synapses] = {}
        self.waiting: tuple[str, Dense] | None = None
        """A linear dense layer, until it is known whether a spiking one follows."""
        self.spiking: dict[str, SpikingLayer] = {}

    def synapses(
        self, name: str, n_pre: int, n_post: int, weights: spec.Weights, recurrence: spec.Recurrence | None = None
    ) -> Synapses:
        self.matrices[name] = Synapses(
            n_pre,
            n_post,
            name=name,
            seed=self.job.seed,
            weights=weights,
            delay=spec.ConstantDelay(kind="constant", steps=0) if recurrence is None else recurrence.delay,
            autapses=recurrence is None or recurrence.autapses,
            dtype=self.dtype,
            device=self.device,
        )
        return self.matrices[name]

    def add(self, name: str, layer: spec.SequentialLayer) -> None:
        match layer:
            case spec.Spiking():
                self._add_spiking(name, layer)
            case spec.Dense():
                if self.waiting is not None:
                    self.close()
                synapses = self.synapses(f"{name}/input", self.width, layer.n_units, layer.weights)
                bias = nn.Parameter(synapses.weight.new_zeros(layer.n_units)) if layer.bias else None
                dense = Dense(synapses, bias, layer.activation)
                self.width = layer.n_units
                if layer.activation == "linear":
                    self.waiting = name, dense
                else:
                    self.close()
                    self.stages[name] = dense
            case spec.LSTM():
                self.close()
                self.stages[name] = LSTM(
                    layer, self.width, name=name, seed=self.job.seed, dtype=self.dtype, device=self.device
                )
                self.width = layer.n_units
            case spec.PeepholeLSTM():
                self.close()
                self.stages[name] = PeepholeLSTM(layer, self.width, dtype=self.dtype, device=self.device)
            case spec.Dropout():
                self.close()
                self.stages[name] = Dropout(layer, name)

    def _add_spiking(self, name: str, layer: spec.Spiking) -> None:
        if self.waiting is None:
            self.close()  # only the first layer of a stage can do without synapses
        dense = self.waiting[1] if self.waiting else None
        self.waiting = None
        recurrence = None
        if layer.recurrence is not None:
            form = layer.recurrence
            recurrence = self.synapses(f"{name}/recurrent", self.width, self.width, form.weights, form)
        self.spiking[name] = spiking_layer(
            layer.neuron or self.job.population,
            self.width,
            dense.synapses if dense else None,
            recurrence,
            name=name,
            job=self.job,
            dtype=self.dtype,
            device=self.device,
            bias=dense.bias if dense else None,
        )

    def close(self) -> None:
        """End the stages that are open."""
        if self.spiking:
            self.stages["_".join(self.spiking)] = SpikingStage(self.spiking, self.engine, self.backward)
            self.spiking = {}
        if self.waiting is not None:
            name, dense = self.waiting
            self.stages[name] = dense
            self.waiting = None
