"""The way back through a presentation: from gradients of what was read to those of weights, biases, input, neurons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from snncore.engines.cpu.calls import Kernels, density, reaches
from snncore.engines.cpu.dense import multiply
from snncore.engines.cpu.presentation import Given, Links, Part, Run, State, padded
from snncore.neurons import TRAINABLE, NeuronParameters, NeuronState, step
from snncore.spikes import SpikeTrain

DENSE_FROM = 0.5
"""Share of spikes from which one large product is faster than adding rows."""


class WayBack:
    """The backward pass of a run: chunk by chunk from the last, in each layer by layer from the last."""

    def __init__(self, run: Run, kernels: Kernels, ctx: Any, given: Given) -> None:
        self.run, self.kernels, self.given = run, kernels, given
        self.starts: list[list[State]] = ctx.starts
        self.tapes: list[Tensor] = ctx.tapes
        self.marks: list[State] = ctx.marks
        self.needed: tuple[bool, ...] = ctx.needs_input_grad[3:]
        self.needs_input = ctx.needs_input_grad[1]
        batch, dtype = run.batch, kernels.dtype
        self.adjoints = [State.at_rest(batch, part.stride, dtype) for part in run.parts]
        # the first rows of the chunk after, which delays reach into
        self.later = [torch.zeros(0, batch, part.stride, dtype=dtype) for part in run.parts]
        self.weights: dict[int, Tensor] = {}
        self.biases: dict[int, Tensor] = {}
        self.current_sum = torch.zeros(batch, run.parts[0].n, dtype=dtype)
        """sum_t I' I, where numbers are the current of the first layer."""
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
        tapes = run.tapes(kernels.dtype) if again else self.tapes
        marks = self.marks
        spans = run.chunks()
        for c in range(len(spans) - 1, -1, -1):
            span = spans[c]
            n = span[1] - span[0]
            if again:
                marks = self._again(span, tapes, self.starts[c])
            if run.cut:
                self.adjoints = [State.at_rest(run.batch, part.stride, kernels.dtype) for part in run.parts]
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

    def _again(self, span: tuple[int, int], tapes: list[Tensor], starts: list[State]) -> list[State]:
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
        if part.input is None and self._scale_wanted(part):
            assert kernels.numbers is not None
            shown = kernels.numbers[start : span[1]]
            for gradient, current in zip(tape[:, :, : part.n].unbind(), shown.unbind(), strict=True):
                self.current_sum.addcmul_(gradient, current)

    def _scale_wanted(self, part: Part) -> bool:
        return bool(self.needed[part.neurons.start + TRAINABLE.index("input_scale")])

    def _wanted(self, links: Links, part: Part) -> bool:
        return any(self.needed[links.where]) or self._scale_wanted(part)

    def _weight(self, links: Links, k: int) -> Tensor:
        """The sum so far, `[n_pre, n_post]`, padded."""
        index = links.where.start + k
        if index not in self.weights:
            self.weights[index] = torch.zeros(padded(links.n_pre), padded(links.n_post), dtype=self.kernels.dtype)
        return self.weights[index]

    def _spikes(
        self, bits: Tensor, lead: int, delay: int, start: int, currents: Tensor, into: Tensor, links: Links
    ) -> list[Any]:
        """The spikes of a chunk as a source; where there are very many of them, one dense product at once."""
        sent = bits[lead + start - delay : lead + start - delay + currents.shape[0]]
        if density(sent, links.n_pre) <= DENSE_FROM:
            return [self.kernels.from_spikes(bits, lead, delay, start, into)]
        z = SpikeTrain(sent, 0, links.n_pre).dense(currents.dtype)
        into[: links.n_pre] += z.flatten(0, 1).T @ currents.flatten(0, 1)
        return []

    def _at_once(self, delay: int, span: tuple[int, int], tape: Tensor, into: Tensor) -> None:
        """The weight gradient of the input's numbers, where they are many or the same in every step."""
        x = self.kernels.numbers
        assert x is not None
        sent, arrived = reaches(delay, *span)
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

    def _across(self, i: int, start: int, state: State) -> None:
        """A window's first step still depends on the neurons' parameters through the state that it starts from."""
        run, part = self.run, self.run.parts[i]
        lead = run.leads[i]
        z = part.spikes(run.bits[i][start + lead - 1 : start + lead]).dense(self.kernels.dtype)[0]
        p = part.parameters
        names = list(self.parameters[i])
        with torch.enable_grad():
            free = {name: getattr(p, name).detach().requires_grad_() for name in names}
            # dL/dv is that of the potential before it is cut off at zero
            values = {f.name: getattr(p, f.name) for f in fields(p)} | free | {"non_negative": False}
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
        I' I is sum W dL/dW + b dL/db (Euler's theorem), so that no current has to be kept. Where numbers are the
        current itself, it is added up on the way."""
        part, tensors = self.run.parts[i], self.kernels.tensors
        total = torch.zeros(part.n, dtype=self.kernels.dtype)
        for links in (part.input, part.recurrence):
            if links is not None:
                for k in range(links.where.start, links.where.stop):
                    total += (tensors[k] * found[k]).sum(dim=1)
        if part.bias is not None:
            total += tensors[part.bias] * found[part.bias]
        if part.input is None:
            total += self.current_sum.sum(dim=0)
        return total / part.parameters.input_scale
