"""Smoothed neurons: what they tend to, that their gradient is their own, and that it vanishes on the way."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from snncore import train
from snncore.engines import Layer, ReferenceEngine
from snncore.engines.cpu import FusedCpuEngine
from snncore.events import Finished
from snncore.neurons import NeuronParameters, neuron_parameters
from snncore.scan import Scan, unroll
from snncore.spec import form_of
from snncore.surrogates import spike_function
from tests.snncore.jobs import tiny_spec

CPU, DOUBLE = torch.device("cpu"), torch.float64
VALUE: dict[str, Any] = {"kind": "lif", "reset": "value"}
FORMS: dict[str, dict[str, Any]] = {
    "value": VALUE,
    "value, same step": {**VALUE, "v_reset": -0.2, "reset_timing": "same_step"},
    "subtract": {"kind": "lif"},
    "none, non-negative": {"kind": "lif", "reset": "none", "non_negative": True},
    "adaptive": {"kind": "alif", "tau_adapt_ms": 15.0, "beta_adapt": 0.8},
}


def smooth(form: dict[str, Any], output_width: float, reset_width: float | None = None) -> dict[str, Any]:
    reset = {} if form.get("reset") == "none" else {"reset_width": reset_width or output_width}
    return {**form, "smoothing": {"output_width": output_width, **reset}}


def layer(form: dict[str, Any], n: int) -> Layer:
    spec = tiny_spec(neuron=form, training={"engine": "reference"}).neuron
    return Layer(neuron_parameters(spec, n, 1.0, dtype=DOUBLE, device=CPU), spike_function(form_of(spec)))


def run(form: dict[str, Any], current: Tensor, decay: Tensor | None = None, scale: Tensor | None = None) -> Scan:
    one = layer(form, current.shape[2])
    parameters: NeuronParameters = one.neurons
    if decay is not None and scale is not None:
        parameters = replace(parameters, decay_mem=decay, input_scale=scale)
    return unroll(current, parameters, one.spike, keep_v=True)


@pytest.mark.parametrize("form", [form for name, form in FORMS.items() if name != "adaptive"])
def test_narrow_sigmoids_come_to_the_hard_neuron_wherever_it_stays_clear_of_the_threshold(form: dict[str, Any]) -> None:
    n = 2_000
    draw = torch.Generator().manual_seed(0)
    current = torch.rand(25, 1, n, dtype=DOUBLE, generator=draw) * torch.rand(n, dtype=DOUBLE, generator=draw)
    decay = torch.rand(n, dtype=DOUBLE, generator=draw)
    hard, soft = (run(f, current, decay, torch.ones(n, dtype=DOUBLE)) for f in (form, smooth(form, 1e-4)))
    assert hard.v is not None
    clear = ((hard.v - 1).abs() > 0.01).all(dim=0)[0]
    assert int(clear.sum()) > 500
    assert float(hard.z[..., clear].mean()) > 0.03
    assert float((soft.z - hard.z)[..., clear].abs().max()) < 1e-3


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_its_gradient_is_that_of_the_forward_pass(form: dict[str, Any]) -> None:
    """Autograd against central differences in double precision, also through the reset."""
    current = (0.2 + torch.rand(9, 2, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))).requires_grad_()
    decay = torch.tensor([0.5, 0.8, 0.95], dtype=DOUBLE, requires_grad=True)
    scale = torch.tensor([0.5, 0.7, 0.9], dtype=DOUBLE, requires_grad=True)

    def outputs(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        scan = run(smooth(form, 0.2, 0.1), *inputs)
        assert scan.v is not None
        return scan.z, scan.v

    assert torch.autograd.gradcheck(outputs, (current, decay, scale))


def test_the_median_gradient_vanishes_as_the_sigmoids_narrow() -> None:
    """Why there are surrogates (Gerum & Schilling 2021, section 2.3)."""
    medians = []
    for width in (0.03, 0.01, 0.003, 0.001):
        draw = torch.Generator().manual_seed(1)
        current = torch.rand(30, 500, 1, dtype=DOUBLE, generator=draw).requires_grad_()
        run(smooth(VALUE, width), 0.5 * current).z.sum().backward()  # type: ignore[no-untyped-call]
        assert current.grad is not None
        medians.append(float(current.grad.abs().median()))
    assert all(narrower < wider / 2 for wider, narrower in pairwise(medians))
    assert medians[-1] < 1e-6 * medians[0]


def test_an_extreme_potential_gives_no_nan() -> None:
    current = torch.tensor([[[1e6, -1e6]]] * 3, dtype=DOUBLE).requires_grad_()
    scan = run(smooth(VALUE, 1e-6), current)
    scan.z.sum().backward()  # type: ignore[no-untyped-call]
    assert scan.z[0, 0].tolist() == [1.0, 0.0]
    assert current.grad is not None
    assert torch.isfinite(current.grad).all()


def test_the_spikes_that_are_recorded_are_those_above_one_half() -> None:
    form = smooth({"kind": "lif", "reset": "none"}, 0.1)
    x = torch.tensor([[[0.9, 1.0, 1.1]]], dtype=DOUBLE)
    activity = ReferenceEngine()(x, [layer(form, 3)], keep_z=True)
    assert activity.spikes[0].dense(torch.bool)[0, 0].tolist() == [False, False, True]
    assert activity.totals[0].tolist()[0] == pytest.approx([0.268941, 0.5, 0.731059], abs=1e-6)


def test_the_compiled_engine_refuses_them() -> None:
    one = layer(smooth(VALUE, 0.1), 3)
    hard = layer(VALUE, 3)
    x = torch.ones(2, 1, 3, dtype=DOUBLE)
    for refused in (one, replace(one, spike=hard.spike), replace(one, neurons=hard.neurons)):
        with pytest.raises(ValueError, match="reference engine"):
            FusedCpuEngine()(x, [refused])


def test_a_network_of_them_trains() -> None:
    job = tiny_spec(
        neuron={"tau_mem_ms": 5.0, "smoothing": {"output_width": 0.2, "reset_width": 0.2}},
        training={"engine": "reference"},
    )
    (finished,) = (event for event in train(job) if isinstance(event, Finished))
    assert 0 < finished.result["metrics"]["test"]["loss"] < 2.4
