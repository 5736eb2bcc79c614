"""The closed forms of the LIF unit against simulations with `snncore.neurons.step`, and its gradients written out."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snncore.engines import Engine, Layer, ReferenceEngine
from snncore.engines.cpu import FusedCpuEngine
from snncore.lif_unit import input_threshold, largest_distance, period
from snncore.neurons import NeuronState, neuron_parameters, resting_state, step
from snncore.spec import form_of
from snncore.surrogates import spike_function
from tests.snncore.jobs import tiny_spec

CPU, DOUBLE = torch.device("cpu"), torch.float64
Draws = tuple[np.ndarray[Any, Any], ...]


def unit(w_input: Tensor, w_leak: Tensor, threshold: Tensor | float = 1.0) -> Layer:
    """A LIF unit for each element: no synapses, so that it takes the current itself."""
    spec = tiny_spec(
        neuron={
            "kind": "lif", "reset": "value", "detach_reset": True,
            "surrogate": {"kind": "constant", "dampening": 1.0}, "surrogate_scaling": "raw",
        }
    ).neuron  # fmt: skip
    p = neuron_parameters(spec, w_leak.numel(), 1.0, dtype=DOUBLE, device=CPU)
    level = torch.as_tensor(threshold, dtype=DOUBLE).expand_as(w_leak).clone()
    return Layer(
        replace(p, decay_mem=1 - w_leak, input_scale=w_input, v_threshold=level), spike_function(form_of(spec))
    )


def walk(layer: Layer, inputs: Tensor) -> Tensor:
    """The spikes `[T, N]` for inputs `[T, N]`, step by step."""
    state: NeuronState = resting_state(1, layer.neurons)
    spikes = []
    for current in inputs:
        state = step(current[None], state, layer.neurons, layer.spike)
        spikes.append(state.z[0])
    return torch.stack(spikes)


def uniform(draw: np.random.Generator, n: int, *ranges: tuple[float, float]) -> Draws:
    return tuple(draw.uniform(low, high, n) for low, high in ranges)


@pytest.mark.parametrize("leaks", [True, False])
def test_the_period_is_that_of_the_simulation_for_thousands_of_units(leaks: bool) -> None:
    n, n_steps = 3_000, 300
    current, w_input, w_leak, threshold = uniform(
        np.random.default_rng(0), n, (0.01, 4.0), (0.05, 1.5), (0.01, 0.95), (0.5, 2.0)
    )
    w_leak = w_leak * leaks
    found = period(current, w_input, w_leak, threshold)
    ratio = threshold / (current * w_input)
    with np.errstate(invalid="ignore"):
        exact = np.log(1 - ratio * w_leak) / np.log(1 - w_leak) if leaks else ratio
    clear = torch.from_numpy(np.isinf(found) | (abs(exact - exact.round()) > 1e-9))
    layer = unit(*(torch.from_numpy(part) for part in (w_input, w_leak, threshold)))
    z = walk(layer, torch.from_numpy(current).expand(n_steps, n))
    t = torch.arange(1, n_steps + 1, dtype=DOUBLE)[:, None]
    expected = (t % torch.from_numpy(found) == 0).to(DOUBLE)
    assert clear.sum() > 0.99 * n
    assert torch.equal(z[:, clear], expected[:, clear])
    silent = current <= input_threshold(w_input, w_leak, threshold)
    assert np.array_equal(np.isinf(found), silent)
    assert 500 < silent.sum() < n - 500 if leaks else silent.sum() == 0


def test_the_published_example_and_the_edges() -> None:
    assert float(period(1.0, 0.5, 0.1)) == 3  # spikes at 2, 5, 8
    assert float(input_threshold(0.5, 0.1)) == 0.2
    assert period([0.2, 0.0, -1.0], 0.5, 0.1).tolist() == [np.inf] * 3
    assert period([1.0, 5.0], 0.3, 0.0).tolist() == [4, 1]
    # a leak of 1: an input is enough at once or never
    assert period([0.9, 1.0, 2.0], 1.0, 1.0).tolist() == [np.inf, 1, 1]
    assert period(np.ones((2, 1)), np.ones(3), 0.1).shape == (2, 3)


def impulses(distance: np.ndarray[Any, Any], n_steps: int) -> Tensor:
    """A one in every `distance`-th step from the first, `[T, N]`."""
    return (torch.arange(n_steps, dtype=DOUBLE)[:, None] % torch.from_numpy(distance) == 0).to(DOUBLE)


@pytest.mark.parametrize("n_impulses", [2, 3, None])
def test_units_fire_at_the_largest_distance_and_not_at_the_next(n_impulses: int | None) -> None:
    n = 3_000
    w_input, w_leak, threshold = uniform(np.random.default_rng(1), n, (0.02, 1.9), (0.05, 0.9), (0.5, 2.0))
    found = largest_distance(n_impulses, w_input, w_leak, threshold)
    share = w_input / threshold
    never = share < {2: 1 / 2, 3: 1 / 3, None: 0.0}[n_impulses]
    assert np.array_equal(np.isnan(found), never)
    assert np.array_equal(np.isinf(found), share >= 1)
    layer = unit(*(torch.from_numpy(part) for part in (w_input, w_leak, threshold)))

    def fires(distance: np.ndarray[Any, Any]) -> Tensor:
        if n_impulses is None:
            # of an impulse 500 steps ago, nothing is left that would count
            return walk(layer, impulses(distance, 500)).any(dim=0)
        given = impulses(distance, int(distance.max()) * (n_impulses - 1) + 1)
        return walk(layer, given * (given.cumsum(0) <= n_impulses)).any(dim=0)

    largest = np.where(np.isnan(found), 0, np.where(np.isinf(found), 40, found))
    some, limited = torch.from_numpy(largest > 0), torch.from_numpy(~np.isinf(found))
    assert fires(np.maximum(largest, 1))[some].all()
    assert not fires(largest + 1)[limited].any()
    assert int((some & limited).sum()) > 300


def test_without_a_leak_impulses_add_up_from_any_distance_and_with_all_of_it_from_none() -> None:
    assert [float(largest_distance(n, 0.6, 0.0)) for n in (2, 3, None)] == [np.inf] * 3
    assert [float(largest_distance(n, 0.6, 1.0)) for n in (2, 3, None)] == [0.0] * 3
    nan = pytest.approx(np.nan, nan_ok=True)
    assert [float(largest_distance(n, 0.3, 0.0)) for n in (2, 3, None)] == [nan, nan, np.inf]
    assert [float(largest_distance(n, 0.0, 0.5)) for n in (2, 3, None)] == [nan] * 3
    assert largest_distance(2, np.full((2, 1), 0.7), np.full(3, 0.1)).shape == (2, 3)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="n_impulses"):
        largest_distance(4, 0.5, 0.1)
    with pytest.raises(ValueError, match="w_leak"):
        period(1.0, 0.5, 1.1)
    with pytest.raises(ValueError, match="threshold"):
        largest_distance(2, 0.5, 0.1, threshold=0.0)
    with pytest.raises(ValueError, match="w_input"):
        input_threshold(0.0, 0.1)


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from snncore.lif_unit import period; assert period(1, 0.5, 0.1) == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- gradients ----

ENGINES: dict[str, Engine] = {"reference": ReferenceEngine(), "fused": FusedCpuEngine()}


def forgotten(z: Tensor, t: int) -> Tensor:
    """g_1 g_2 ... g_n for n = 0 to t: 1 back to the last spike before step t, then 0, `[t + 1, N]`."""
    kept = 1 - z[:t].flip(0)
    return torch.cat([torch.ones_like(z[:1]), kept]).cumprod(dim=0)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES.keys())
def test_the_gradients_of_a_spike_are_the_sums_written_out(engine: Engine) -> None:
    """With the derivative 1 of every spike and none of the reset (Gerum & Schilling 2021, eqs. 52 to 54), g_i = 0 where
    there was a spike i steps ago and 1 otherwise,

    dy[t] / dx[t-n]  = w_input (1 - w_leak)^n g_1 ... g_n
    dy[t] / dw_input = sum over n >= 0 of x[t-n] (1 - w_leak)^n g_1 ... g_n
    dy[t] / dw_leak  = - sum over n >= 1 of V[t-n] (1 - w_leak)^(n-1) g_1 ... g_n
    """
    n, n_steps = 200, 30
    draw = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(n_steps, n, dtype=DOUBLE, generator=draw)
    w_input = (0.1 + 0.9 * torch.rand(n, dtype=DOUBLE, generator=draw)).requires_grad_()
    w_leak = (0.9 * torch.rand(n, dtype=DOUBLE, generator=draw)).requires_grad_()
    current = x.clone().requires_grad_()
    reached = spikes = 0
    for t in (0, 1, 7, 18, 29):
        activity = engine(current[:, None], [unit(w_input, w_leak)], keep_z=True, keep_v=True)
        assert activity.z is not None
        assert activity.v is not None
        z, v = activity.z.detach()[:, 0], activity.v[:, 0]
        dx, dw_input, dw_leak = torch.autograd.grad(activity.z[t].sum(), [current, w_input, w_leak])

        passed, back = forgotten(z, t), torch.arange(t + 1, dtype=DOUBLE)[:, None]
        fade = 1 - w_leak.detach()
        shares = fade**back * passed
        expected = torch.zeros_like(x)
        expected[: t + 1] = (w_input.detach() * shares).flip(0)
        torch.testing.assert_close(dx, expected, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(dw_input, (x[: t + 1].flip(0) * shares).sum(0), rtol=1e-9, atol=1e-12)
        older = v[:t].flip(0) * fade ** (back[1:] - 1) * passed[1:]
        torch.testing.assert_close(dw_leak, -older.sum(0), rtol=1e-9, atol=1e-12)

        # the gradient reaches every input since the spike before, and none up to that
        last = (
            torch.where(z[:t] > 0, torch.arange(t, dtype=DOUBLE)[:, None], -1).amax(0) if t else torch.full((n,), -1.0)
        )
        assert torch.equal(dx[: t + 1] != 0, torch.arange(t + 1, dtype=DOUBLE)[:, None] > last)
        reached, spikes = reached + int((dx != 0).sum()), spikes + int(z.sum())
    assert reached > 2_000
    assert spikes > 2_000
