"""The LSTM between spiking layers: against its equations, against torch, and what of it is trained."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncore import spec
from snncore.lstm import LSTM
from snncore.training.optimiser import make_adam

CPU = torch.device("cpu")

Array = NDArray[np.float64]


def lstm(n_inputs: int = 5, n_units: int = 4, *, name: str = "lstm_1", seed: int = 0, forget_bias: float = 1.0) -> LSTM:
    form = spec.LSTM(kind="lstm", n_units=n_units, forget_bias=forget_bias)
    return LSTM(form, n_inputs, name=name, seed=seed, dtype=torch.float64, device=CPU)


def weights(layer: LSTM) -> dict[str, Array]:
    """The weights by name, as arrays."""
    return {name: parameter.detach().numpy() for name, parameter in layer.cell.named_parameters()}


def random_input(n_steps: int, batch: int, width: int) -> Tensor:
    return torch.randn(
        n_steps, batch, width, dtype=torch.float64, device=CPU, generator=torch.Generator().manual_seed(3)
    )


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def test_an_lstm_is_its_equations() -> None:
    """i, f, o = sigmoid(W x + U h + b), g = tanh(...), c = f c + i g, h = o tanh(c), from c = h = 0."""
    layer, x = lstm(), random_input(9, 3, 5)
    p = weights(layer)
    kernels = np.split(p["weight_ih_l0"], 4)
    recurrent = np.split(p["weight_hh_l0"], 4)
    biases = np.split(p["bias_ih_l0"], 4)
    h = c = np.zeros((3, 4))
    expected = []
    for now in x.numpy():
        i, f, g, o = (now @ W.T + h @ U.T + b for W, U, b in zip(kernels, recurrent, biases, strict=True))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        expected.append(h)
    assert layer(x).detach().numpy() == pytest.approx(np.stack(expected), abs=1e-14)


def test_the_two_biases_of_torchs_lstm_are_one_here() -> None:
    theirs = torch.nn.LSTM(5, 4, dtype=torch.float64, device=CPU)
    ours, x = lstm(), random_input(9, 3, 5)
    with torch.no_grad():
        for part in ("weight_ih_l0", "weight_hh_l0"):
            getattr(ours.cell, part).copy_(getattr(theirs, part))
        ours.cell.bias_ih_l0.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
    assert torch.allclose(ours(x), theirs(x)[0], rtol=0, atol=1e-14)


def test_1200_inputs_and_30_units_have_147720_parameters_and_one_trained_bias_a_gate() -> None:
    layer = lstm(1200, 30)
    assert sum(p.numel() for p in layer.parameters() if p.requires_grad) == 147_720
    second = layer.cell.bias_hh_l0
    optimiser = make_adam(layer, spec.Adam(kind="adam", learning_rate=0.1, weight_decay=0.1))
    before = {name: value.copy() for name, value in weights(layer).items()}
    layer(random_input(3, 2, 1200)).square().sum().backward()
    optimiser.step()
    assert second.grad is None
    assert torch.count_nonzero(second) == 0
    moved = {name for name, value in weights(layer).items() if not np.array_equal(value, before[name])}
    assert moved == {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0"}


def test_initial_weights_are_glorot_orthogonal_and_remember() -> None:
    """As in Keras: the bound of the four gates as one matrix, and a forget gate that starts open."""
    p = weights(lstm(1200, 30))
    bound = math.sqrt(6 / (1200 + 4 * 30))
    drawn = np.abs(p["weight_ih_l0"])
    assert 0.999 * bound < drawn.max() <= bound
    assert drawn.mean() == pytest.approx(bound / 2, rel=0.01)  # uniform
    assert p["weight_hh_l0"].T @ p["weight_hh_l0"] == pytest.approx(np.eye(30), abs=1e-12)
    i, f, g, o = np.split(p["bias_ih_l0"], 4)
    assert f.tolist() == [1.0] * 30
    assert not np.concatenate([i, g, o, p["bias_hh_l0"]]).any()


def test_the_initial_bias_of_the_forget_gate_is_what_the_spec_says() -> None:
    assert np.split(weights(lstm(forget_bias=-2.5))["bias_ih_l0"], 4)[1].tolist() == [-2.5] * 4


@pytest.mark.parametrize("other", [{"seed": 1}, {"name": "lstm_2"}], ids=["seed", "name"])
def test_initial_weights_follow_from_the_seed_and_the_name(other: dict[str, int | str]) -> None:
    first, again, another = weights(lstm()), weights(lstm()), weights(lstm(**other))  # type: ignore[arg-type]
    for part in ("weight_ih_l0", "weight_hh_l0"):
        assert np.array_equal(first[part], again[part])
        assert not np.isin(first[part], another[part]).any()
