"""Gradients through the scan: by hand, by finite differences, and where they must be zero."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from snncore.neurons import neuron_parameters
from snncore.scan import unroll
from snncore.spec import form_of
from snncore.spec.synapses import ConstantDelay, NormalWeights, UniformDelay
from snncore.surrogates import spike_function
from snncore.synapses import Synapses
from tests.snncore.jobs import tiny_spec

CPU, DOUBLE = torch.device("cpu"), torch.float64


def recurrent_weights(n: int, delay: ConstantDelay | UniformDelay, *, autapses: bool = False) -> Synapses:
    form = NormalWeights(kind="normal")
    return Synapses(n, n, name="test", seed=3, weights=form, delay=delay, autapses=autapses, dtype=DOUBLE, device=CPU)


@pytest.mark.parametrize("scaling", ["scaled", "raw"])
def test_two_neurons_two_steps_by_hand(scaling: str) -> None:
    """With decay d, threshold h, weights W and upstream gradients c on the spikes of the second step,

    v_j[0] = I_j[0];   v_j[1] = d v_j[0] + I_j[1] + W_ji z_i[0] - h z_j[0]
    p_j[t] = dampening max(0, 1 - |v_j[t] - h| / h) (/ h when scaled)
    dL/dI_j[1] = c_j p_j[1]
    dL/dW_ji   = c_j p_j[1] z_i[0]
    dL/dI_j[0] = c_j p_j[1] (d - h p_j[0]) + c_i p_i[1] W_ij p_j[0]
    """
    job = tiny_spec(neuron={"kind": "lif", "tau_mem_ms": 10.0, "v_threshold": 0.5, "surrogate_scaling": scaling})
    d, h, dampening = torch.tensor(-0.1, dtype=DOUBLE).exp().item(), 0.5, 0.3
    current = torch.tensor([[[0.6, 0.3]], [[0.1, 0.25]]], dtype=DOUBLE, requires_grad=True)
    c = torch.tensor([2.0, -3.0], dtype=DOUBLE)
    synapses = recurrent_weights(2, ConstantDelay(kind="constant", steps=1))
    with torch.no_grad():
        synapses.weight.copy_(torch.tensor([[0.0, 0.4], [0.2, 0.0]], dtype=DOUBLE))
    parameters = neuron_parameters(job.neuron, 2, 1.0, dtype=DOUBLE, device=CPU)
    scan = unroll(current, parameters, spike_function(form_of(job.neuron)), synapses, keep_v=True)
    (scan.z[1, 0] * c).sum().backward()

    v0 = [0.6, 0.3]  # the first neuron fires, the second does not
    v1 = [d * 0.6 + 0.1 - h, d * 0.3 + 0.25 + 0.2]
    assert scan.v is not None
    assert scan.v[:, 0].flatten().tolist() == pytest.approx([*v0, *v1], rel=1e-12)
    assert scan.z[:, 0].flatten().tolist() == [1.0, 0.0, 0.0, 1.0]

    slope = 1 / h if scaling == "scaled" else 1.0
    p0, p1 = ([slope * dampening * max(0.0, 1 - abs(v - h) / h) for v in vs] for vs in (v0, v1))
    expected_i1 = [2.0 * p1[0], -3.0 * p1[1]]
    expected_i0 = [
        2.0 * p1[0] * (d - h * p0[0]) + -3.0 * p1[1] * 0.2 * p0[0],
        -3.0 * p1[1] * (d - h * p0[1]) + 2.0 * p1[0] * 0.4 * p0[1],
    ]
    assert current.grad is not None
    assert current.grad[1, 0].tolist() == pytest.approx(expected_i1, rel=1e-12)
    assert current.grad[0, 0].tolist() == pytest.approx(expected_i0, rel=1e-12)
    assert synapses.weight.grad is not None
    # column 1 stays zero, the second neuron sent nothing; the diagonal is no synapse
    assert synapses.weight.grad.flatten().tolist() == pytest.approx([0.0, 0.0, -3.0 * p1[1], 0.0], rel=1e-12)


def smooth_spike(v: Tensor, threshold: Tensor) -> Tensor:
    return torch.sigmoid(3 * (v - threshold) / threshold)


LIF: dict[str, Any] = {"kind": "lif", "tau_mem_ms": 8.0}
ALIF: dict[str, Any] = {"kind": "alif", "tau_mem_ms": 8.0, "tau_adapt_ms": 15.0, "beta_adapt": 0.8}
MIXED: dict[str, Any] = {
    "kind": "mixed",
    "populations": [{"proportion": 1.0, "neuron": LIF}, {"proportion": 1.0, "neuron": ALIF}],
}


@pytest.mark.parametrize(
    "delay", [ConstantDelay(kind="constant", steps=2), UniformDelay(kind="uniform", low=1, high=4)]
)
@pytest.mark.parametrize(
    "neuron",
    [
        LIF,
        ALIF,
        MIXED,
        {**LIF, "reset": "value", "v_reset": -0.2},
        {**ALIF, "reset_timing": "same_step"},
        {**LIF, "reset": "value", "v_reset": 0.1, "reset_timing": "same_step"},
        {**LIF, "reset": "none", "input_scaling": "one_minus_decay"},
        {**LIF, "v_threshold": 0.4, "n_refractory": 1, "input_scaling": "dt_over_tau"},
    ],
)
def test_the_loop_has_the_gradient_of_its_smooth_form(
    neuron: dict[str, Any], delay: ConstantDelay | UniformDelay
) -> None:
    """With a smooth spike in place of the step, autograd through the loop equals central differences in float64."""
    n = 4
    spec = tiny_spec(neuron=neuron).neuron
    parameters = neuron_parameters(spec, n, 1.0, dtype=DOUBLE, device=CPU)
    synapses = recurrent_weights(n, delay, autapses=True)
    current = torch.rand(7, 2, n, dtype=DOUBLE, generator=torch.Generator().manual_seed(5)).requires_grad_()

    def spikes_and_potentials(current: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        synapses.weight = weight  # type: ignore[assignment]
        scan = unroll(current, parameters, smooth_spike, synapses, keep_v=True)
        assert scan.v is not None
        return scan.z, scan.v

    weight = synapses.weight.detach().clone().requires_grad_()
    del synapses.weight
    assert torch.autograd.gradcheck(spikes_and_potentials, (current, weight))


def test_no_gradient_passes_a_potential_that_was_cut_off_at_zero() -> None:
    spec = tiny_spec(neuron={**ALIF, "non_negative": True}).neuron
    parameters = neuron_parameters(spec, 3, 1.0, dtype=DOUBLE, device=CPU)
    current = torch.randn(9, 2, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(5)).requires_grad_()

    def potentials(current: Tensor) -> Tensor:
        scan = unroll(current, parameters, smooth_spike, keep_v=True)
        assert scan.v is not None
        return scan.v

    assert torch.autograd.gradcheck(potentials, (current,))
    v = potentials(current)
    (gradient,) = torch.autograd.grad(v.sum(), current)
    assert torch.equal(gradient == 0, v == 0)
    assert 10 < int((v == 0).sum()) < v.numel() - 10


def test_no_gradient_flows_where_the_potential_is_a_threshold_away_or_further() -> None:
    job = tiny_spec(neuron={"kind": "lif", "v_threshold": 0.5})
    v = torch.tensor([[-0.2, 0.0, 0.01, 0.99, 1.0, 1.3]], dtype=DOUBLE, requires_grad=True)
    spike_function(form_of(job.neuron))(v, torch.tensor(0.5, dtype=DOUBLE)).sum().backward()
    assert v.grad is not None
    assert (v.grad != 0).tolist() == [[False, False, True, True, False, False]]


def test_scaled_and_raw_differ_by_the_threshold_and_both_reach_it() -> None:
    gradients = {}
    for scaling in ("scaled", "raw"):
        job = tiny_spec(neuron={"kind": "lif", "surrogate_scaling": scaling})
        v = torch.tensor([0.3], dtype=DOUBLE, requires_grad=True)
        threshold = torch.tensor([0.25], dtype=DOUBLE, requires_grad=True)
        spike_function(form_of(job.neuron))(v, threshold).sum().backward()
        assert v.grad is not None
        assert threshold.grad is not None
        gradients[scaling] = (v.grad.item(), threshold.grad.item())
    h = 0.3 * (1 - 0.05 / 0.25)
    # x = v / threshold - 1, so dx/dthreshold = -v / threshold**2
    assert gradients["scaled"] == pytest.approx((h / 0.25, -h * 0.3 / 0.25**2))
    assert gradients["raw"] == pytest.approx((h, -h))


def test_detaching_the_reset_removes_exactly_its_path() -> None:
    """One neuron: dz[1]/dI[0] is p[1] d without the reset's path and p[1] (d - h p[0]) with it."""
    gradients = []
    for detach in (True, False):
        job = tiny_spec(neuron={"kind": "lif", "tau_mem_ms": 10.0, "detach_reset": detach})
        parameters = neuron_parameters(job.neuron, 1, 1.0, dtype=DOUBLE, device=CPU)
        current = torch.tensor([[[1.2]], [[0.6]]], dtype=DOUBLE, requires_grad=True)
        scan = unroll(current, parameters, spike_function(form_of(job.neuron)))
        scan.z[1].sum().backward()
        assert current.grad is not None
        gradients.append(current.grad[0].item())
    d = torch.tensor(-0.1, dtype=DOUBLE).exp().item()
    p0 = 0.3 * (1 - 0.2)
    p1 = 0.3 * (1 - abs(d * 1.2 + 0.6 - 1 - 1))
    assert gradients == pytest.approx([p1 * d, p1 * (d - p0)])


@pytest.mark.parametrize(("kind", "steps_back"), [("constant", 3), ("uniform", 4)])
def test_recurrent_spikes_arrive_after_their_delay(kind: str, steps_back: int) -> None:
    """Against a literal sum over synapses and steps."""
    delay = (
        ConstantDelay(kind="constant", steps=3) if kind == "constant" else UniformDelay(kind="uniform", low=2, high=4)
    )
    n, n_steps = 5, 30
    job = tiny_spec(neuron={"kind": "lif", "v_threshold": 0.5})
    parameters = neuron_parameters(job.neuron, n, 1.0, dtype=DOUBLE, device=CPU)
    synapses = recurrent_weights(n, delay)
    current = 0.3 * torch.rand(n_steps, 1, n, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        scan = unroll(current, parameters, spike_function(form_of(job.neuron)), synapses, keep_v=True)
    steps = synapses.delay if kind == "uniform" else torch.full((n, n), 3)
    assert int(steps.max()) == steps_back
    z, v, weight = scan.z[:, 0], torch.zeros(n, dtype=DOUBLE), synapses.weight.detach()
    before = torch.zeros(n, dtype=DOUBLE)
    assert scan.v is not None
    for t in range(n_steps):
        arriving = torch.zeros(n, dtype=DOUBLE)
        for post in range(n):
            for pre in range(n):
                sent = t - int(steps[post, pre])
                if post != pre and sent >= 0:
                    arriving[post] += weight[post, pre] * z[sent, pre]
        v = parameters.decay_mem * v + current[t, 0] + arriving - 0.5 * before
        assert torch.allclose(v, scan.v[t, 0], rtol=1e-12, atol=1e-12)
        before = z[t]
    assert z.sum() > 10


def test_a_scan_in_two_parts_is_the_scan_in_one() -> None:
    n = 6
    spec = tiny_spec(neuron=MIXED).neuron
    parameters = neuron_parameters(spec, n, 1.0, dtype=DOUBLE, device=CPU)
    spike = spike_function(form_of(spec))
    synapses = recurrent_weights(n, UniformDelay(kind="uniform", low=1, high=5))
    current = torch.rand(40, 3, n, dtype=DOUBLE, generator=torch.Generator().manual_seed(7))
    engine = unroll
    with torch.no_grad():
        whole = engine(current, parameters, spike, synapses)
        first = engine(current[:3], parameters, spike, synapses)
        second = engine(current[3:], parameters, spike, synapses, first.state)
    assert torch.equal(whole.z, torch.cat([first.z, second.z]))
    assert torch.equal(whole.state.history, second.state.history)
    assert 0 < whole.z.mean() < 1
