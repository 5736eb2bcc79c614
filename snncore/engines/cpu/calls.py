"""Calls of the compiled kernels: structs filled in, work split up into tiles of neurons and blocks of samples."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from snncore.engines.cpu.dense import multiply
from snncore.engines.cpu.listed import Listed, listed
from snncore.engines.cpu.native import STRUCTS, SUFFIX, library
from snncore.engines.cpu.parallel import run_all
from snncore.engines.cpu.presentation import Given, Links, Part, Run, State, padded
from snncore.engines.interface import surrogate_spike
from snncore.neurons import TRAINABLE
from snncore.spikes import WORD
from snncore.surrogates import shape_of

GROUP = 4
"""Samples that a kernel takes together."""
FEW_NUMBERS = 64
"""Numbers a sample and step, below which the kernel multiplies them itself."""
PANEL = 64
"""Columns of a weight gradient that the kernel takes together."""
TILE_BYTES = 2**19
"""Weights that the kernel keeps going back to, in bytes: they should stay in the second-level cache of a core."""

RESETS = ("subtract", "value", "none")
SURROGATES = (
    "triangle",
    "fast_sigmoid",
    "arctan",
    "gaussian",
    "boxcar",
    "constant",
    "zero",
    "sigmoid",
    "exponential",
    "multi_gaussian",
)


def density(words: Tensor, n: int) -> float:
    """Share of set bits."""
    count = library().count_spikes(words.contiguous().data_ptr(), words.numel())
    return float(count) / (words.shape[0] * words.shape[1] * n)


def reaches(delay: int, start: int, stop: int) -> tuple[slice, int]:
    """The steps whose input arrives between `start` and `stop`, and the first step of these that any arrives in,
    counted from `start`."""
    sent = slice(max(0, start - delay), max(0, stop - delay))
    return sent, min(max(0, delay - start), stop - start)


class Kernels:
    """Kernel calls for the layers of a run: structs filled in, work split up."""

    def __init__(self, run: Run, numbers: Tensor | None, kernel: Tensor | None, tensors: Sequence[Tensor]) -> None:
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
        in_spikes = [i > 0 or run.words is not None for i in range(len(run.parts))]
        self.input_rows = [self._rows(part.input, spikes) for part, spikes in zip(run.parts, in_spikes, strict=True)]
        self.own_rows = [self._rows(part.recurrence, True) for part in run.parts]
        self.projection_rows = run.projection.by_sender(tensors) if run.projection else None
        self.biases = [self._row(part, None if part.bias is None else tensors[part.bias]) for part in run.parts]
        self.input_words, self.input_lead = self._input_words()

    def _rows(self, links: Links | None, in_spikes: bool) -> Tensor | Listed | None:
        """The weights of synapses by the sender, padded, or a list of those that exist, where they are few."""
        if links is None:
            return None
        few = listed(links) if in_spikes else None
        return links.by_sender(self.tensors) if few is None else few

    def kernel_named(self, name: str) -> Any:
        return getattr(self.native, f"{name}_{SUFFIX[self.dtype]}")

    def _row(self, part: Part, values: Tensor | None, rest: float = 0.0) -> Tensor | None:
        if values is None:
            return None
        row = torch.full((part.stride,), rest, dtype=values.dtype)
        row[: part.n] = values
        return row

    def _neurons(self, part: Part) -> dict[str, Tensor]:
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

    def layer(self, i: int, n_steps: int, start: int, tape: Tensor, state: State, marks: State) -> Any:
        """The struct of layer `i` for the chunk that begins at step `start`; synapses are not filled in."""
        run, part = self.run, self.run.parts[i]
        spike = surrogate_spike(part.layer)
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
        at.non_negative, at.v_reset = p.non_negative, p.v_reset
        shape = shape_of(spike.surrogate)
        at.surrogate, at.scaled = SURROGATES.index(shape.kind), spike.scaled
        at.dampening, at.surrogate_width = shape.dampening, shape.width
        at.lobe_height, at.lobe_width = shape.lobe_height, shape.lobe_width
        at.v, at.a, at.wait = self.pointer(state.v), self.pointer(state.a), self.pointer(state.wait)
        at.marked_a, at.marked_wait = self.pointer(marks.a), self.pointer(marks.wait)
        if self.kernel is not None and i + 1 == len(run.parts):
            at.kernel = self.pointer(self.kernel[start : start + n_steps])
        return at

    def marks(self, i: int, n_steps: int) -> State:
        """Room for the slow state of a chunk."""
        part, n_marks = self.run.parts[i], -(-n_steps // self.segment)
        shape = (n_marks, self.run.batch, part.stride)
        p = part.parameters
        return State(
            torch.empty(0, dtype=self.dtype),
            torch.empty(shape if p.adaptive else 0, dtype=self.dtype),
            torch.empty(shape if p.refractory else 0, dtype=torch.int32),
        )

    # -- forward

    def forward(self, i: int, span: tuple[int, int], tape: Tensor, state: State, sums: list[Tensor]) -> State:
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
        width, tiles = part.stride, None
        if part.input is not None and (bits is not None or self.stepwise):
            self._arriving(at.input, part.input)
            if bits is not None:
                at.input.words, at.input.n_words, at.input.lead = self.pointer(bits[start:]), bits.shape[2], lead
            else:
                assert self.numbers is not None
                at.input.numbers, at.input.n_numbers = self.pointer(self.numbers), self.numbers.shape[2]
                at.input.start = start
            if isinstance(rows, Listed):
                self._list(at.input, rows)
            elif rows is not None:
                if part.recurrence is None:
                    width = self._tile_width(part, rows.shape[1])
                tiles = self._tiles(i, rows, width)
        else:
            self.currents(i, span, tape)
        if part.recurrence is not None:
            own = self.own_rows[i]
            at.recurrence.words, at.recurrence.n_words, at.recurrence.lead = at.words, at.n_words, at.lead
            self._arriving(at.recurrence, part.recurrence)
            if isinstance(own, Listed):
                self._list(at.recurrence, own)
            else:
                at.recurrence.weights = self.pointer(own)
        self._split("forward", at, width, tiles)
        return marks

    def _arriving(self, at: Any, links: Links) -> None:
        at.n_pre, at.n_delays, at.delays = padded(links.n_pre), len(links.delays), self.indices(links.delays)

    def _list(self, at: Any, synapses: Listed) -> None:
        at.listed.starts, at.listed.places = self.pointer(synapses.starts), self.pointer(synapses.places)
        at.listed.values = self.pointer(synapses.values)
        at.listed.shortest, at.listed.span = synapses.shortest, synapses.span

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
        if part.input is None:
            tape[:, :, : part.n] = x[start:stop]
            tape[:, :, part.n :] = 0
            return
        assert isinstance(rows, Tensor)
        if x.stride(0) != 0:
            for k, delay in enumerate(part.input.delays):
                sent, arrived = reaches(delay, start, stop)
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
        marks: State,
        adjoint: State,
        given: Given,
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
            if part.recurrence is None and isinstance(rows, Tensor):
                width = self._tile_width(part, rows.shape[2])
        self._split("backward", at, width, None)

    def _feedback(self, at: Any, links: Links, tape: Tensor, later: Tensor | None, sender: Tensor | Listed) -> None:
        at.gradient = self.pointer(tape)
        at.later, at.n_later = self.pointer(later), 0 if later is None else later.shape[0]
        at.n_post = padded(links.n_post)
        self._arriving(at, links)
        if isinstance(sender, Listed):
            self._list(at, sender)
            return
        if links.where.start not in self.receivers:
            self.receivers[links.where.start] = links.by_receiver(self.tensors)
        at.by_sender, at.by_receiver = self.pointer(sender), self.pointer(self.receivers[links.where.start])

    def _tile_width(self, part: Part, n_others: int) -> int:
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
