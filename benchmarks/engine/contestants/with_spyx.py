"""Spyx: its neurons as flax modules, run over time by its `run` (`jax.lax.scan`), the training step compiled.

Input is projected before the scan, which its recurrent neurons ask for and is the faster way for the others too. Decays
that the workload does not learn are left out of the gradient.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import spyx
import spyx.nn
from flax import nnx
from spyx import axn

from benchmarks.engine import workloads
from benchmarks.engine.contestants import Training, jax_training
from benchmarks.engine.workloads import Workload

DIFFERENCES = {
    "W1": "no refractory period; autapses; a spike is seen one step later",
    "W2": "autapses; a spike is seen, and fed back, one step later",
    "W3": "a spike is seen one step later",
    "W4": "a spike subtracts the threshold; it is seen one step later",
}


def _triangle(threshold: float) -> axn.Activation:
    slope = workloads.DAMPENING / threshold
    return axn.custom(lambda distance: slope * jnp.maximum(0, 1 - jnp.abs(distance) / threshold))


class RecurrentALIF(nnx.Module):
    """Spyx's ALIF with recurrent weights around it: it has no such neuron of its own.

    Spyx adds the trace of the spikes to the threshold as it is; dividing all potentials by beta_adapt makes that ours.
    A trace that never grows (gamma 1) makes a LIF neuron.
    """

    def __init__(self, work: Workload) -> None:
        n = work.weights["recurrent"].shape[0]
        threshold = work.threshold / work.beta_adapt
        self.n = n
        self.cell = spyx.nn.ALIF(
            (n,), beta=workloads.DECAY, threshold=threshold, activation=_triangle(threshold), rngs=nnx.Rngs(0)
        )
        self.cell.gamma = nnx.Param(jnp.where(jnp.arange(n) >= work.n_lif, work.decay_adapt, 1.0))
        self.recurrent_w = nnx.Param(jnp.asarray(work.weights["recurrent"].T / np.float32(work.beta_adapt)))

    def initial_state(self, batch_size: int) -> Any:
        return jnp.zeros((batch_size, self.n)), self.cell.initial_state(batch_size)

    def __call__(self, x: jax.Array, state: Any) -> tuple[jax.Array, Any]:
        z, inner = state
        z, inner = self.cell(x + z @ self.recurrent_w[...], inner)
        return z, (z, inner)


class Net(nnx.Module):
    """Projections and the neurons behind each."""

    def __init__(self, weights: list[np.ndarray], cells: list[nnx.Module]) -> None:
        self.weights = nnx.List([nnx.Param(jnp.asarray(weight.T)) for weight in weights])
        self.cells = nnx.List(cells)

    def __call__(self, x: jax.Array) -> list[jax.Array]:
        spikes = []
        for weight, cell in zip(self.weights, self.cells, strict=True):
            x, _ = spyx.nn.run(cell, x @ weight[...])
            spikes.append(x)
        return spikes


class Flower(nnx.Module):
    """W4's dense layer and its units, each with an input weight and a leak."""

    def __init__(self, work: Workload) -> None:
        w = work.weights
        self.dense = nnx.Param(jnp.asarray(w["dense"].T))
        self.bias = nnx.Param(jnp.asarray(w["dense_bias"]))
        self.w_in = nnx.Param(jnp.asarray(w["w_in"]))
        flat = axn.custom(jnp.ones_like)
        self.cell = spyx.nn.LIF(w["w_in"].shape, threshold=work.threshold, activation=flat, rngs=nnx.Rngs(0))
        self.cell.beta = nnx.Param(jnp.asarray(1 - w["w_leak"]))

    def __call__(self, x: jax.Array) -> list[jax.Array]:
        current = self.w_in[...] * (x @ self.dense[...] + self.bias[...])
        return [spyx.nn.run(self.cell, current)[0]]


def _net(work: Workload) -> nnx.Module:
    w, threshold = work.weights, work.threshold
    activation = _triangle(threshold)
    if work.name == "W1":
        cell = spyx.nn.RLIF((150,), beta=workloads.DECAY, threshold=threshold, activation=activation, rngs=nnx.Rngs(0))
        cell.recurrent_w = nnx.Param(jnp.asarray(w["recurrent"].T))
        return Net([w["input"]], [cell])
    if work.name == "W2":
        return Net([w["input"] / np.float32(work.beta_adapt)], [RecurrentALIF(work)])
    if work.name == "W3":
        cells = [
            spyx.nn.LIF((n,), beta=workloads.DECAY, threshold=threshold, activation=activation, rngs=nnx.Rngs(0))
            for n in (1000, 10)
        ]
        return Net([w["hidden"], w["output"]], cells)
    return Flower(work)


def build(work: Workload) -> Training:
    def learned(path: tuple[Any, ...], _value: Any) -> bool:
        return work.name == "W4" or not {"beta", "gamma"} & set(path)

    definition, weights, fixed = nnx.split(_net(work), learned, ...)
    return jax_training.training(work, weights, lambda weights, x: nnx.merge(definition, weights, fixed)(x))


def versions() -> dict[str, str]:
    return {"spyx": spyx.__version__, "jax": jax.__version__}
