"""Layers and inputs on which every order of summation comes to the same bits, for comparing engines spike by spike.

Weights are multiples of 2^-8 and inputs multiples of 2^-4, so that their sums are exact in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, get_args

import torch
from torch import Tensor

from snncore.engines import FULL, Activity, Backward, Engine, Layer
from snncore.neurons import TRAINABLE, NeuronParameters, neuron_parameters
from snncore.spec import Surrogate, form_of
from snncore.spec.synapses import ConstantDelay, Delay, NormalWeights
from snncore.spikes import SpikeTrain
from snncore.surrogates import spike_function
from snncore.synapses import Synapses
from tests.snncore.jobs import tiny_spec

CPU = torch.device("cpu")
DELAY_0 = ConstantDelay(kind="constant", steps=0)
DELAY_1 = ConstantDelay(kind="constant", steps=1)

SURROGATES = {get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(get_args(Surrogate)[0])}
"""Every kind there is, and its part of a spec."""


def surrogate(kind: str, **numbers: float) -> dict[str, Any]:
    """A surrogate as a spec says it, with those of the `numbers` that its kind has."""
    known = SURROGATES[kind].model_fields
    return {"kind": kind, **{name: value for name, value in numbers.items() if name in known}}


@dataclass(frozen=True)
class Case:
    """A network of spiking layers and a batch for it."""

    neuron: dict[str, Any] = field(default_factory=lambda: {"kind": "lif"})
    sizes: tuple[int, ...] = (5, 7)
    """Inputs, then the neurons of each layer."""
    n_steps: int = 20
    batch: int = 3
    recurrent: tuple[bool, ...] = (True,)
    delay: Delay = DELAY_0
    recurrent_delay: Delay = DELAY_1
    density: float | None = 0.3
    """Share of spikes in the input; None: the input is numbers."""
    gain: float = 1.5
    connectivity: float = 1.0
    """Share of the synapses that exist."""
    n_projected: int = 0
    projection_delay: Delay = DELAY_0
    trainable_neurons: bool = False
    biased: bool = False
    dtype: torch.dtype = torch.float64
    seed: int = 0


@dataclass
class Outcome:
    activity: Activity
    gradients: dict[str, Tensor]


def present(engine: Engine, case: Case, backward: Backward = FULL) -> Outcome:
    """Forward, a fixed random linear loss on all that an engine returns, and the gradients."""
    draw = torch.Generator().manual_seed(case.seed)
    leaves: dict[str, Tensor] = {}

    def synapses(name: str, n_pre: int, n_post: int, delay: Delay, *, autapses: bool = True) -> Synapses:
        form = NormalWeights(kind="normal", gain=case.gain)
        made = Synapses(
            n_pre, n_post, name=name, seed=case.seed, weights=form, delay=delay, autapses=autapses,
            dtype=case.dtype, device=CPU,
        )  # fmt: skip
        with torch.no_grad():
            made.weight.copy_((made.weight * 256).round() / 256)
            if case.connectivity < 1:
                exists = torch.rand(made.weight.shape, generator=torch.Generator().manual_seed(case.seed + n_pre))
                made.weight.mul_(exists < case.connectivity)
        leaves[name] = made.weight
        return made

    def parameters(name: str, n: int) -> NeuronParameters:
        spec = tiny_spec(neuron=case.neuron).neuron
        made = neuron_parameters(spec, n, 1.0, dtype=case.dtype, device=CPU)
        if not case.trainable_neurons:
            return made
        free = {field: getattr(made, field).clone().requires_grad_() for field in TRAINABLE}
        leaves.update({f"{name}/{field}": value for field, value in free.items()})
        return replace(made, **free)

    layers = []
    spike = spike_function(form_of(tiny_spec(neuron=case.neuron).neuron))
    for i, (n_pre, n_post) in enumerate(zip(case.sizes, case.sizes[1:], strict=False)):
        bias = None
        if case.biased:
            bias = (torch.randn(n_post, generator=draw, dtype=case.dtype) * 4).round() / 64
            leaves[f"bias_{i}"] = bias.requires_grad_()
        recurrence = None
        if case.recurrent[i]:
            recurrence = synapses(f"recurrent_{i}", n_post, n_post, case.recurrent_delay, autapses=False)
        layers.append(
            Layer(
                parameters(f"neurons_{i}", n_post),
                spike,
                synapses(f"input_{i}", n_pre, n_post, case.delay),
                recurrence,
                bias,
            )
        )
    projection = (
        synapses("projection", case.sizes[-1], case.n_projected, case.projection_delay) if case.n_projected else None
    )

    shape = (case.n_steps, case.batch, case.sizes[0])
    x: Tensor | SpikeTrain
    if case.density is None:
        x = ((torch.randn(shape, generator=draw, dtype=case.dtype) * 8).round() / 16).requires_grad_()
        leaves["x"] = x
    else:
        x = SpikeTrain.pack(torch.rand(shape, generator=draw) < case.density)
    # powers of two in any order, so that the weighted sum rounds nothing either
    kernel = 2.0 ** torch.randint(-4, 1, (case.n_steps,), generator=draw).to(case.dtype)

    activity = engine(x, layers, kernel=kernel, projection=projection, backward=backward, keep_z=True, keep_v=True)
    parts = [*activity.totals, activity.weighted, activity.projected, activity.z]
    loss = torch.zeros((), dtype=case.dtype)
    for part in parts:
        if part is not None:
            loss = loss + (part * torch.randn(part.shape, generator=draw, dtype=case.dtype)).sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return Outcome(
        activity,
        {
            name: torch.zeros_like(leaf) if gradient is None else gradient
            for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True)
        },
    )


def assert_same(found: Outcome, expected: Outcome, tolerance: float) -> None:
    """The same spikes, sums and potentials, and gradients that differ by `tolerance` of their norm at most.

    The loss weighs each output by about one. A gradient far below that is what rounding left of terms that cancel, so
    it is compared with one instead.
    """
    for ours, theirs in zip(found.activity.spikes, expected.activity.spikes, strict=True):
        assert torch.equal(ours.dense(torch.bool), theirs.dense(torch.bool))
    for ours, theirs in zip(found.activity.totals, expected.activity.totals, strict=True):
        assert torch.equal(ours, theirs)
    for name in ("weighted", "projected", "z", "v"):
        ours, theirs = getattr(found.activity, name), getattr(expected.activity, name)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert torch.equal(ours, theirs), name
    assert found.gradients.keys() == expected.gradients.keys()
    for name, theirs in expected.gradients.items():
        error = (found.gradients[name] - theirs).norm() / theirs.norm().clamp_min(1)
        assert error <= tolerance, f"{name}: {float(error):.2e}"
