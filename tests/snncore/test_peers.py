"""Layers of LIF neurons against those of snnTorch and Norse, where a spec can be found that means the same.

What a library calls v may be the potential after its reset; here it is the one before. Inputs are random currents that
keep v below twice the threshold.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from snncore.engines import Engine, Layer, ReferenceEngine
from snncore.engines.cpu import FusedCpuEngine
from snncore.engines.interface import Activity
from snncore.neurons import neuron_parameters
from snncore.spec import form_of
from snncore.spec.synapses import ConstantDelay, NormalWeights
from snncore.surrogates import spike_function
from snncore.synapses import Synapses
from tests.snncore.jobs import tiny_spec

CPU = torch.device("cpu")
ENGINES: list[Engine] = [ReferenceEngine(), FusedCpuEngine()]
TAU_MS = 8.0
DECAY = math.exp(-1 / TAU_MS)


def peer(name: str) -> Any:
    """A library: snnTorch is in the extra 'test'; Norse, which builds against torch, among the benchmark's peers."""
    return pytest.importorskip(
        name,
        reason=f"NO {name.upper()} HERE: `make test-peers` runs these tests with the libraries of the benchmarks",
        exc_type=ImportError,
    )


def currents(highest: float, n_steps: int = 60) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return (torch.rand(n_steps, 4, 25, dtype=torch.float64, device=CPU, generator=draw) * highest).requires_grad_()


def ours(engine: Engine, x: Tensor, recurrence: Synapses | None = None, **fields: Any) -> Activity:
    """Neurons that take `x` as their current, or the identity of it where they are recurrent."""
    job = tiny_spec(neuron={"tau_mem_ms": TAU_MS, "fires_at": "greater", **fields})
    assert job.neuron is not None
    assert job.neuron.kind == "lif"
    parameters = neuron_parameters(job.neuron, x.shape[2], 1.0, dtype=torch.float64, device=CPU)
    layer = Layer(parameters, spike_function(form_of(job.neuron)), None, recurrence)
    return engine(x, [layer], keep_z=True, keep_v=True)


def assert_same(found: Activity, z: Tensor, v: Tensor) -> None:
    """Spikes exactly, potentials but for rounding; and there are both spikes and silence."""
    assert found.z is not None
    assert found.v is not None
    assert 0.03 < float(z.detach().mean()) < 0.6
    assert torch.equal(found.z.detach(), z.detach().double())
    assert torch.allclose(found.v, v.detach(), rtol=0, atol=1e-12)


def gradient(z: Tensor, x: Tensor) -> Tensor:
    """Of a fixed random sum over the spikes."""
    weights = torch.randn(z.shape, dtype=torch.float64, device=CPU, generator=torch.Generator().manual_seed(1))
    (found,) = torch.autograd.grad((z * weights).sum(), x)
    return found


# --- snnTorch


def snntorch_leaky(x: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    snntorch = peer("snntorch")
    leaky = snntorch.Leaky(beta=torch.tensor(DECAY, dtype=torch.float64, device=CPU), **options)
    mem = torch.zeros_like(x[0])
    spikes, potentials = [], []
    for current in x:
        z, mem = leaky(current, mem)
        spikes.append(z)
        potentials.append(mem)
    return torch.stack(spikes), torch.stack(potentials)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize(("mechanism", "reset"), [("subtract", "subtract"), ("zero", "value"), ("none", "none")])
def test_leaky_of_snntorch_resets_at_the_next_step_with_the_reset_cut_out(
    mechanism: str, reset: str, engine: Engine
) -> None:
    """`reset_delay` True, the default. A spike needs v > threshold, and the input is not scaled.

    Its arctan surrogate with alpha is `dampening` alpha / 2, `width` 2 / (pi alpha); alpha is 2.
    """
    x = currents(0.22 if mechanism == "none" else 0.8)
    z, mem = snntorch_leaky(x, reset_mechanism=mechanism)
    surrogate = {"kind": "arctan", "dampening": 1.0, "width": 1 / math.pi}
    found = ours(engine, x, reset=reset, reset_timing="next_step", detach_reset=True, surrogate=surrogate)
    assert_same(found, z, mem)
    assert found.z is not None
    theirs = gradient(z, x)
    assert float((gradient(found.z, x) - theirs).norm() / theirs.norm()) < 1e-6  # its spikes are single precision


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize(("mechanism", "reset"), [("subtract", "subtract"), ("zero", "value")])
def test_leaky_of_snntorch_without_a_delay_of_the_reset_resets_in_the_same_step(
    mechanism: str, reset: str, engine: Engine
) -> None:
    """`reset_delay` False: what it returns is the potential after the reset."""
    x = currents(0.8)
    z, mem = snntorch_leaky(x, reset_mechanism=mechanism, reset_delay=False)
    found = ours(engine, x, reset=reset, reset_timing="same_step")
    assert found.v is not None
    before = torch.where(z > 0, mem + 1 if reset == "subtract" else found.v, mem)
    assert_same(found, z, before)
    assert float(mem[z > 0].detach().abs().max()) == 0 or reset == "subtract"


# --- Norse


RATE = (1 - DECAY) * 1000.0
"""dt / tau of its Euler step is 1 - decay here: tau_mem_inv, with dt = 0.001."""


def norse_steps(step: Any, state: Any, x: Tensor, parameters: Any) -> tuple[Tensor, Tensor]:
    spikes, potentials = [], []
    for current in x:
        z, state = step(current, state, parameters, 0.001)
        spikes.append(z)
        potentials.append(state.v if hasattr(state, "v") else state)
    return torch.stack(spikes), torch.stack(potentials)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, device=CPU)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("reset_value", {"reset": "value", "v_reset": -0.25}),
        ("reset_subtract", {"reset": "subtract"}),
    ],
)
def test_lif_box_of_norse_scales_its_input_by_the_leak_and_resets_in_the_same_step(
    method: str, fields: dict[str, Any], engine: Engine
) -> None:
    """With tau_mem = -dt / ln(1 - dt tau_mem_inv), since its decay is that of an Euler step. Its `super` surrogate is
    `fast_sigmoid` of width 1, whatever its alpha."""
    peer("norse")
    from norse.torch.functional import lif_box, reset

    x = currents(6.0)
    parameters = lif_box.LIFBoxParameters(
        tau_mem_inv=number(RATE), v_leak=number(0.0), v_th=number(1.0), v_reset=number(-0.25),
        reset_method=getattr(reset, method),
    )  # fmt: skip
    state = lif_box.LIFBoxFeedForwardState(v=torch.zeros_like(x[0]))
    z, after = norse_steps(lif_box.lif_box_feed_forward_step, state, x, parameters)
    surrogate = {"kind": "fast_sigmoid", "dampening": 1.0, "width": 1.0}
    found = ours(engine, x, input_scaling="one_minus_decay", reset_timing="same_step", surrogate=surrogate, **fields)
    assert found.v is not None
    assert found.z is not None
    before = torch.where(z > 0, after + 1 if method == "reset_subtract" else found.v, after)
    assert_same(found, z, before)
    if method == "reset_value":
        assert torch.allclose(after[z > 0], number(-0.25))
    theirs = gradient(z, x)
    assert float((gradient(found.z, x) - theirs).norm() / theirs.norm()) < 1e-9


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_current_encoder_of_norse_is_its_lif_box(engine: Engine) -> None:
    peer("norse")
    from norse.torch.functional import lif

    x = currents(6.0).detach()
    parameters = lif.LIFParameters(tau_mem_inv=number(RATE), v_reset=number(-0.25))
    z, after = norse_steps(lif.lif_current_encoder, torch.zeros_like(x[0]), x, parameters)
    found = ours(
        engine, x, input_scaling="one_minus_decay", reset="value", v_reset=-0.25, reset_timing="same_step"
    )  # fmt: skip
    assert found.v is not None
    assert_same(found, z, torch.where(z > 0, found.v, after))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("keeps", [0.0, 0.6], ids=["without", "with"])
def test_lif_cells_of_norse_are_ours_behind_a_synaptic_current(keeps: float, engine: Engine) -> None:
    """Here neurons have no synaptic current. That of Norse is i[t] = (1 - dt tau_syn_inv) i[t-1] + x[t], and with
    dt tau_syn_inv = 1 it is the input."""
    peer("norse")
    from norse.torch.functional import lif

    x = currents(6.0 * (1 - keeps)).detach()
    parameters = lif.LIFParameters(tau_syn_inv=number((1 - keeps) * 1000.0), tau_mem_inv=number(RATE))
    state = lif.LIFFeedForwardState(v=torch.zeros_like(x[0]), i=torch.zeros_like(x[0]))
    z, after = norse_steps(lif.lif_feed_forward_step, state, x, parameters)
    synaptic, filtered = torch.zeros_like(x[0]), []
    for now in x:
        synaptic = keeps * synaptic + now
        filtered.append(synaptic)
    found = ours(
        engine, torch.stack(filtered), input_scaling="one_minus_decay", reset="value", reset_timing="same_step"
    )
    assert found.v is not None
    assert_same(found, z, torch.where(z > 0, found.v, after))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_recurrent_lif_cells_of_norse_hear_of_a_spike_in_the_next_step(engine: Engine) -> None:
    peer("norse")
    from norse.torch.functional import lif

    x = currents(6.0).detach()
    n = x.shape[2]
    recurrence = Synapses(
        n, n, name="peer", seed=0, weights=NormalWeights(kind="normal", gain=2.0),
        delay=ConstantDelay(kind="constant", steps=1), autapses=False, dtype=torch.float64, device=CPU,
    )  # fmt: skip
    parameters = lif.LIFParameters(tau_syn_inv=number(1000.0), tau_mem_inv=number(RATE))
    zeros, identity = torch.zeros_like(x[0]), torch.eye(n, dtype=torch.float64, device=CPU)
    state, spikes, after = lif.LIFState(zeros, zeros, zeros), [], []
    for now in x:
        z, state = lif.lif_step(now, state, identity, recurrence.weight.detach(), parameters, 0.001)
        spikes.append(z)
        after.append(state.v)
    found = ours(engine, x, recurrence, input_scaling="one_minus_decay", reset="value", reset_timing="same_step")
    assert found.v is not None
    assert_same(found, torch.stack(spikes), torch.where(torch.stack(spikes) > 0, found.v.detach(), torch.stack(after)))
