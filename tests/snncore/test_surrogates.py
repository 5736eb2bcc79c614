"""Surrogates: each is the derivative of a function written down here, and the form that others publish."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from snncore.spec import Surrogate, form_of
from snncore.surrogates import pseudo_derivative, spike_function
from tests.snncore.engine_cases import SURROGATES, surrogate
from tests.snncore.jobs import tiny_spec

DOUBLE = torch.float64
HEIGHT, WIDTH, LOBE_HEIGHT, LOBE_WIDTH = 0.4, 0.5, 0.3, 2.5


def phi(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def multi_gaussian(x: Tensor) -> Tensor:
    """(1 + h) N(x | 0, s^2) - h N(x | s, (a s)^2) - h N(x | -s, (a s)^2), integrated, over its integrand at 0."""
    h, a = LOBE_HEIGHT, LOBE_WIDTH
    at_zero = (1 + h - 2 * h / a * math.exp(-1 / (2 * a**2))) / (WIDTH * math.sqrt(2 * math.pi))
    lobes = phi((x - WIDTH) / (a * WIDTH)) + phi((x + WIDTH) / (a * WIDTH))
    return ((1 + h) * phi(x / WIDTH) - h * lobes) / at_zero


PRIMITIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "triangle": lambda x: x.clamp(-WIDTH, WIDTH) * (1 - x.abs().clamp_max(WIDTH) / (2 * WIDTH)),
    "fast_sigmoid": lambda x: x / (1 + x.abs() / WIDTH),
    "arctan": lambda x: WIDTH * torch.atan(x / WIDTH),
    "gaussian": lambda x: WIDTH * math.sqrt(2 * math.pi) * phi(x / WIDTH),
    "boxcar": lambda x: x.clamp(-WIDTH, WIDTH),
    "constant": lambda x: x,
    "zero": torch.zeros_like,
    "sigmoid": lambda x: 4 * WIDTH * torch.sigmoid(x / WIDTH),
    "exponential": lambda x: WIDTH * x.sign() * (1 - (-x.abs() / WIDTH).exp()),
    "multi_gaussian": multi_gaussian,
}
"""What each kind derives from, at a height of 1."""


def neuron(kind: str, **more: Any) -> Any:
    form = surrogate(kind, dampening=HEIGHT, width=WIDTH, lobe_height=LOBE_HEIGHT, lobe_width=LOBE_WIDTH)
    return form_of(tiny_spec(neuron={"kind": "lif", "surrogate": form, **more}).neuron)


def surrogate_of(kind: str, **numbers: float) -> Surrogate:
    return form_of(tiny_spec(neuron={"surrogate": surrogate(kind, **numbers)}).neuron).surrogate


def test_no_kind_is_forgotten_here() -> None:
    assert PRIMITIVES.keys() == SURROGATES.keys()


@pytest.mark.parametrize("scaling", ["scaled", "raw"])
@pytest.mark.parametrize("kind", PRIMITIVES)
def test_the_gradient_of_a_spike_is_the_central_difference_of_the_function_behind_it(kind: str, scaling: str) -> None:
    """Of its primitive P at x = (v - threshold) / threshold, or of threshold * P where the surrogate is 'raw'."""
    draw = torch.Generator().manual_seed(0)
    threshold = 0.25 + torch.rand(400, generator=draw, dtype=DOUBLE)
    x = 4 * torch.rand(400, generator=draw, dtype=DOUBLE) - 2
    x = x[((x.abs() - WIDTH).abs() > 1e-3) & (x.abs() > 1e-3)]  # there, some have a kink
    threshold = threshold[: len(x)]
    v = (threshold * (1 + x)).requires_grad_()
    spike_function(neuron(kind, surrogate_scaling=scaling))(v, threshold).sum().backward()  # type: ignore[no-untyped-call]
    eps = 1e-5

    def smooth(v: Tensor) -> Tensor:
        value = HEIGHT * PRIMITIVES[kind]((v - threshold) / threshold)
        return value if scaling == "scaled" else threshold * value

    ahead, behind = (smooth(v.detach() + step) for step in (eps, -eps))
    assert v.grad is not None
    torch.testing.assert_close(v.grad, (ahead - behind) / (2 * eps), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", sorted(SURROGATES.keys() - {"zero"}))
def test_a_surrogate_is_as_high_as_its_dampening_and_the_same_on_both_sides(kind: str) -> None:
    x = torch.tensor([0.0, 0.3, -0.3, 5.0, -5.0], dtype=DOUBLE)
    at_threshold, right, left, far, far_left = pseudo_derivative(neuron(kind).surrogate, x).tolist()
    assert at_threshold == pytest.approx(HEIGHT)
    assert (right, far) == (left, far_left)


@pytest.mark.parametrize("kind", ["sigmoid", "exponential", "gaussian", "multi_gaussian"])
def test_nothing_overflows_far_from_the_threshold(kind: str) -> None:
    x = torch.tensor([-1e6, 1e6], dtype=torch.float32)
    assert pseudo_derivative(neuron(kind).surrogate, x).tolist() == [0.0, 0.0]


def published_multi_gaussian(x: Tensor) -> Tensor:
    """Yin, Corradi & Bohte 2021 with gamma = s = 0.5, h = 0.15, a = 6."""

    def normal(mean: float, sd: float) -> Tensor:
        return (-0.5 * ((x - mean) / sd).square()).exp() / (sd * math.sqrt(2 * math.pi))

    return 0.5 * (1.15 * normal(0, 0.5) - 0.15 * normal(0.5, 3.0) - 0.15 * normal(-0.5, 3.0))


PUBLISHED: dict[str, tuple[str, float, float, Callable[[Tensor], Tensor]]] = {
    "tf_spiking flat": ("constant", 1.0, 1.0, torch.ones_like),
    "tf_spiking superspike, beta 10": ("fast_sigmoid", 1.0, 0.1, lambda x: 1 / (10 * x.abs() + 1) ** 2),
    "tf_spiking sigmoid, beta 10": (
        "sigmoid", 0.25, 0.1, lambda x: torch.sigmoid(10 * x) * (1 - torch.sigmoid(10 * x))
    ),
    "tf_spiking esser, beta 10": ("triangle", 1.0, 0.1, lambda x: (1 - 10 * x.abs()).clamp_min(0)),
    "snnTorch fast_sigmoid, slope 25": ("fast_sigmoid", 1.0, 0.04, lambda x: 1 / (25 * x.abs() + 1) ** 2),
    "snnTorch and SpikingJelly atan, alpha 2": (
        "arctan", 1.0, 1 / math.pi, lambda x: 2 / 2 / (1 + (math.pi / 2 * 2 * x).square())
    ),
    "SpikingJelly sigmoid, alpha 4": (
        "sigmoid", 1.0, 0.25, lambda x: 4 * torch.sigmoid(4 * x) * (1 - torch.sigmoid(4 * x))
    ),
    "SpikingJelly piecewise exponential, alpha 3": ("exponential", 1.5, 1 / 3, lambda x: 1.5 * (-3 * x.abs()).exp()),
    "SpikingJelly erf, alpha 2": (
        "gaussian", 2 / math.sqrt(math.pi), 1 / math.sqrt(8), lambda x: 2 / math.sqrt(math.pi) * (-4 * x.square()).exp()
    ),
    "Spyx boxcar, width 2, height 0.5": ("boxcar", 0.5, 1.0, lambda x: 0.5 * (x.abs() <= 1).to(x)),
    "Yin et al.": ("multi_gaussian", 0.43911163665655056, 0.5, published_multi_gaussian),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_forms_are_there(name: str) -> None:
    kind, dampening, width, published = PUBLISHED[name]
    x = torch.linspace(-3, 3, 1001, dtype=DOUBLE)
    found = pseudo_derivative(surrogate_of(kind, dampening=dampening, width=width), x)
    torch.testing.assert_close(found, published(x), rtol=1e-9, atol=1e-12)
