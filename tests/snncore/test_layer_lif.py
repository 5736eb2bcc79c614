"""LIF layers with one leak and one threshold that are trained: by hand, against autograd, and kept in their range."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from snncore import spec
from snncore.engines import FULL, Layer, ReferenceEngine, Truncated, choose_engine
from snncore.engines.interface import Engine
from snncore.layer_lif import LayerLIFs
from snncore.networks import make_network
from snncore.spec import SpecError, estimate
from snncore.surrogates import spike_function
from tests.snncore.hybrid_cases import CPU, dense, sequential
from tests.snncore.image_cases import DIET, fire, lif
from tests.snncore.jobs import tiny_spec

ENGINES: dict[str, Engine] = {"reference": ReferenceEngine(), "fused": choose_engine("fused", CPU)}
DOUBLE = torch.float64


def neurons(n: int = 1, **fields: Any) -> LayerLIFs:
    form = spec.LayerLIF(kind="layer_lif", **fields)
    return LayerLIFs(form, n, dtype=DOUBLE, device=CPU)


def spikes(engine: str, units: LayerLIFs, current: Tensor, backward: Any = FULL) -> Tensor:
    """`[T, B, N]`, with their gradient."""
    layer = Layer(units.parameters_of_neurons(), spike_function(units.form))
    z = ENGINES[engine](current, [layer], keep_z=True, backward=backward).z
    assert z is not None
    return z


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("timing", ["next_step", "same_step"])
def test_three_steps_have_the_gradients_of_the_equations(engine: str, timing: str) -> None:
    """leak 0.5, v 1, I = 1.2, 0.9, 0.2, and L = o[2] (steps from 0).

    next_step: u = 1.2, then 0.6 + 0.9 - 1 = 0.5, then 0.25 + 0.2 = 0.45; x = 0.2, -0.5, -0.55; o = 1, 0, 0.
    same_step: u = 1.2, then 0.5 (1.2 - 1) + 0.9 = 1, then 0.5 + 0.2 = 0.7: 1 is the threshold, and does not fire.
    """
    units = neurons(leak=0.5, v_threshold=1.0, reset_timing=timing)
    current = torch.tensor([1.2, 0.9, 0.2], dtype=DOUBLE, device=CPU).reshape(3, 1, 1).requires_grad_()
    z = spikes(engine, units, current)
    assert z.detach().flatten().tolist() == [1, 0, 0]
    given = torch.autograd.grad(z[2, 0, 0], [current, units.leak, units.v_threshold])
    d_current, d_leak, d_v = (part.flatten().tolist() for part in given)

    u = [1.2, 0.5, 0.45] if timing == "next_step" else [1.2, 1.0, 0.7]
    h = [0.3 * (1 - abs(value - 1)) for value in u]
    reset = 1.0 if timing == "next_step" else 0.5  # du[t] / do[t-1] = -reset
    through = [0.5 - reset * h[0], 0.5 - reset * h[1]]  # du[t+1] / du[t]
    left = [u[0], u[1]] if timing == "next_step" else [u[0] - 1.0, u[1]]
    assert d_current == pytest.approx([h[2] * through[1] * through[0], h[2] * through[1], h[2]])
    assert d_leak == pytest.approx([h[2] * (left[1] + through[1] * left[0])])
    # do/dv = -h u at v = 1, and du[t+1]/dv = -reset (o[t] + do[t]/dv) beside what comes through u[t]
    du1 = -reset * (1 - h[0] * u[0])
    du2 = through[1] * du1 - reset * (0 - h[1] * u[1])
    assert d_v == pytest.approx([h[2] * du2 - h[2] * u[2]])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("timing", ["next_step", "same_step"])
def test_spikes_and_gradients_are_those_of_an_independent_loop(engine: str, timing: str) -> None:
    units = neurons(20, leak=0.85, v_threshold=0.6, reset_timing=timing)
    draw = torch.Generator(device=CPU).manual_seed(3)
    current = torch.randn(12, 4, 20, generator=draw, dtype=DOUBLE, device=CPU) * 0.5 + 0.2
    weight = torch.randn(12, 4, 20, generator=draw, dtype=DOUBLE, device=CPU)
    current.requires_grad_()
    leak, v = (torch.tensor(value, dtype=DOUBLE, device=CPU, requires_grad=True) for value in (0.85, 0.6))
    u, o, fired = torch.zeros_like(current[0]), torch.zeros_like(current[0]), []
    for incoming in current:
        u = leak * u + incoming - v * o if timing == "next_step" else leak * (u - v * o) + incoming
        o = fire(u, v)
        fired.append(o)
    expected = torch.stack(fired)
    z = spikes(engine, units, current)
    assert torch.equal(z, expected)
    assert 0.1 < float(z.detach().mean()) < 0.9
    theirs = torch.autograd.grad((expected * weight).sum(), [current, leak, v])
    ours = torch.autograd.grad((z * weight).sum(), [current, units.leak, units.v_threshold])
    for got, wanted in zip(ours, theirs, strict=True):
        assert torch.allclose(got, wanted, rtol=1e-10, atol=1e-10)
        assert float(wanted.norm()) > 0


def test_a_truncated_way_back_has_the_same_gradients_in_both_engines() -> None:
    draw = torch.Generator(device=CPU).manual_seed(4)
    current = torch.randn(9, 3, 5, generator=draw, dtype=DOUBLE, device=CPU) + 0.2
    found = []
    for engine in ENGINES:
        units = neurons(5, leak=0.9, v_threshold=0.8)
        z = spikes(engine, units, current, Truncated(4))
        found.append(torch.autograd.grad(z.square().sum(), [units.leak, units.v_threshold]))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize(
    ("trained", "wanted"), [("both", [True, True]), ("leak", [True, False]), ("v_threshold", [False, True])]
)
def test_what_is_not_trained_gets_no_gradient_and_counts_as_no_parameter(trained: str, wanted: list[bool]) -> None:
    units = neurons(3, trained=trained)
    assert [units.leak.requires_grad, units.v_threshold.requires_grad] == wanted
    layers = [dense(5), lif({**DIET, "trained": trained})]
    job = tiny_spec(**sequential(layers, {"kind": "accumulator"}))
    network = make_network(job, CPU)
    counted = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert estimate(job).parameters == counted == 64 * 5 + 5 + 5 * 10 + 10 + sum(wanted)


def test_an_update_leaves_the_leak_at_most_one_and_the_threshold_positive() -> None:
    units = neurons()
    with torch.no_grad():
        units.leak.fill_(1.3)
        units.v_threshold.fill_(-0.2)
    units.constrain()
    assert units.scalars() == {"leak": 1.0, "v_threshold": spec.SMALLEST_THRESHOLD}
    with torch.no_grad():
        units.leak.fill_(0.7)
        units.v_threshold.fill_(0.4)
    units.constrain()
    assert units.scalars() == {"leak": pytest.approx(0.7), "v_threshold": pytest.approx(0.4)}


@pytest.mark.parametrize("architecture", ["sequential", "recurrent"])
def test_networks_tell_leak_and_threshold_of_each_layer(architecture: str) -> None:
    parts: dict[str, Any] = {
        "sequential": sequential([dense(4), lif(), dense(3), lif({**DIET, "leak": 0.5})], {"kind": "accumulator"}),
        "recurrent": {"neuron": DIET},
    }
    told = make_network(tiny_spec(**parts[architecture]), CPU).neuron_parameters()
    expected = {
        "sequential": {
            "leak.hidden_1": 0.9,
            "v_threshold.hidden_1": 0.7,
            "leak.hidden_2": 0.5,
            "v_threshold.hidden_2": 0.7,
        },
        "recurrent": {"leak.hidden": 0.9, "v_threshold.hidden": 0.7},
    }
    assert told == pytest.approx(expected[architecture])


@pytest.mark.parametrize(("field", "value"), [("leak", 1.1), ("leak", -0.1), ("v_threshold", 0.0), ("trained", "w")])
def test_constants_out_of_range_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(SpecError, match=rf"neuron\.{field}"):
        tiny_spec(**sequential([dense(4), lif({**DIET, field: value})], {"kind": "accumulator"}))
