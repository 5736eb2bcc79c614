"""Spiking layers through the compiled kernels, forward and backward, as one function to autograd.

A layer's tape `[T, B, N]` holds the input currents, then the potentials, then the gradients of the currents: each
takes the place of the one before. Spikes are kept as bits. Each neuron, sample and step thus costs one number and one
bit, and a layer hands the gradient of its currents, not of its spikes, to the layer before.

In parts of the time axis ("chunks"), only the states between them are kept and the tape is run anew, chunk by chunk
from the last: `Checkpointed` and `Truncated` are this, `Full` is the case of one chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snncore.engines.cpu.buffers import Buffers
from snncore.engines.cpu.calls import Kernels, density
from snncore.engines.cpu.native import library
from snncore.engines.cpu.presentation import Given, Links, Part, Run, State, padded
from snncore.engines.cpu.way_back import DENSE_FROM, WayBack
from snncore.engines.interface import (
    FULL,
    Activity,
    Backward,
    Checkpointed,
    Full,
    Input,
    Layer,
    Truncated,
    check_input,
    surrogate_spike,
)
from snncore.neurons import TRAINABLE
from snncore.spikes import SpikeTrain, n_words
from snncore.synapses import Synapses

FORGETFUL_CHUNK = 64
"""Steps that are run at once where no gradient is wanted."""


class FusedCpuEngine:
    """All time steps of a layer in one kernel call."""

    name = "fused-cpu"

    def __init__(self) -> None:
        library()
        self._buffers = Buffers()

    def __call__(
        self,
        x: Input,
        layers: Sequence[Layer],
        *,
        kernel: Tensor | None = None,
        projection: Synapses | None = None,
        backward: Backward = FULL,
        keep_z: bool = False,
        keep_v: bool = False,
    ) -> Activity:
        n_steps, batch, _ = check_input(x, layers)
        _check_fused(x, layers)
        tensors: list[Tensor] = []

        def links(synapses: Synapses | None) -> Links | None:
            if synapses is None:
                return None
            by_delay = synapses.weight_by_delay()
            tensors.extend(by_delay.values())
            return Links(tuple(by_delay), slice(len(tensors) - len(by_delay), len(tensors)), synapses)

        parts: list[Part] = []
        for layer in layers:
            part = Part(layer, links(layer.synapses), links(layer.recurrence), None, slice(0))
            if layer.bias is not None:
                part.bias = len(tensors)
                tensors.append(layer.bias)
            part.neurons = slice(len(tensors), len(tensors) + len(TRAINABLE))
            tensors.extend(getattr(layer.neurons, name) for name in TRAINABLE)
            parts.append(part)
        last = links(projection)
        numbers, words = (None, x.words) if isinstance(x, SpikeTrain) else (x, None)
        if words is not None and density(words, parts[0].n_before) > DENSE_FROM:
            assert isinstance(x, SpikeTrain)
            numbers, words = x.dense(layers[0].neurons.decay_mem.dtype), None
        wanted = torch.is_grad_enabled() and any(
            t.requires_grad for t in [*tensors, *([] if numbers is None else [numbers])]
        )
        run = Run(
            n_steps=n_steps,
            batch=batch,
            parts=parts,
            projection=last,
            words=words,
            buffers=self._buffers,
            chunk=chunk_of(backward, n_steps) if wanted else min(n_steps, FORGETFUL_CHUNK),
            cut=isinstance(backward, Truncated),
            wanted=wanted,
            keep_z=keep_z,
            keep_v=keep_v,
        )
        outputs: tuple[Tensor, ...] = _Present.apply(run, numbers, kernel, *tensors)  # type: ignore[no-untyped-call]
        rest = iter(outputs[len(parts) :])
        return Activity(
            spikes=tuple(part.spikes(run.words_of[i]) for i, part in enumerate(parts)),
            totals=outputs[: len(parts)],
            weighted=None if kernel is None else next(rest),
            projected=None if last is None else next(rest),
            z=next(rest) if keep_z else None,
            v=run.v,
        )


def _check_fused(x: Input, layers: Sequence[Layer]) -> None:
    """What the kernels take for granted beyond the interface. Raises `ValueError`."""
    dtype = layers[0].neurons.decay_mem.dtype
    if isinstance(x, Tensor) and x.dtype != dtype:
        raise ValueError(f"the input is {x.dtype} and the layers are {dtype}; convert the input")
    if x.device.type != "cpu":
        raise ValueError(f"the input is on {x.device}, and this engine is for the CPU")
    for layer in layers:
        surrogate_spike(layer)
        scale = layer.neurons.input_scale
        if scale.requires_grad and not bool(scale.detach().all()):
            raise ValueError("an input scale that is trained must not be zero: nothing would tell the current any more")


def chunk_of(backward: Backward, n_steps: int) -> int:
    match backward:
        case Full():
            return n_steps
        case Checkpointed(steps) | Truncated(steps):
            return min(steps, n_steps)


class _Present(torch.autograd.Function):
    """(run, numbers, kernel, weights and parameters) -> totals, weighted, projected, z."""

    @staticmethod
    def forward(ctx: Any, run: Run, numbers: Tensor | None, kernel: Tensor | None, *tensors: Tensor) -> Any:
        run.leads = [part.lead(run.after(i)) for i, part in enumerate(run.parts)]
        for part, lead in zip(run.parts, run.leads, strict=True):
            bits = torch.empty(lead + run.n_steps, run.batch, n_words(part.stride), dtype=torch.int64)
            bits[:lead] = 0
            run.bits.append(bits)
        kernels = Kernels(run, numbers, kernel, tensors)
        dtype = kernels.dtype
        states = [State.at_rest(run.batch, part.stride, dtype) for part in run.parts]
        sums = [[torch.zeros(run.batch, part.stride, dtype=dtype) for _ in range(2)] for part in run.parts]
        last = run.parts[-1]
        if run.keep_v:
            run.v = torch.empty(run.n_steps, run.batch, last.n, dtype=dtype)
        starts: list[list[State]] = []
        tapes, marks = run.tapes(dtype), [State.at_rest(0, 0, dtype)] * len(run.parts)
        for span in run.chunks():
            if run.wanted and run.chunk < run.n_steps:
                starts.append([state.copy(part.parameters) for state, part in zip(states, run.parts, strict=True)])
            n = span[1] - span[0]
            for i in range(len(run.parts)):
                marks[i] = kernels.forward(i, span, tapes[i][:n], states[i], sums[i])
            kernels.kept.clear()
            if run.v is not None:
                run.v[span[0] : span[1]] = tapes[-1][:n, :, : last.n]
        if not run.wanted or run.chunk < run.n_steps:
            for tape in tapes:
                run.buffers.give_back(tape)
            tapes = []
        outputs = [total[:, : part.n].contiguous() for part, (total, _) in zip(run.parts, sums, strict=True)]
        if kernel is not None:
            outputs.append(sums[-1][1][:, : last.n].contiguous())
        if run.projection is not None:
            projected = kernels.project(run.bits[-1], run.leads[-1])
            outputs.append(projected[:, :, : run.projection.n_post].contiguous())
        if run.keep_z:
            outputs.append(last.spikes(run.words_of[-1]).dense(dtype))
        ctx.run, ctx.kernels, ctx.tapes, ctx.marks, ctx.starts = run, kernels, tapes, marks, starts
        # the kernels have what they need; saved, so that autograd notices if any of it is changed before the way back
        ctx.save_for_backward(numbers, kernel, *tensors)
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        run: Run = ctx.run
        if run.spent:
            raise RuntimeError("the fused engine goes back through a presentation once; present the batch again")
        run.spent = True
        _, kernel, *_ = ctx.saved_tensors
        way_back = WayBack(run, ctx.kernels, ctx, given_from(run, ctx.kernels, kernel, list(gradients)))
        way_back.walk()
        ctx.tapes = []
        return None, way_back.input_gradient(), None, *way_back.tensor_gradients()


def given_from(run: Run, kernels: Kernels, kernel: Tensor | None, gradients: list[Tensor | None]) -> Given:
    def widened(gradient: Tensor | None, stride: int, *shape: int) -> Tensor:
        out = torch.zeros(*shape, stride, dtype=kernels.dtype)
        if gradient is not None:
            out[..., : gradient.shape[-1]] = gradient
        return out

    totals = [widened(gradients[i], part.stride, run.batch) for i, part in enumerate(run.parts)]
    rest = iter(gradients[len(run.parts) :])
    weighted = widened(next(rest), run.parts[-1].stride, run.batch) if kernel is not None else None
    projected = None
    if run.projection is not None and (gradient := next(rest)) is not None:
        projected = widened(gradient, padded(run.projection.n_post), run.n_steps, run.batch)
    z = next(rest) if run.keep_z else None
    return Given(totals, weighted, None if z is None else z.contiguous(), projected)
