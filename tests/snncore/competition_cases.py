"""A small network of Diehl & Cook (2015), what it is shown, and what comes of it.

`numpy_competition` runs it step by step in plain loops, `brian_competition` in brian2, by brian2's own rules.
Potentials are in mV, conductances in units of the leak's, times in ms: nothing here depends on a time step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Raster = NDArray[np.bool_]


@dataclass(frozen=True)
class Population:
    """tau dV/dt = (v_rest - V) + g_e (e_exc - V) + g_i (e_inh - V), tau_g dg/dt = -g."""

    tau_ms: float
    v_rest: float
    v_reset: float
    v_threshold: float
    refractory_ms: float
    e_exc: float
    e_inh: float
    tau_exc_ms: float = 1.0
    tau_inh_ms: float = 2.0


EXCITATORY = Population(100.0, -65.0, -65.0, -72.0, 5.0, 0.0, -100.0)
"""`v_threshold` is for a theta of 0."""
INHIBITORY = Population(10.0, -60.0, -45.0, -40.0, 2.0, 0.0, -85.0)


@dataclass(frozen=True)
class Rule:
    """How the weights of the input learn. Rates are per spike; what a rule does not use is ignored.

    `rectangular` reads `eta_post` and `beta` for its alpha_plus and beta_plus.
    """

    kind: Literal["triplet", "pair", "power", "exponential", "symmetric", "rectangular"]
    eta_pre: float = 0.01
    eta_post: float = 0.1
    x_tar: float = 0.4
    mu: float = 0.9
    beta: float = 3.0
    alpha_minus: float = 0.05
    beta_minus: float = 2.0
    window_ms: float = 20.0
    tau_pre_ms: float = 20.0
    tau_post_ms: float = 20.0
    tau_post_slow_ms: float = 40.0
    additive: bool = False
    """Whether a spike adds 1 to its traces, or sets them to 1."""


KINDS = ("triplet", "pair", "power", "exponential", "symmetric", "rectangular")
RULES = {kind: Rule(kind) for kind in KINDS}


@dataclass(frozen=True)
class Case:
    """A network at rest, without conductances and traces, and the spikes that it is shown."""

    times_ms: Floats
    """Of the input spikes `[S]`."""
    sources: NDArray[np.int64]
    """Which inputs they are of `[S]`."""
    weights: Floats
    """`[n_inputs, n]`, between 0 and 1."""
    delays_ms: Floats
    """Of the same synapses `[n_inputs, n]`."""
    theta: Floats
    """What the thresholds of the excitatory neurons have on top `[n]`."""
    duration_ms: float
    rule: Rule | None = None
    """Without one nothing changes: neither weights nor theta."""
    w_exc_inh: float = 10.4
    w_inh_exc: float = 17.0
    theta_plus: float = 0.05
    tau_theta_ms: float = 1e7
    exc: Population = EXCITATORY
    inh: Population | None = INHIBITORY
    """None: a spike adds `w_inh_exc` to the inhibition of all other neurons itself."""
    one_spike: bool = False
    """Whether of the neurons above threshold in a step only the one farthest above it fires."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case with steps of `dt_ms`. Arrays are `[T, n]` but where it says otherwise."""

    dt_ms: float
    spikes: Raster
    spikes_inh: Raster
    """Of the inhibitory neurons; none where there are no such neurons."""
    v: Floats
    """At the end of each step, after a reset."""
    g_exc: Floats
    """What moves the potentials in a step, of the excitatory neurons: with all that has arrived at its start."""
    g_inh: Floats
    weights: Floats
    """`[n_inputs, n]`, at the end."""
    theta: Floats
    """`[n]`, at the end."""

    def spike_times_ms(self, neuron: int) -> Floats:
        """Of an excitatory neuron: a spike is found at the end of its step."""
        return (np.flatnonzero(self.spikes[:, neuron]) + 1.0) * self.dt_ms


def noisy(seed: int, **fields: Any) -> Case:
    """Poisson input at 20 synapses of each of five neurons for 200 ms, on a grid of 0.5 ms.

    Thresholds move by 0.5 mV a spike, and inhibition is weaker than in the paper, so that all of them get to fire.
    """
    generator = np.random.default_rng(seed)
    n_inputs, n, n_slots, slot_ms, rate_hz = 20, 5, 400, 0.5, 60.0
    slots, sources = np.nonzero(generator.random((n_slots, n_inputs)) < rate_hz * slot_ms / 1000)
    case = Case(
        times_ms=slots * slot_ms,
        sources=sources.astype(np.int64),
        weights=generator.uniform(0.1, 1.0, (n_inputs, n)),
        delays_ms=slot_ms * generator.integers(0, 21, (n_inputs, n)),
        theta=generator.uniform(11.0, 12.0, n),
        duration_ms=n_slots * slot_ms,
        w_inh_exc=1.5,
        theta_plus=0.5,
    )
    return replace(case, **fields)
