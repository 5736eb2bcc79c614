"""Spiking layers through the compiled kernels, forward and backward, as one function to autograd.

A layer's tape `[T, B, N]` holds the input currents, then the potentials, then the gradients of the currents: each
takes the place of the one before. Spikes are kept as bits. Each neuron, sample and step thus costs one number and one
bit, and a layer hands the gradient of its currents, not of its spikes, to the layer before.

In parts of the time axis ("chunks"), only the states between them are kept and the tape is run anew, chunk by chunk
from the last: `Checkpointed` and `Truncated` are this, `Full` is the case of one chunk.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snncore.engines.cpu.buffers import Buffers
from snncore.engines.cpu.dense import multiply
from snncore.engines.cpu.native import STRUCTS, SUFFIX, library
from snncore.engines.cpu.parallel import run_all
from snncore.engines.interface import FULL, Activity, Backward, Checkpointed, Full, Input, Layer, Truncated, check_input
from snncore.neurons import NeuronParameters, NeuronState, step
from snncore.spikes import WORD, SpikeTrain, n_words
from snncore.surrogates import SurrogateSpike
from snncore.synapses import Synapses

PADDING = 16
"""Neurons of a layer are padded to a multiple of this: a vector register of floats."""
GROUP = 4
"""Samples that a kernel takes together."""
FEW_NUMBERS = 64
"""Numbers a sample and step, below which the kernel multiplies them itself."""
PANEL = 64
"""Columns of a weight gradient that the kernel takes together."""
TILE_BYTES = 2**19
"""Weights that the kernel keeps going back to, in bytes: they should stay in the second-level cache of a core."""
DENSE_FROM = 0.5
"""Share of spikes in the input from which one large product is faster than adding rows."""
FORGETFUL_CHUNK = 64
"""Steps that are run at once where no gradient is wanted."""

RESETS = ("subtract", "value", "none")
SURROGATES = ("triangle", "fast_sigmoid", "arctan", "gaussian", "boxcar")
TRAINABLE = ("decay_mem", "input_scale", "v_threshold", "decay_adapt", "beta_adapt")


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
        tensors: list[Tensor] = []

        def links(synapses: Synapses | None) -> _Links | None:
            if synapses is None:
                return None
            by_delay = synapses.weight_by_delay()
            tensors.extend(by_delay.values())
            return _Links(tuple(by_delay), slice(len(tensors) - len(by_delay), len(tensors)), *synapses.weight.shape)

        parts: list[_Part] = []
        for layer in layers:
            part = _Part(layer, links(layer.synapses), links(layer.recurrence), None, slice(0))
            if layer.bias is not None:
                part.bias = len(tensors)
                tensors.append(layer.bias)
            part.neurons = slice(len(tensors), len(tensors) + len(TRAINABLE))
            tensors.extend(getattr(layer.neurons, name) for name in TRAINABLE)
            parts.append(part)
        last = links(projection)
        numbers, words = (None, x.words) if isinstance(x, SpikeTrain) else (x, None)
        if words is not None and _density(words, parts[0].n_before) > DENSE_FROM:
            assert isinstance(x, SpikeTrain)
            numbers, words = x.dense(layers[0].neurons.decay_mem.dtype), None
        wanted = torch.is_grad_enabled() and any(
            t.requires_grad for t in [*tensors, *([] if numbers is None else [numbers])]
        )
        run = _Run(
            n_steps=n_steps,
            batch=batch,
            parts=parts,
            projection=last,
            words=words,
            buffers=self._buffers,
            chunk=_chunk(backward, n_steps) if wanted else min(n_steps, FORGETFUL_CHUNK),
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


def _chunk(backward: Backward, n_steps: int) -> int:
    match backward:
        case Full():
            return n_steps
        case Checkpointed(steps) | Truncated(steps):
            return min(steps, n_steps)


def _reaches(delay: int, start: int, stop: int) -> tuple[slice, int]:
    """The steps whose input arrives between `start` and `stop`, and the first step of these that any arrives in,
    counted from `start`."""
    sent = slice(max(0, start - delay), max(0, stop - delay))
    return sent, min(max(0, delay - start), stop - start)


def _padded(n: int) -> int:
    return -(-n // PADDING) * PADDING


@dataclass(frozen=True, slots=True)
class _Links:
    """Synapses: their delays, and where their weights stand among the tensors of the call."""

    delays: tuple[int, ...]
    where: slice
    n_post: int
    n_pre: int

    @property
    def longest(self) -> int:
        return max(self.delays)

    def by_sender(self, tensors: Sequence[Tensor]) -> Tensor:
        """`[n_delays, n_pre, n_post]`, both padded with zeros."""
        weights = tensors[self.where]
        rows = weights[0].new_zeros(len(weights), _padded(self.n_pre), _padded(self.n_post))
        for row, weight in zip(rows, weights, strict=True):
            row[: self.n_pre, : self.n_post] = weight.T
        return rows

    def by_receiver(self, tensors: Sequence[Tensor]) -> Tensor:
        """`[n_delays, n_post, n_pre]`, both padded with zeros."""
        weights = tensors[self.where]
        rows = weights[0].new_zeros(len(weights), _padded(self.n_post), _padded(self.n_pre))
        for row, weight in zip(rows, weights, strict=True):
            row[: self.n_post, : self.n_pre] = weight
        return rows


@dataclass(slots=True)
class _Part:
    """A layer as the kernels see it."""

    layer: Layer
    input: _Links | None
    recurrence: _Links | None
    bias: int | None
    neurons: slice

    @property
    def n(self) -> int:
        return self.layer.n_neurons

    @property
    def stride(self) -> int:
        return _padded(self.n)

    @property
    def n_before(self) -> int:
        return self.input.n_pre if self.input else self.n

    @property
    def parameters(self) -> NeuronParameters:
        return self.layer.neurons

    def lead(self, after: _Links | None) -> int:
        """Steps of silence that stand before the first in the bits of the layer's spikes: for every delay, and one for
        the spikes that the first step resets from."""
        return max(1, self.recurrence.longest if self.recurrence else 0, after.longest if after else 0)

    def spikes(self, words: Tensor) -> SpikeTrain:
        return SpikeTrain(words, 0, self.n)


@dataclass(slots=True)
class _State:
    """`[B, stride]` each: what a layer has carried up to a step."""

    v: Tensor
    a: Tensor
    wait: Tensor

    @classmethod
    def at_rest(cls, batch: int, stride: int, dtype: torch.dtype) -> _State:
        v, a = (torch.zeros(batch, stride, dtype=dtype) for _ in range(2))
        return cls(v, a, torch.zeros(batch, stride, dtype=torch.int32))

    def copy(self, neurons: NeuronParameters) -> _State:
        """What a chunk can be begun from again: what these neurons never change is not copied."""
        a = self.a.clone() if neurons.adaptive else self.a
        return _State(self.v.clone(), a, self.wait.clone() if neurons.refractory else self.wait)


@dataclass(slots=True)
class _Run:
    """One presentation."""

    n_steps: int
    batch: int
    parts: list[_Part]
    projection: _Links | None
    words: Tensor | None
    """The input's spikes, if it is spikes."""
    buffers: Buffers
    chunk: int
    cut: bool
    wanted: bool
    keep_z: bool
    keep_v: bool
    leads: list[int] = field(default_factory=list)
    bits: list[Tensor] = field(default_factory=list)
    """Spikes of each layer, `[lead + T, B, W]`."""
    v: Tensor | None = None
    spent: bool = False

    @property
    def words_of(self) -> list[Tensor]:
        return [bits[lead:] for bits, lead in zip(self.bits, self.leads, strict=True)]

    def after(self, i: int) -> _Links | None:
        """What the spikes of layer `i` go through next."""
        return self.parts[i + 1].input if i + 1 < len(self.parts) else self.projection

    def chunks(self) -> list[tuple[int, int]]:
        return [(start, min(start + self.chunk, self.n_steps)) for start in range(0, self.n_steps, self.chunk)]


def _density(words: Tensor, n: int) -> float:
    """Share of set bits."""
    count = library().count_spikes(words.contiguous().data_ptr(), words.numel())
    return float(count) / (words.shape[0] * words.shape[1] * n)


class _Kernels:
    """Kernel calls for the layers of a run: structs filled in, work split up."""

    def __init__(self, run: _Run, numbers: Tensor | None, kernel: Tensor | None, tensors: Sequence[Tensor]) -> None:
        self.run = run
        self.numbers = numbers if numbers is None or numbers.stride(0) == 0 else numbers.contiguous()
        self.kernel = kernel
        self.tensors = tensors
        self.dtype = run.parts[0].parameters.decay_mem.dtype
        self.itemsize = self.dtype.itemsize
        self.structs = STRUCTS[self.dtype]
        self.native = library()
        self.segment = self.native.segment_steps()
        self.kept: list[Any] = []
        """What the structs of the current chunk point to."""
        self.tiles: dict[int, list[Tensor]] = {}
        self.receivers: dict[int, Tensor] = {}
        self.vectors = [self._neurons(part) for part in run.parts]
        self.input_rows = [part.input.by_sender(tensors) if part.input else None for part in run.parts]
        self.own_rows = [part.recurrence.by_sender(tensors) if part.recurrence else None for part in run.parts]
        self.projection_rows = run.projection.by_sender(tensors) if run.projection else None
        self.biases = [self._row(part, None if part.bias is None else tensors[part.bias]) for part in run.parts]
        self.input_words, self.input_lead = self._input_words()

    def kernel_named(self, name: str) -> Any:
        return getattr(self.native, f"{name}_{SUFFIX[self.dtype]}")

    def _row(self, part: _Part, values: Tensor | None, rest: float = 0.0) -> Tensor | None:
        if values is None:
            return None
        row = torch.full((part.stride,), rest, dtype=values.dtype)
        row[: part.n] = values
        return row

    def _neurons(self, part: _Part) -> dict[str, Tensor]:
        p = part.parameters
        rows = {name: self._row(part, getattr(p, name), float(name == "v_threshold")) for name in TRAINABLE}
        rows["n_refractory"] = self._row(part, p.n_refractory)
        return {name: row for name, row in rows.items() if row is not None}

    def _input_words(self) -> tuple[Tensor | None, int]:
        """The input's bits, with as many steps of silence before them as its longest delay."""
        words, first = self.run.words, self.run.parts[0].input
        if words is None or first is None:
            return None, 0
        if first.longest == 0:
            return words.contiguous(), 0
        return torch.cat([words.new_zeros(first.longest, *words.shape[1:]), words]), first.longest

    # -- structs

    def pointer(self, tensor: Tensor | None) -> int | None:
        """The address of a tensor that must live as long as these calls."""
        if tensor is None:
            return None
        assert tensor.is_contiguous(), tensor.shape
        self.kept.append(tensor)
        return tensor.data_ptr()

    def indices(self, values: Sequence[int]) -> int | None:
        return self.pointer(torch.tensor(values, dtype=torch.int64))

    def layer(self, i: int, n_steps: int, start: int, tape: Tensor, state: _State, marks: _State) -> Any:
        """The struct of layer `i` for the chunk that begins at step `start`; synapses are not filled in."""
        run, part = self.run, self.run.parts[i]
        spike = part.layer.spike
        assert isinstance(spike, SurrogateSpike)
        p = part.parameters
        at = self.structs.layer()
        at.n_steps, at.batch, at.stride, at.column, at.width = n_steps, run.batch, part.stride, 0, part.stride
        at.tape = self.pointer(tape)
        at.words = self.pointer(run.bits[i][start:])
        at.n_words, at.lead = run.bits[i].shape[2], run.leads[i]
        for name, row in self.vectors[i].items():
            setattr(at, name, self.pointer(row))
        at.reset = RESETS.index(p.reset)
        at.same_step, at.detach_reset = p.reset_timing == "same_step", p.detach_reset
        at.adaptive, at.refractory, at.inclusive = p.adaptive, p.refractory, spike.inclusive
        at.surrogate, at.scaled = SURROGATES.index(spike.surrogate.kind), spike.scaled
        at.v_reset, at.dampening, at.surrogate_width = p.v_reset, spike.surrogate.dampening, spike.surrogate.width
        at.v, at.a, at.wait = self.pointer(state.v), self.pointer(state.a), self.pointer(state.wait)
        at.marked_a, at.marked_wait = self.pointer(marks.a), self.pointer(marks.wait)
        if self.kernel is not None and i + 1 == len(run.parts):
            at.kernel = self.pointer(self.kernel[start : start + n_steps])
        return at

    def marks(self, i: int, n_steps: int) -> _State:
        """Room for the slow state of a chunk."""
        part, n_marks = self.run.parts[i], -(-n_steps // self.segment)
        shape = (n_marks, self.run.batch, part.stride)
        p = part.parameters
        return _State(
            torch.empty(0, dtype=self.dtype),
            torch.empty(shape if p.adaptive else 0, dtype=self.dtype),
            torch.empty(shape if p.refractory else 0, dtype=torch.int32),
        )

    # -- forward

    def forward(self, i: int, span: tuple[int, int], tape: Tensor, state: _State, sums: list[Tensor]) -> _State:
        """Run layer `i` through the steps of `span`, moving its `state` on; the marks for the way back."""
        run, part = self.run, self.run.parts[i]
        start, stop = span
        marks = self.marks(i, stop - start)
        at = self.layer(i, stop - start, start, tape, state, marks)
        at.bias = self.pointer(self.biases[i])
        at.total = self.pointer(sums[0])
        at.weighted = self.pointer(sums[1]) if at.kernel else None
        rows = self.input_rows[i]
        bits, lead = (run.bits[i - 1], run.leads[i - 1]) if i else (self.input_words, self.input_lead)
        width = part.stride
        if rows is not None and part.input is not None and (bits is not None or self.stepwise):
            at.input.n_pre, at.input.n_delays = rows.shape[1], len(part.input.delays)
            at.input.delays = self.indices(part.input.delays)
            if bits is not None:
                at.input.words, at.input.n_words, at.input.lead = self.pointer(bits[start:]), bits.shape[2], lead
            else:
                assert self.numbers is not None
                at.input.numbers, at.input.n_numbers = self.pointer(self.numbers), self.numbers.shape[2]
                at.input.start = start
            if part.recurrence is None:
                width = self._tile_width(part, rows.shape[1])
            tiles = self._tiles(i, rows, width)
        else:
            self.currents(i, span, tape)
            tiles = None
        if part.recurrence is not None:
            own = self.own_rows[i]
            assert own is not None
            at.recurrence.words, at.recurrence.n_words, at.recurrence.lead = at.words, at.n_words, at.lead
            at.recurrence.n_pre, at.recurrence.n_delays = own.shape[1], len(part.recurrence.delays)
            at.recurrence.delays = self.indices(part.recurrence.delays)
            at.recurrence.weights = self.pointer(own)
        self._split("forward", at, width, tiles)
        return marks

    @property
    def stepwise(self) -> bool:
        """Whether the kernel multiplies the input's numbers with the weights itself, step by step: where there are few
        of them, and they are not the same in every step."""
        x = self.numbers
        return x is not None and x.stride(0) != 0 and x.shape[2] < FEW_NUMBERS

    def currents(self, i: int, span: tuple[int, int], tape: Tensor) -> None:
        """What the input's numbers come to, into the tape: one product for all steps, or for one that repeats."""
        part, x = self.run.parts[i], self.numbers
        assert x is not None
        start, stop = span
        rows = self.input_rows[i]
        if part.input is None or rows is None:
            tape[:, :, : part.n] = x[start:stop]
            tape[:, :, part.n :] = 0
            return
        if x.stride(0) != 0:
            for k, delay in enumerate(part.input.delays):
                sent, arrived = _reaches(delay, start, stop)
                current = tape[arrived:] if k == 0 else torch.empty_like(tape[arrived:])
                multiply(x[sent].flatten(0, 1), rows[k, : part.input.n_pre], current.view(-1, part.stride))
                if k == 0:
                    tape[:arrived] = 0
                else:
                    tape[arrived:] += current
            return
        tape.zero_()
        for k, delay in enumerate(part.input.delays):
            tape[max(0, delay - start) :] += x[0] @ rows[k, : part.input.n_pre]

    # -- backward

    def backward(
        self,
        i: int,
        span: tuple[int, int],
        tape: Tensor,
        marks: _State,
        adjoint: _State,
        given: _Given,
        next_tape: Tensor | None,
        later: list[Tensor],
        parameter_gradients: dict[str, Tensor],
    ) -> None:
        """Turn the tape of layer `i` from potentials into gradients of currents."""
        run, part = self.run, self.run.parts[i]
        start, stop = span
        at = self.layer(i, stop - start, start, tape, adjoint, marks)
        at.dv, at.da = self.pointer(adjoint.v), self.pointer(adjoint.a)
        at.d_total, at.d_weighted = self.pointer(given.totals[i]), self.pointer(given.weighted)
        if given.z is not None and i + 1 == len(run.parts):
            at.d_spikes, at.n_given = self.pointer(given.z[start:stop]), given.z.shape[2]
        for name, gradient in parameter_gradients.items():
            setattr(at, f"d_{name}", self.pointer(gradient))
        own, width = self.own_rows[i], part.stride
        if part.recurrence is not None and own is not None:
            self._feedback(at.own, part.recurrence, tape, None if run.cut else later[i], own)
        after = run.after(i)
        if after is not None and next_tape is not None:
            rows = self.input_rows[i + 1] if i + 1 < len(run.parts) else self.projection_rows
            assert rows is not None
            self._feedback(at.next, after, next_tape, later[i + 1], rows)
            if part.recurrence is None:
                width = self._tile_width(part, rows.shape[2])
        self._split("backward", at, width, None)

    def _feedback(self, at: Any, links: _Links, tape: Tensor, later: Tensor | None, sender: Tensor) -> None:
        if links.where.start not in self.receivers:
            self.receivers[links.where.start] = links.by_receiver(self.tensors)
        at.gradient = self.pointer(tape)
        at.later, at.n_later = self.pointer(later), 0 if later is None else later.shape[0]
        _, at.n_pre, at.n_post = sender.shape
        at.n_delays, at.delays = len(links.delays), self.indices(links.delays)
        at.by_sender, at.by_receiver = self.pointer(sender), self.pointer(self.receivers[links.where.start])

    def _tile_width(self, part: _Part, n_others: int) -> int:
        """Neurons whose synapses with `n_others` fit the cache: a whole number of words, or all."""
        return min(part.stride, max(WORD, TILE_BYTES // (n_others * self.itemsize) // WORD * WORD))

    def _tiles(self, i: int, rows: Tensor, width: int) -> list[Tensor]:
        """The input weights of layer `i`, tile by tile."""
        if i not in self.tiles:
            self.tiles[i] = [tile.contiguous() for tile in torch.split(rows, width, dim=2)]
        return self.tiles[i]

    def _split(self, name: str, at: Any, width: int, input_weights: list[Tensor] | None) -> None:
        """Call a scan kernel for every tile of neurons and block of samples."""
        batch, stride = self.run.batch, int(at.stride)
        blocks = max(1, min(-(-batch // GROUP), 4 * torch.get_num_threads()))
        block = -(-batch // (GROUP * blocks)) * GROUP
        calls = []
        for column in range(0, stride, width):
            tile = type(at)()
            ctypes.pointer(tile)[0] = at
            tile.column, tile.width = column, min(width, stride - column)
            if input_weights is not None:
                tile.input.weights = self.pointer(input_weights[column // width])
            self.kept.append(tile)
            calls += [(ctypes.addressof(tile), first, min(first + block, batch)) for first in range(0, batch, block)]
        run_all(self.kernel_named(name), calls)

    # -- weights

    def from_spikes(self, bits: Tensor, lead: int, delay: int, start: int, into: Tensor) -> Any:
        """The spikes that reach the chunk at step `start` after `delay`, as what a weight gradient is made from."""
        source = self.structs.source()
        source.words, source.n_words = self.pointer(bits[lead + start - delay :]), bits.shape[2]
        source.n_pre, source.gradient = into.shape[0], self.pointer(into)
        return source

    def from_numbers(self, delay: int, start: int, into: Tensor) -> Any:
        """The same for the input's numbers."""
        assert self.numbers is not None
        source = self.structs.source()
        _, batch, source.n_numbers = self.numbers.shape
        # rows before the presentation are never read, so their address need not exist
        row = batch * source.n_numbers * self.itemsize
        source.numbers = (self.pointer(self.numbers) or 0) + (start - delay) * row
        source.silent, source.n_pre = max(0, delay - start) * batch, into.shape[0]
        source.gradient = self.pointer(into)
        return source

    def weight_gradients(self, sources: list[Any], currents: Tensor) -> None:
        """Add to the gradients `[n_pre, n_post]` of all sources what the chunk's currents have for them."""
        if not sources:
            return
        n_rows, stride = currents.shape[0] * currents.shape[1], currents.shape[2]
        together = (self.structs.source * len(sources))(*sources)
        # whole panels for each thread, a few parts so that the threads end together
        n_parts = torch.get_num_threads()
        width = -(-stride // (PANEL * n_parts)) * PANEL if stride > PANEL else stride
        run_all(
            self.kernel_named("weight_gradients"),
            [
                (
                    *(ctypes.addressof(together), len(sources), currents.data_ptr()),
                    *(n_rows, stride, stride, column, min(column + width, stride)),
                )
                for column in range(0, stride, width)
            ],
        )

    def project(self, words: Tensor, lead: int) -> Tensor:
        """The currents `[T, B, n_post]` that spikes send through the projection, padded."""
        links, rows = self.run.projection, self.projection_rows
        assert links is not None
        assert rows is not None
        out = torch.zeros(self.run.n_steps, self.run.batch, rows.shape[2], dtype=self.dtype)
        for k, delay in enumerate(links.delays):
            sent = words[lead - delay : lead - delay + self.run.n_steps]
            n_rows = self.run.n_steps * self.run.batch
            part = -(-n_rows // (4 * torch.get_num_threads()))
            pointers = (out.data_ptr(), rows[k].data_ptr(), sent.data_ptr())
            sizes = (words.shape[2], rows.shape[2])
            spans = [(first, min(first + part, n_rows)) for first in range(0, n_rows, part)]
            run_all(self.kernel_named("project"), [(*pointers, *sizes, *span) for span in spans])
        return out


@dataclass(slots=True)
class _Given:
    """Gradients from outside, padded: of the totals, of the weighted sum, of the spikes, of the projection."""

    totals: list[Tensor]
    weighted: Tensor | None
    z: Tensor | None
    projected: Tensor | None


class _Present(torch.autograd.Function):
    """(run, numbers, kernel, weights and parameters) -> totals, weighted, projected, z."""

    @staticmethod
    def forward(ctx: Any, run: _Run, numbers: Tensor | None, kernel: Tensor | None, *tensors: Tensor) -> Any:
        run.leads = [part.lead(run.after(i)) for i, part in enumerate(run.parts)]
        for part, lead in zip(run.parts, run.leads, strict=True):
            bits = torch.empty(lead + run.n_steps, run.batch, n_words(part.stride), dtype=torch.int64)
            bits[:lead] = 0
            run.bits.append(bits)
        kernels = _Kernels(run, numbers, kernel, tensors)
        dtype = kernels.dtype
        states = [_State.at_rest(run.batch, part.stride, dtype) for part in run.parts]
        sums = [[torch.zeros(run.batch, part.stride, dtype=dtype) for _ in range(2)] for part in run.parts]
        last = run.parts[-1]
        if run.keep_v:
            run.v = torch.empty(run.n_steps, run.batch, last.n, dtype=dtype)
        starts: list[list[_State]] = []
        tapes, marks = _tapes(run, dtype), [_State.at_rest(0, 0, dtype)] * len(run.parts)
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
        ctx.run, ctx.tapes, ctx.marks, ctx.starts = run, tapes, marks, starts
        ctx.kernel, ctx.saved_numbers = kernel, numbers
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        run: _Run = ctx.run
        if run.spent:
            raise RuntimeError("the fused engine goes back through a presentation once; present the batch again")
        run.spent = True
        tensors = ctx.saved_tensors
        kernels = _Kernels(run, ctx.saved_numbers, ctx.kernel, tensors)
        way_back = _WayBack(run, kernels, ctx, _given(run, kernels, ctx.kernel, list(gradients)))
        way_back.walk()
        ctx.tapes = []
        return None, way_back.input_gradient(), None, *way_back.tensor_gradients()


def _tapes(run: _Run, dtype: torch.dtype) -> list[Tensor]:
    return [run.buffers.take(run.chunk, run.batch, part.stride, dtype=dtype) for part in run.parts]


def _given(run: _Run, kernels: _Kernels, kernel: Tensor | None, gradients: list[Tensor | None]) -> _Given:
    def padded(gradient: Tensor | None, stride: int, *shape: int) -> Tensor:
        out = torch.zeros(*shape, stride, dtype=kernels.dtype)
        if gradient is not None:
            out[..., : gradient.shape[-1]] = gradient
        return out

    totals = [padded(gradients[i], part.stride, run.batch) for i, part in enumerate(run.parts)]
    rest = iter(gradients[len(run.parts) :])
    weighted = padded(next(rest), run.parts[-1].stride, run.batch) if kernel is not None else None
    projected = None
    if run.projection is not None and (gradient := next(rest)) is not None:
        projected = padded(gradient, _padded(run.projection.n_post), run.n_steps, run.batch)
    z = next(rest) if run.keep_z else None
    return _Given(totals, weighted, None if z is None else z.contiguous(), projected)


class _WayBack:
    """The backward pass of a run: chunk by chunk from the last, in each layer by layer from the last."""

    def __init__(self, run: _Run, kernels: _Kernels, ctx: Any, given: _Given) -> None:
        self.run, self.kernels, self.given = run, kernels, given
        self.starts: list[list[_State]] = ctx.starts
        self.tapes: list[Tensor] = ctx.tapes
        self.marks: list[_State] = ctx.marks
        self.needed: tuple[bool, ...] = ctx.needs_input_grad[3:]
        self.needs_input = ctx.needs_input_grad[1]
        batch, dtype = run.batch, kernels.dtype
        self.adjoints = [_State.at_rest(batch, part.stride, dtype) for part in run.parts]
        # the first rows of the chunk after, which delays reach into
        self.later = [torch.zeros(0, batch, part.stride, dtype=dtype) for part in run.parts]
        self.weights: dict[int, Tensor] = {}
        self.biases: dict[int, Tensor] = {}
        names = ("decay_mem", "v_threshold", "decay_adapt", "beta_adapt")
        self.parameters: list[dict[str, Tensor]] = [
            {name: torch.zeros(batch, part.stride, dtype=dtype) for name in names}
            if any(self.needed[part.neurons])
            else {}
            for part in run.parts
        ]
        self.dx = None
        if self.needs_input:
            assert kernels.numbers is not None
            self.dx = torch.zeros(kernels.numbers.shape, dtype=dtype)

    def walk(self) -> None:
        run, kernels = self.run, self.kernels
        again = not self.tapes
        tapes = _tapes(run, kernels.dtype) if again else self.tapes
        marks = self.marks
        spans = run.chunks()
        for c in range(len(spans) - 1, -1, -1):
            span = spans[c]
            n = span[1] - span[0]
            if again:
                marks = self._again(span, tapes, self.starts[c])
            if run.cut:
                self.adjoints = [_State.at_rest(run.batch, part.stride, kernels.dtype) for part in run.parts]
            for i in range(len(run.parts) - 1, -1, -1):
                next_tape, later = self._after(i, span, tapes)
                kernels.backward(
                    i, span, tapes[i][:n], marks[i], self.adjoints[i], self.given, next_tape, later, self.parameters[i]
                )
                self._gradients(i, span, tapes[i][:n])
                if run.cut and c > 0 and self.parameters[i]:
                    self._across(i, span[0], self.starts[c][i])
            self._remember(tapes, n)
            kernels.kept.clear()
        self._projection_gradient()
        for tape in tapes:
            run.buffers.give_back(tape)

    def _again(self, span: tuple[int, int], tapes: list[Tensor], starts: list[_State]) -> list[_State]:
        """Run a chunk forward once more, from the states before it."""
        run = self.run
        n = span[1] - span[0]
        unread = [torch.zeros(run.batch, part.stride, dtype=self.kernels.dtype) for part in run.parts]
        return [
            self.kernels.forward(
                i, span, tapes[i][:n], starts[i].copy(run.parts[i].parameters), [unread[i], unread[i].clone()]
            )
            for i in range(len(run.parts))
        ]

    def _after(self, i: int, span: tuple[int, int], tapes: list[Tensor]) -> tuple[Tensor | None, list[Tensor]]:
        """The gradient of the currents that layer `i` sends, in this chunk and after it."""
        start, stop = span
        if i + 1 < len(tapes):
            return tapes[i + 1][: stop - start], self.later
        projected, links = self.given.projected, self.run.projection
        if projected is None or links is None:
            return None, self.later
        return projected[start:stop], [*self.later, projected[stop : stop + links.longest]]

    def _remember(self, tapes: list[Tensor], n: int) -> None:
        """Keep the first rows of this chunk for the delays that reach into it from the chunk before."""
        for i, part in enumerate(self.run.parts):
            reach = max(
                part.recurrence.longest if part.recurrence else 0, part.input.longest if i and part.input else 0
            )
            rows = tapes[i][: min(n, reach)]
            self.later[i] = torch.cat([rows, self.later[i][: reach - len(rows)]])

    def _gradients(self, i: int, span: tuple[int, int], tape: Tensor) -> None:
        """Add up what the gradients of a chunk's currents mean for weights, biases and input."""
        run, part, kernels = self.run, self.run.parts[i], self.kernels
        start, _ = span
        sources: list[Any] = []
        if part.recurrence is not None and self._wanted(part.recurrence, part):
            for k, delay in enumerate(part.recurrence.delays):
                into = self._weight(part.recurrence, k)
                sources += self._spikes(run.bits[i], run.leads[i], delay, start, tape, into, part.recurrence)
        if part.input is not None and self._wanted(part.input, part):
            bits, lead = (run.bits[i - 1], run.leads[i - 1]) if i else (kernels.input_words, kernels.input_lead)
            for k, delay in enumerate(part.input.delays):
                into = self._weight(part.input, k)
                if bits is not None:
                    sources += self._spikes(bits, lead, delay, start, tape, into, part.input)
                elif kernels.stepwise:
                    sources.append(kernels.from_numbers(delay, start, into))
                else:
                    self._at_once(delay, span, tape, into)
        kernels.weight_gradients(sources, tape)
        if part.bias is not None and (self.needed[part.bias] or self._scale_wanted(part)):
            gradient = tape[:, :, : part.n].sum(dim=(0, 1))
            self.biases[part.bias] = self.biases[part.bias] + gradient if part.bias in self.biases else gradient
        if i == 0 and self.dx is not None:
            self._into_numbers(span, tape)

    def _scale_wanted(self, part: _Part) -> bool:
        return bool(self.needed[part.neurons.start + TRAINABLE.index("input_scale")])

    def _wanted(self, links: _Links, part: _Part) -> bool:
        return any(self.needed[links.where]) or self._scale_wanted(part)

    def _weight(self, links: _Links, k: int) -> Tensor:
        """The sum so far, `[n_pre, n_post]`, padded."""
        index = links.where.start + k
        if index not in self.weights:
            self.weights[index] = torch.zeros(_padded(links.n_pre), _padded(links.n_post), dtype=self.kernels.dtype)
        return self.weights[index]

    def _spikes(
        self, bits: Tensor, lead: int, delay: int, start: int, currents: Tensor, into: Tensor, links: _Links
    ) -> list[Any]:
        """The spikes of a chunk as a source; where there are very many of them, one dense product at once."""
        sent = bits[lead + start - delay : lead + start - delay + currents.shape[0]]
        if _density(sent, links.n_pre) <= DENSE_FROM:
            return [self.kernels.from_spikes(bits, lead, delay, start, into)]
        z = SpikeTrain(sent, 0, links.n_pre).dense(currents.dtype)
        into[: links.n_pre] += z.flatten(0, 1).T @ currents.flatten(0, 1)
        return []

    def _at_once(self, delay: int, span: tuple[int, int], tape: Tensor, into: Tensor) -> None:
        """The weight gradient of the input's numbers, where they are many or the same in every step."""
        x = self.kernels.numbers
        assert x is not None
        sent, arrived = _reaches(delay, *span)
        if x.stride(0) == 0:
            into[: x.shape[2]] += x[0].T @ tape[arrived:].sum(dim=0)
            return
        part = torch.empty(x.shape[2], into.shape[1], dtype=into.dtype)
        multiply(x[sent].flatten(0, 1).T, tape[arrived:].flatten(0, 1), part)
        into[: x.shape[2]] += part

    def _into_numbers(self, span: tuple[int, int], tape: Tensor) -> None:
        start, stop = span
        part = self.run.parts[0]
        assert self.dx is not None
        if part.input is None:
            self.dx[start:stop] = tape[:, :, : part.n]
            return
        for k, delay in enumerate(part.input.delays):
            first = max(0, start - delay)
            if stop - delay > first:
                weight = self.kernels.tensors[part.input.where][k]
                self.dx[first : stop - delay] += tape[first + delay - start :, :, : part.n] @ weight

    def _across(self, i: int, start: int, state: _State) -> None:
        """A window's first step still depends on the neurons' parameters through the state that it starts from."""
        run, part = self.run, self.run.parts[i]
        lead = run.leads[i]
        z = part.spikes(run.bits[i][start + lead - 1 : start + lead]).dense(self.kernels.dtype)[0]
        p = part.parameters
        names = list(self.parameters[i])
        with torch.enable_grad():
            free = {name: getattr(p, name).detach().requires_grad_() for name in names}
            values = {f.name: getattr(p, f.name) for f in fields(p)} | free
            before = NeuronState(state.v[:, : part.n], z, state.a[:, : part.n], state.wait[:, : part.n])
            after = step(torch.zeros_like(z), before, NeuronParameters(**values), part.layer.spike)
        adjoint = self.adjoints[i]
        outputs, cotangents = [after.v], [adjoint.v[:, : part.n]]
        if p.adaptive:
            outputs.append(after.a)
            cotangents.append(adjoint.a[:, : part.n])
        found = torch.autograd.grad(outputs, list(free.values()), cotangents, allow_unused=True)
        for name, gradient in zip(names, found, strict=True):
            if gradient is not None:
                self.parameters[i][name][0, : part.n] += gradient

    def _projection_gradient(self) -> None:
        run, links, gradient = self.run, self.run.projection, self.given.projected
        if links is None or gradient is None or not any(self.needed[links.where]):
            return
        sources: list[Any] = []
        for k, delay in enumerate(links.delays):
            sources += self._spikes(run.bits[-1], run.leads[-1], delay, 0, gradient, self._weight(links, k), links)
        self.kernels.weight_gradients(sources, gradient)

    # -- results

    def input_gradient(self) -> Tensor | None:
        return self.dx

    def tensor_gradients(self) -> Iterator[Tensor | None]:
        """In the order of the tensors that the function was given."""
        found: dict[int, Tensor] = dict(self.biases)
        links = [links for part in self.run.parts for links in (part.input, part.recurrence) if links]
        for link in [*links, *([self.run.projection] if self.run.projection else [])]:
            for k in range(len(link.delays)):
                if (gradient := self.weights.get(link.where.start + k)) is not None:
                    found[link.where.start + k] = gradient[: link.n_pre, : link.n_post].T
        for i, part in enumerate(self.run.parts):
            for name, gradient in self.parameters[i].items():
                found[part.neurons.start + TRAINABLE.index(name)] = gradient.sum(dim=0)[: part.n]
            if self._scale_wanted(part):
                found[part.neurons.start + TRAINABLE.index("input_scale")] = self._scale_gradient(i, found)
        return (found.get(k) if needed else None for k, needed in enumerate(self.needed))

    def _scale_gradient(self, i: int, found: dict[int, Tensor]) -> Tensor:
        """sum_{t,b} V I = sum_{t,b} I' I / g, and the currents I are linear in the weights W and biases b: the sum over
        I' I is sum W dL/dW + b dL/db (Euler's theorem), so that no current has to be kept."""
        part, tensors = self.run.parts[i], self.kernels.tensors
        total = torch.zeros(part.n, dtype=self.kernels.dtype)
        for links in (part.input, part.recurrence):
            if links is not None:
                for k in range(links.where.start, links.where.stop):
                    total += (tensors[k] * found[k]).sum(dim=1)
        if part.bias is not None:
            total += tensors[part.bias] * found[part.bias]
        if part.input is None:
            assert self.dx is not None
            assert self.kernels.numbers is not None
            total += (self.dx * self.kernels.numbers).sum(dim=(0, 1))
        return total / part.parameters.input_scale
