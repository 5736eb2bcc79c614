"""What the contestants that are made of JAX share: a compiled step with Adam, the losses and the end of W4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.engine import workloads
from benchmarks.engine.contestants import Training
from benchmarks.engine.workloads import Workload

Weights = Any
"""A tree of arrays."""
Spiking = Callable[[Weights, jax.Array], list[jax.Array]]
"""Weights and input `[T, B, M]` to the spikes of all layers."""


def training(work: Workload, weights: Weights, spiking: Spiking) -> Training:
    """`weights` are the library's; those that come after the spiking layers are added here.

    The whole step, Adam included, is one compiled function that gives its buffers on to the next.
    """
    x, target = jnp.asarray(work.x), jnp.asarray(work.target)
    after = {
        "W1": (),
        "W2": ("readout",),
        "W3": (),
        "W4": ("lstm_input", "lstm_recurrent", "lstm_bias", "hidden", "hidden_bias", "output", "output_bias"),
    }[work.name]
    both = (weights, {name: jnp.asarray(work.weights[name]) for name in after})
    adam = optax.adam(workloads.LEARNING_RATE)
    kernel = None if work.kernel is None else jnp.asarray(work.kernel)

    def loss_of(both: Weights, x: jax.Array, target: jax.Array) -> jax.Array:
        layers, rest = both
        z = spiking(layers, x)[-1]
        if work.name == "W4":
            logits = _after_flower(rest, z)
            labels = jnp.broadcast_to(target, logits.shape[:2])
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        if kernel is None:
            return optax.softmax_cross_entropy_with_integer_labels(z.sum(axis=0), target).mean()
        weighted = jnp.einsum("t,tbn->bn", kernel, z)
        if work.name == "W2":
            return optax.softmax_cross_entropy_with_integer_labels(weighted @ rest["readout"].T, target).mean()
        groups = weighted[:, -workloads.W1_OUTPUTS :].reshape(-1, workloads.W1_GROUPS, workloads.W1_GROUP_SIZE)
        return jnp.square(groups.mean(axis=2) - target).mean()

    def update(both: Weights, moments: Any, x: jax.Array, target: jax.Array) -> tuple[Weights, Any, jax.Array]:
        loss, gradients = jax.value_and_grad(loss_of)(both, x, target)
        changes, moments = adam.update(gradients, moments, both)
        return optax.apply_updates(both, changes), moments, loss

    compiled = jax.jit(update, donate_argnums=(0, 1))
    mean_rate = jax.jit(
        lambda both, x: sum(z.sum() for z in spiking(both[0], x)) / sum(z.size for z in spiking(both[0], x))
    )
    now: dict[str, Any] = {"both": both, "moments": adam.init(both)}

    def step() -> None:
        now["both"], now["moments"], now["loss"] = jax.block_until_ready(
            compiled(now["both"], now["moments"], x, target)
        )

    return Training(step, loss=lambda: float(now["loss"]), firing_rate=lambda: float(mean_rate(now["both"], x)))


def _after_flower(rest: dict[str, jax.Array], z: jax.Array) -> jax.Array:
    """W4 after its spikes: LSTM (input projected before the scan), two dense layers, logits `[T, B, 10]`."""
    units = workloads.W4_LSTM

    def cell(carry: tuple[jax.Array, jax.Array], current: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        h, c = carry
        i, f, g, o = jnp.split(current + h @ rest["lstm_recurrent"].T, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    start = jnp.zeros((z.shape[1], units))
    _, h = jax.lax.scan(cell, (start, start), z @ rest["lstm_input"].T + rest["lstm_bias"])
    return (h @ rest["hidden"].T + rest["hidden_bias"]) @ rest["output"].T + rest["output_bias"]
