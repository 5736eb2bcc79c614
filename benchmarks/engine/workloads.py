"""The four workloads: sizes, synthetic data and initial weights, as NumPy arrays from fixed seeds.

Every contestant starts from these weights and sees this data, so those that compute the same function come to the same
loss. There is nothing of snncore or torch in here: the peers run in an environment that has no snncore.

    W1  recurrent LIF, Poisson input, refractory, mean square error of the rates of four groups
    W2  LSNN (LIF and adaptive LIF) on a sequence of pixels, leaky readout, cross-entropy
    W3  feed-forward LIF 784-1000-10, Poisson input, cross-entropy of spike counts
    W4  flower network 2: dense, LIF with weights of their own, LSTM, dense; cross-entropy at every step
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

DECAY = math.exp(-1 / 20)
"""Of the membrane in a step of 1 ms, tau 20 ms; W1 to W3."""
DAMPENING = 0.3
"""Height of the triangular surrogate; W1 to W3."""
LEARNING_RATE = 1e-4
"""Small: the weights must move, the firing rate, on which the time of an event-driven engine depends, must not."""


@dataclass(frozen=True)
class Workload:
    """A network, a batch and what is asked of it."""

    name: str
    title: str
    x: Array
    """Input `[T, B, M]`: spikes (W1, W3) or numbers."""
    target: NDArray[np.float32] | NDArray[np.int64]
    """Rates in Hz `[B, 4]` (W1), classes `[B]`."""
    weights: dict[str, Array]
    """By name, `[N_post, N_pre]`, and vectors."""
    threshold: float
    n_lif: int = 0
    """W2: the neurons before this one do not adapt."""
    decay_adapt: float = 0.0
    beta_adapt: float = 0.0
    kernel: Array | None = field(default=None, repr=False)
    """Weight of each step in what is read from the last layer `[T]`: the steps that count (W1), the leaky readout's
    mean (W2). The readout is linear, so reading the sum once equals reading every step, for every contestant."""

    @property
    def n_steps(self) -> int:
        return self.x.shape[0]

    @property
    def batch(self) -> int:
        return self.x.shape[1]


W1_OUTPUTS, W1_GROUPS, W1_GROUP_SIZE, W1_WARMUP = 40, 4, 10, 30
W4_LSTM, W4_CLASSES = 30, 10


def _normal(draw: np.random.Generator, n_post: int, n_pre: int, gain: float) -> Array:
    return (draw.standard_normal((n_post, n_pre)) * (gain / math.sqrt(n_pre))).astype(np.float32)


def _recurrent(draw: np.random.Generator, n: int, gain: float) -> Array:
    weight = _normal(draw, n, n, gain)
    np.fill_diagonal(weight, 0)
    return weight


def _glorot(draw: np.random.Generator, n_post: int, n_pre: int) -> Array:
    limit = math.sqrt(6 / (n_post + n_pre))
    return draw.uniform(-limit, limit, (n_post, n_pre)).astype(np.float32)


def _poisson(draw: np.random.Generator, shape: tuple[int, int, int], rate: float) -> Array:
    return (draw.random(shape, dtype=np.float32) < rate).astype(np.float32)


def _smooth(draw: np.random.Generator, n_steps: int, batch: int, width: int, grain: int) -> Array:
    """Normal noise that changes over about `grain` steps, by linear interpolation."""
    knots = draw.standard_normal((n_steps // grain + 2, batch, width)).astype(np.float32)
    at = np.arange(n_steps) / grain
    left = at.astype(int)
    part = (at - left).astype(np.float32)[:, None, None]
    return knots[left] * (1 - part) + knots[left + 1] * part


def _w1(scale: int) -> Workload:
    draw = np.random.default_rng(1)
    n_steps, batch = 300 // scale, 50 // scale
    warmup = W1_WARMUP // scale
    return Workload(
        name="W1",
        title="recurrent LIF, 150 neurons, batch 50, T 300",
        x=_poisson(draw, (n_steps, batch, 100), 0.1),
        target=draw.uniform(20, 120, (batch, W1_GROUPS)).astype(np.float32),
        weights={"input": _normal(draw, 150, 100, 0.3), "recurrent": _recurrent(draw, 150, 0.8)},
        threshold=0.5,
        kernel=(np.arange(n_steps) >= warmup).astype(np.float32) * np.float32(1000 / (n_steps - warmup)),
    )


def _w2(scale: int) -> Workload:
    draw = np.random.default_rng(2)
    n_steps, batch, n_lif, n_alif = 784 // scale, 128 // scale, 100, 140
    n = n_lif + n_alif
    steps_left = np.arange(n_steps, 0, -1)
    return Workload(
        name="W2",
        title="LSNN on 784 pixels, 240 neurons, batch 128",
        x=np.clip(_smooth(draw, n_steps, batch, 1, 7), 0, 1),
        target=draw.integers(0, 10, batch),
        weights={
            "input": _normal(draw, n, 1, 0.138),
            "recurrent": _recurrent(draw, n, 0.5),
            "readout": _normal(draw, 10, n, 1.0),
        },
        threshold=0.6,
        n_lif=n_lif,
        decay_adapt=math.exp(-1 / 200),
        beta_adapt=1.8,
        kernel=((1 - DECAY**steps_left) / n_steps).astype(np.float32),
    )


def _w3(scale: int) -> Workload:
    draw = np.random.default_rng(3)
    n_steps, batch = 100 // scale, 128 // scale
    return Workload(
        name="W3",
        title="feed-forward LIF 784-1000-10, batch 128, T 100",
        x=_poisson(draw, (n_steps, batch, 784), 0.1),
        target=draw.integers(0, 10, batch),
        weights={"hidden": _normal(draw, 1000, 784, 2.0), "output": _normal(draw, 10, 1000, 0.4)},
        threshold=1.0,
    )


def _w4(scale: int) -> Workload:
    draw = np.random.default_rng(4)
    n_steps, batch, rows, units = 500 // scale, 16 // min(scale, 8), 1200, W4_LSTM
    recurrent, _ = np.linalg.qr(draw.standard_normal((4 * units, units)))
    bias = np.zeros(4 * units, dtype=np.float32)
    bias[units : 2 * units] = 1  # the forget gate starts open
    return Workload(
        name="W4",
        title="flower network 2: 1200 inputs, 1200 LIF units, LSTM 30, batch 16, T 500",
        x=1 / (1 + np.exp(-2 * _smooth(draw, n_steps, batch, rows, 10))),
        target=draw.integers(0, W4_CLASSES, batch),
        weights={
            "dense": _glorot(draw, rows, rows),
            "dense_bias": np.zeros(rows, dtype=np.float32),
            "w_in": np.full(rows, 0.3, dtype=np.float32),
            "w_leak": np.full(rows, 0.1, dtype=np.float32),
            "lstm_input": _glorot(draw, 4 * units, rows),
            "lstm_recurrent": recurrent.astype(np.float32),
            "lstm_bias": bias,
            "hidden": _glorot(draw, units, units),
            "hidden_bias": np.zeros(units, dtype=np.float32),
            "output": _glorot(draw, W4_CLASSES, units),
            "output_bias": np.zeros(W4_CLASSES, dtype=np.float32),
        },
        threshold=1.0,
    )


WORKLOADS: dict[str, Callable[[int], Workload]] = {"W1": _w1, "W2": _w2, "W3": _w3, "W4": _w4}


def make(name: str, scale: int = 1) -> Workload:
    """The workload; batch and number of steps divided by `scale`, to try a contestant out."""
    return WORKLOADS[name](scale)


@dataclass(frozen=True)
class Product:
    """A dense product `[rows, inner] @ [inner, columns]`."""

    rows: int
    inner: int
    columns: int


def dense_products(work: Workload) -> list[Product]:
    """The products of one training step, if no zero were skipped and all steps were done in one go.

    Forward `Y = X W^T`, the gradient of the weights `dY^T X`, and that of the input `dY W` where something before it
    learns. The LSTM's own recurrence and the readouts that need one product a batch are left out: this is a lower
    bound of what dense arithmetic costs.
    """
    rows = work.n_steps * work.batch
    products = []
    layers = {
        "W1": [("input", False), ("recurrent", True)],
        "W2": [("input", False), ("recurrent", True)],
        "W3": [("hidden", False), ("output", True)],
        "W4": [("dense", False), ("lstm_input", True), ("hidden", True), ("output", True)],
    }[work.name]
    for layer, needs_input_gradient in layers:
        n_post, n_pre = work.weights[layer].shape
        products += [Product(rows, n_pre, n_post), Product(n_post, rows, n_pre)]
        if needs_input_gradient:
            products.append(Product(rows, n_post, n_pre))
    return products
