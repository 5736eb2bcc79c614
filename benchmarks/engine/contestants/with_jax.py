"""JAX without a library for spiking networks: `jax.lax.scan` over the very equations of snncore, compiled."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.engine import workloads
from benchmarks.engine.contestants import Training, jax_training
from benchmarks.engine.workloads import Workload

Step = tuple[tuple[jax.Array, ...], jax.Array]
"""The state after a step, and its spikes."""

DIFFERENCES = {"W1": "", "W2": "", "W3": "", "W4": ""}


@jax.custom_gradient
def _triangle(x: jax.Array) -> tuple[jax.Array, Any]:
    return (x >= 0).astype(x.dtype), lambda g: g * workloads.DAMPENING * jnp.maximum(0, 1 - jnp.abs(x))


@jax.custom_gradient
def _flat(x: jax.Array) -> tuple[jax.Array, Any]:
    return (x >= 0).astype(x.dtype), lambda g: g


def _recurrent(work: Workload) -> tuple[dict[str, jax.Array], jax_training.Spiking]:
    n = work.weights["recurrent"].shape[0]
    beta = jnp.where(jnp.arange(n) >= work.n_lif, work.beta_adapt, 0.0) if work.name == "W2" else None
    others = 1 - jnp.eye(n)

    def spiking(weights: dict[str, jax.Array], x: jax.Array) -> list[jax.Array]:
        back = (weights["recurrent"] * others).T

        def refractory(carry: tuple[jax.Array, jax.Array], current: jax.Array) -> Step:
            v, z = carry
            v = workloads.DECAY * v + current + z @ back - work.threshold * z
            # One refractory step: whoever has just fired does not. The mask carries no gradient.
            z = _triangle((v - work.threshold) / work.threshold) * jax.lax.stop_gradient(1 - z)
            return (v, z), z

        def adaptive(carry: tuple[jax.Array, jax.Array, jax.Array], current: jax.Array) -> Step:
            v, z, a = carry
            v = workloads.DECAY * v + current + z @ back - (work.threshold + beta * a) * z
            a = work.decay_adapt * a + (1 - work.decay_adapt) * z
            threshold = work.threshold + beta * a
            z = _triangle((v - threshold) / threshold)
            return (v, z, a), z

        start = jnp.zeros((x.shape[1], n))
        currents = x @ weights["input"].T
        if work.name == "W1":
            return [jax.lax.scan(refractory, (start, start), currents)[1]]
        return [jax.lax.scan(adaptive, (start, start, start), currents)[1]]

    return {name: jnp.asarray(work.weights[name]) for name in ("input", "recurrent")}, spiking


def _feed_forward(work: Workload) -> tuple[dict[str, jax.Array], jax_training.Spiking]:
    def layer(current: jax.Array) -> jax.Array:
        def cell(carry: tuple[jax.Array, jax.Array], current: jax.Array) -> Step:
            v, z = carry
            v = workloads.DECAY * v + current - work.threshold * z
            z = _triangle((v - work.threshold) / work.threshold)
            return (v, z), z

        start = jnp.zeros(current.shape[1:])
        return jax.lax.scan(cell, (start, start), current)[1]

    def spiking(weights: dict[str, jax.Array], x: jax.Array) -> list[jax.Array]:
        z = layer(x @ weights["hidden"].T)
        return [z, layer(z @ weights["output"].T)]

    return {name: jnp.asarray(work.weights[name]) for name in ("hidden", "output")}, spiking


def _flower(work: Workload) -> tuple[dict[str, jax.Array], jax_training.Spiking]:
    def spiking(weights: dict[str, jax.Array], x: jax.Array) -> list[jax.Array]:
        def cell(carry: tuple[jax.Array, jax.Array], current: jax.Array) -> Step:
            v, z = carry
            v = (1 - weights["w_leak"]) * v * (1 - jax.lax.stop_gradient(z)) + current
            z = _flat(v - work.threshold)
            return (v, z), z

        start = jnp.zeros((x.shape[1], weights["w_in"].size))
        currents = weights["w_in"] * (x @ weights["dense"].T + weights["dense_bias"])
        return [jax.lax.scan(cell, (start, start), currents)[1]]

    return {name: jnp.asarray(work.weights[name]) for name in ("dense", "dense_bias", "w_in", "w_leak")}, spiking


def build(work: Workload) -> Training:
    make = {"W1": _recurrent, "W2": _recurrent, "W3": _feed_forward, "W4": _flower}[work.name]
    return jax_training.training(work, *make(work))


def versions() -> dict[str, str]:
    return {"jax": jax.__version__}
