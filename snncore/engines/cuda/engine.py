"""The engine for CUDA devices: a kernel call for all steps of a layer, another for their gradient.

What goes in and out of a scan is linear, and left to autograd: one product for the input of all T x B, the totals, the
projection. In between, `_Scan` keeps the potentials `[T, B, N]`, the spikes, the adaptation of adaptive neurons, and
a byte each for refractory ones. The gradient of the recurrent weights is one product over all T x B for each delay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

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
from snncore.engines.stack import arriving_current, layer_by_layer
from snncore.errors import EngineUnavailable
from snncore.neurons import TRAINABLE, NeuronParameters
from snncore.surrogates import SurrogateSpike, shape_of
from snncore.synapses import Synapses

BLOCK_ALONE = 128
"""Neurons of all samples that one program takes, where there are no recurrent synapses."""
BLOCKS_RECURRENT = {"BLOCK_BATCH": 16, "BLOCK": 64, "BLOCK_PRE": 32}
"""Samples of one program, and neurons that it takes at a time; a product on the device has at least 16 on each side."""
LAUNCH = {"num_warps": 4, "num_stages": 1}
"""One stage: a load that ran ahead of its step could miss what the step before has still to write."""


class FusedCudaEngine:
    """The time loop is in the kernels. Needs Triton and tensors on a CUDA device (or Triton's interpreter and none)."""

    name = "fused-cuda"

    def __init__(self) -> None:
        _kernels()

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
        check_input(x, layers)
        _check_device(layers[0].neurons.decay_mem.device)
        return layer_by_layer(
            lambda source, layer, keep: _present(source, layer, backward, keep_v=keep),
            x,
            layers,
            kernel=kernel,
            projection=projection,
            keep_z=keep_z,
            keep_v=keep_v,
        )


@cache
def _kernels() -> ModuleType:
    try:
        from snncore.engines.cuda import kernels
    except ImportError as error:
        raise EngineUnavailable(
            "the fused engine for CUDA devices needs Triton, and it cannot be imported "
            f"({error}); install it, or take training.engine 'reference'"
        ) from error
    return kernels


def _check_device(device: torch.device) -> None:
    if device.type != "cuda" and not (device.type == "cpu" and _kernels().INTERPRETED):
        raise EngineUnavailable(
            f"the fused engine for CUDA devices was given tensors on {device}; take training.engine 'reference'"
        )


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Triton launches on the current device, whatever the tensors are on."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


# ---- a layer ----


@dataclass(frozen=True, slots=True)
class _Form:
    """What a scan needs besides the tensors that gradients reach."""

    parameters: NeuronParameters
    spike: SurrogateSpike
    delays: tuple[int, ...]
    """Of the recurrent synapses; none without them."""
    window: int
    """Steps between those that no gradient passes."""
    chunk: int
    """Steps whose potentials are kept at a time."""
    again: Callable[[int, int], Tensor]
    """The input current of the steps from the first to before the second."""
    learns: bool
    """Whether autograd records, which the function that it records cannot see."""
    keep_v: bool

    @property
    def lead(self) -> int:
        """Steps before the first whose spikes are looked up."""
        return max(self.delays, default=1)

    def dynamics(self) -> dict[str, object]:
        p = self.parameters
        return {
            "RESET": p.reset,
            "SAME_STEP": p.reset_timing == "same_step",
            "V_RESET": float(p.v_reset),
            "NON_NEGATIVE": p.non_negative,
            "ADAPTIVE": p.adaptive,
            "REFRACTORY": p.refractory,
        }

    def surrogate(self) -> dict[str, object]:
        shape = shape_of(self.spike.surrogate)
        return {
            "DETACHED": self.parameters.detach_reset,
            "SURROGATE": shape.kind,
            "DAMPENING": float(shape.dampening),
            "WIDTH": float(shape.width),
            "LOBE_HEIGHT": float(shape.lobe_height),
            "LOBE_WIDTH": float(shape.lobe_width),
            "SCALED": self.spike.scaled,
        }


def _present(source: Tensor, layer: Layer, backward: Backward, *, keep_v: bool) -> tuple[Tensor, Tensor | None]:
    """All steps of one layer: spikes `[T, B, N]` with their gradient, and potentials without."""
    n_steps = source.shape[0]
    window = chunk = n_steps
    match backward:
        case Truncated(window=steps):
            window = steps
        case Checkpointed(every=steps):
            chunk = min(steps, n_steps)
        case Full():
            pass
    if window < 1 or chunk < 1:
        raise ValueError(f"training.backward: {backward} has no steps")
    weights: Tensor | None = None
    delays: tuple[int, ...] = ()
    if layer.recurrence is not None:
        by_delay = layer.recurrence.weight_by_delay()
        delays = tuple(by_delay)
        if min(delays) < 1:
            raise ValueError("recurrent synapses have a delay of at least one step")
        weights = torch.stack(list(by_delay.values()))
    form = _Form(
        parameters=layer.neurons,
        spike=surrogate_spike(layer),
        delays=delays,
        window=window,
        chunk=chunk,
        again=_recompute(source, layer),
        learns=torch.is_grad_enabled(),
        keep_v=keep_v,
    )
    p = layer.neurons
    n = layer.n_neurons
    vectors = [getattr(p, name) for name in TRAINABLE]
    z, v = _Scan.apply(  # type: ignore[no-untyped-call]
        arriving_current(source, layer), weights, *(vector.expand(n) for vector in vectors), form
    )
    return z, v if keep_v else None


def _recompute(source: Tensor, layer: Layer) -> Callable[[int, int], Tensor]:
    """The arriving current of some steps only: the source is kept, which the gradient of the synapses needs as well."""
    source = source.detach()

    def again(start: int, stop: int) -> Tensor:
        longest = layer.synapses.longest_delay if layer.synapses else 0
        first = max(start - longest, 0)
        with torch.no_grad():
            current = arriving_current(source[first:stop], layer)
        return current[start - first : stop - first].contiguous()

    return again


# ---- the scan ----


class _Tape(NamedTuple):
    """What the kernels wrote down of some steps, each `[T, B, N]`; what was not asked for is None."""

    v: Tensor | None
    a: Tensor | None
    closed: Tensor | None
    total: Tensor | None
    """The current, with the recurrent one."""


class _State(NamedTuple):
    """Of the neurons between two steps, each `[B, N]`."""

    v: Tensor
    a: Tensor
    wait: Tensor

    def clone(self) -> _State:
        return _State(*(part.clone() for part in self))


class _Scan(torch.autograd.Function):
    """(current `[T, B, N]`, recurrent weights `[D, N, N]` or None, parameters `[N]`) -> (z, v or nothing)."""

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        weights: Tensor | None,
        decay_mem: Tensor,
        input_scale: Tensor,
        v_threshold: Tensor,
        decay_adapt: Tensor,
        beta_adapt: Tensor,
        form: _Form,
    ) -> tuple[Tensor, Tensor]:
        n_steps, batch, n = current.shape
        vectors = [part.contiguous() for part in (decay_mem, input_scale, v_threshold, decay_adapt, beta_adapt)]
        z = current.new_empty(form.lead + n_steps, batch, n)
        z[: form.lead].zero_()
        zeros = current.new_zeros(batch, n)
        state = _State(zeros, zeros.clone(), torch.zeros_like(zeros, dtype=torch.int32))
        current = current.contiguous()

        learns = form.learns and any(ctx.needs_input_grad)
        whole = learns and form.chunk >= n_steps
        keep_total = whole and ctx.needs_input_grad[3]
        every_v = current.new_empty(n_steps, batch, n) if whole or form.keep_v else None
        marks: list[_State] = []
        tape = _Tape(every_v, None, None, None)
        for start in range(0, n_steps, form.chunk):
            stop = min(start + form.chunk, n_steps)
            if learns and not whole:
                marks.append(state.clone())
            tape = _forward(
                form,
                current[start:stop],
                z[start:],
                weights,
                vectors,
                state,
                v=None if every_v is None else every_v[start:],
                keep_slow=whole,
                keep_total=keep_total,
                replay=False,
            )
        if learns:
            kept = (*tape[1:], every_v) if whole else (None, None, None, None)
            ctx.save_for_backward(z, weights, *vectors, *kept, *(part for mark in marks for part in mark))
            ctx.form = form
        v = every_v if form.keep_v and every_v is not None else current.new_empty(0)
        ctx.mark_non_differentiable(v)
        return z[form.lead :], v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        form: _Form = ctx.form
        z, weights, *rest = ctx.saved_tensors
        vectors, (a, closed, total, v), marks = rest[:5], rest[5:9], rest[9:]
        given = grad_outputs[0].contiguous()
        n_steps, batch, n = given.shape
        d_current = torch.empty_like(given)
        carried = (given.new_zeros(batch, n), given.new_zeros(batch, n))
        learns = any(ctx.needs_input_grad[2:7])
        d_parameters = given.new_zeros(5, batch, n) if learns else None

        for start in reversed(range(0, n_steps, form.chunk)):
            stop = min(start + form.chunk, n_steps)
            if marks:
                first = 3 * (start // form.chunk)
                tape = _forward(
                    form,
                    form.again(start, stop),
                    z[start:],
                    weights,
                    vectors,
                    _State(*marks[first : first + 3]).clone(),
                    v=given.new_empty(stop - start, batch, n),
                    keep_slow=True,
                    keep_total=ctx.needs_input_grad[3],
                    replay=True,
                )
            else:
                tape = _Tape(v, a, closed, total)
            _backward(form, d_current, given, z, weights, vectors, tape, carried, d_parameters, start, stop)

        d_weights: Tensor | None = None
        if weights is not None and ctx.needs_input_grad[1]:
            arrived = d_current.flatten(0, 1).T
            sent = [z[form.lead - delay : form.lead - delay + n_steps] for delay in form.delays]
            d_weights = torch.stack([arrived @ spikes.flatten(0, 1) for spikes in sent])
        d_vectors: list[Tensor | None] = [None] * 5
        if d_parameters is not None:
            sums = d_parameters.sum(dim=1)
            d_vectors = [sums[i] if needed else None for i, needed in enumerate(ctx.needs_input_grad[2:7])]
        return (d_current if ctx.needs_input_grad[0] else None, d_weights, *d_vectors, None)


def _forward(
    form: _Form,
    current: Tensor,
    z: Tensor,
    weights: Tensor | None,
    vectors: Sequence[Tensor],
    state: _State,
    *,
    v: Tensor | None,
    keep_slow: bool,
    keep_total: bool,
    replay: bool,
) -> _Tape:
    """The steps of `current`, from `state` on and leaving it as it is after them. `z` starts `lead` steps earlier."""
    n_steps, batch, n = current.shape
    p = form.parameters
    a = torch.empty_like(current) if keep_slow and p.adaptive else None
    closed = torch.empty_like(current, dtype=torch.int8) if keep_slow and p.refractory else None
    total = current if keep_total else None
    n_refractory = p.n_refractory.expand(n).contiguous()
    constants = {
        **form.dynamics(),
        "INCLUSIVE": form.spike.inclusive,
        "KEEP_V": v is not None,
        "KEEP_SLOW": keep_slow,
        "REPLAY": replay,
    }
    with _on(current.device):
        if weights is None:
            size = batch * n
            _kernels().forward_alone[(-(-size // BLOCK_ALONE),)](
                current, z, v, a, closed, *state, *vectors, n_refractory, n_steps, size, n, form.lead,
                **constants, BLOCK=BLOCK_ALONE, enable_fp_fusion=False, **LAUNCH,
            )  # fmt: skip
        else:
            total = torch.empty_like(current) if keep_total else None
            delays = torch.tensor(form.delays, dtype=torch.int64, device=current.device)
            by_sender = weights.transpose(1, 2).contiguous()
            _kernels().forward_recurrent[(-(-batch // BLOCKS_RECURRENT["BLOCK_BATCH"]),)](
                current, total, z, v, a, closed, *state, by_sender, delays, *vectors, n_refractory,
                n_steps, batch, n, form.lead, len(form.delays),
                **constants, KEEP_TOTAL=keep_total, **BLOCKS_RECURRENT, enable_fp_fusion=False, **LAUNCH,
            )  # fmt: skip
    return _Tape(v, a, closed, total)


def _backward(
    form: _Form,
    d_current: Tensor,
    d_spikes: Tensor,
    z: Tensor,
    weights: Tensor | None,
    vectors: Sequence[Tensor],
    tape: _Tape,
    carried: tuple[Tensor, Tensor],
    d_parameters: Tensor | None,
    start: int,
    stop: int,
) -> None:
    """The steps from `start` to `stop`, back: `d_current` of them, `carried` and `d_parameters` change."""
    n_steps, batch, n = d_current.shape
    constants = {
        **form.dynamics(),
        **form.surrogate(),
        "PARAMETERS": d_parameters is not None,
        "KEEP_TOTAL": tape.total is not None,
    }
    arrays = (
        d_current[start:], d_spikes[start:], z[form.lead + start :], tape.v, tape.a, tape.closed, tape.total,
        *carried, d_parameters,
    )  # fmt: skip
    with _on(d_current.device):
        if weights is None:
            size = batch * n
            _kernels().backward_alone[(-(-size // BLOCK_ALONE),)](
                *arrays, *vectors, stop - start, size, n, form.window, **constants, BLOCK=BLOCK_ALONE, **LAUNCH
            )
        else:
            delays = torch.tensor(form.delays, dtype=torch.int64, device=d_current.device)
            _kernels().backward_recurrent[(-(-batch // BLOCKS_RECURRENT["BLOCK_BATCH"]),)](
                *arrays, weights.contiguous(), delays, *vectors,
                stop - start, n_steps - start, batch, n, len(form.delays), form.window,
                **constants, **BLOCKS_RECURRENT, **LAUNCH,
            )  # fmt: skip
