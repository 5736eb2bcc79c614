"""Stages made of the layers of an architecture 'sequential'."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from snncore import spec
from snncore.engines import Engine
from snncore.image_layers import AveragePool, Convolution, ImageShape
from snncore.layers import SpikingLayer, backward_strategy, spiking_layer
from snncore.lstm import LSTM
from snncore.peephole_lstm import PeepholeLSTM
from snncore.stages import Dense, Dropout, Residual, SpikingStage
from snncore.synapses import Synapses


class StackBuilder:
    """Makes stages of layers, one after the other. `shape` is that of what passes behind the last of them."""

    def __init__(
        self, job: spec.JobSpec, device: torch.device, dtype: torch.dtype, engine: Engine, shape: spec.Shape
    ) -> None:
        self.job, self.device, self.dtype, self.engine = job, device, dtype, engine
        self.backward = backward_strategy(job.bptt.backward)
        self.shape = shape
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

    def build(self, layers: spec.NamedLayers) -> dict[str, nn.Module]:
        """The stages of a whole stack."""
        for name, layer in layers:
            self._add(name, layer)
            self.shape = spec.shape_after(layer, self.shape)
        self._close()
        return self.stages

    def _add(self, name: str, layer: spec.SequentialLayer) -> None:
        if isinstance(layer, spec.Spiking):
            self._add_spiking(name, layer)
        elif isinstance(layer, spec.Dense):
            self._add_dense(name, layer)
        else:
            self._close()
            self.stages[name] = self._stage(name, layer)

    def _stage(self, name: str, layer: spec.SequentialLayer) -> nn.Module:
        """A layer that is a stage of its own."""
        made: dict[str, Any] = {"dtype": self.dtype, "device": self.device}
        match layer:
            case spec.Conv2d():
                return Convolution(layer, self._image(), name=name, seed=self.job.seed, **made)
            case spec.AveragePool():
                return AveragePool(layer.size, self._image())
            case spec.ReLU():
                return nn.ReLU()
            case spec.Residual():
                return Residual(*map(self._branch, layer.branches(name)))
            case spec.LSTM():
                return LSTM(layer, self.shape.n, name=name, seed=self.job.seed, **made)
            case spec.PeepholeLSTM():
                return PeepholeLSTM(layer, self.shape.n, **made)
            case spec.Dropout():
                return Dropout(layer, name)
            case _:
                raise TypeError(f"{layer.kind!r} is no stage of its own")

    def _image(self) -> ImageShape:
        assert self.shape.image is not None
        return self.shape.image

    def _branch(self, layers: spec.NamedLayers) -> dict[str, nn.Module]:
        """One of the stacks of a residual layer, whose matrices count among those of the whole."""
        builder = StackBuilder(self.job, self.device, self.dtype, self.engine, self.shape)
        stages = builder.build(layers)
        self.matrices |= builder.matrices
        return stages

    def _add_dense(self, name: str, layer: spec.Dense) -> None:
        if self.waiting is not None:
            self._close()
        synapses = self.synapses(f"{name}/input", self.shape.n, layer.n_units, layer.weights)
        bias = nn.Parameter(synapses.weight.new_zeros(layer.n_units)) if layer.bias else None
        dense = Dense(synapses, bias, layer.activation)
        if layer.activation == "linear":
            self.waiting = name, dense
        else:
            self._close()
            self.stages[name] = dense

    def _add_spiking(self, name: str, layer: spec.Spiking) -> None:
        if self.waiting is None:
            self._close()  # only the first layer of a stage can do without synapses
        dense = self.waiting[1] if self.waiting else None
        self.waiting = None
        recurrence = None
        if layer.recurrence is not None:
            form = layer.recurrence
            recurrence = self.synapses(f"{name}/recurrent", self.shape.n, self.shape.n, form.weights, form)
        self.spiking[name] = spiking_layer(
            layer.neuron or self.job.population,
            self.shape.n,
            dense.synapses if dense else None,
            recurrence,
            name=name,
            job=self.job,
            dtype=self.dtype,
            device=self.device,
            bias=dense.bias if dense else None,
        )

    def _close(self) -> None:
        """End the stages that are open."""
        if self.spiking:
            self.stages["_".join(self.spiking)] = SpikingStage(self.spiking, self.engine, self.backward)
            self.spiking = {}
        if self.waiting is not None:
            name, dense = self.waiting
            self.stages[name] = dense
            self.waiting = None
