"""Who takes part: a module for each contestant, imported by its worker alone.

A module has `DIFFERENCES`, for each workload that it can do what it computes other than the plain loop ("" for
nothing), and `build(workload)`, which returns the training of that workload.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Training:
    """One network in training on one batch."""

    step: Callable[[], None]
    """Forward, loss, backward and Adam; returns when all of it is done. This is what is timed."""
    loss: Callable[[], float]
    """Of the step just made, before its update."""
    firing_rate: Callable[[], float]
    """Spikes a neuron and step, over all spiking neurons. Not timed; called after a step."""


@dataclass(frozen=True)
class Contestant:
    """How to start one."""

    name: str
    title: str
    module: str
    environment: Literal["ours", "peers"]
    role: Literal["loop", "ours", "peer", "limit"]
    malloc: Literal["best", "default"] = "best"
    """`best`: run.py tries glibc's allocator both as it is and told to keep freed memory, and takes the faster."""


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("loop", "plain loop, autograd", "plain_loop", "ours", "loop"),
        # As the product runs it: nothing is set for its allocator that a user would not have.
        Contestant("fused", "snncore, fused", "fused", "ours", "ours", "default"),
        Contestant("snntorch", "snnTorch", "with_snntorch", "peers", "peer"),
        Contestant("norse", "Norse", "with_norse", "peers", "peer"),
        Contestant("spikingjelly", "SpikingJelly", "with_spikingjelly", "peers", "peer"),
        Contestant("spyx", "Spyx", "with_spyx", "peers", "peer"),
        Contestant("jax", "plain JAX scan", "with_jax", "peers", "peer"),
        Contestant("dense", "dense limit", "dense_limit", "ours", "limit"),
        # The code of `fused` on the reference engine, to tell apart what the engine does and what stands around it.
        Contestant("reference", "snncore, reference engine", "reference", "ours", "ours"),
    )
}

DEFAULT = ("loop", "fused", "snntorch", "norse", "spikingjelly", "spyx", "jax", "dense")
