"""The equations of `snncore.plasticity.pools`, step by step in NumPy: what the compiled kernel is held to."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.plasticity.pools import NOBODY, Recorded, Shown, Weights


def present(
    job: spec.JobSpec,
    weights: Weights,
    inputs: NDArray[np.bool_],
    teachers: NDArray[np.bool_] | None = None,
    learning_rate: float = 0.0,
) -> Shown:
    """One sample: its input spikes `[T, n_inputs]`, and the teachers' `[T, N]` where `weights` are to be changed."""
    architecture, training = job.architecture, job.training
    assert isinstance(architecture, spec.DecisionPools)
    assert isinstance(training, spec.TeacherSTDP)
    real = weights.dtype.type
    neuron, decision = architecture.neuron, architecture.decision
    windows = training.calcium

    def decay(tau_ms: float) -> np.floating:
        return real(math.exp(-job.encoding.dt_ms / tau_ms))

    n = weights.shape[1]
    n_pools = n // architecture.pool_size
    v, calcium, wait = np.zeros(n, real), np.zeros(n, real), np.zeros(n, int)
    trace, accumulators = np.zeros(len(weights), real), np.zeros(n_pools, real)
    raster = np.zeros((len(inputs), n), bool)
    evidence = np.zeros((len(inputs), n_pools), real)
    response, decided = NOBODY, NOBODY

    def change(j: int, rate: float) -> None:
        changed = weights[:, j] + real(rate) * trace
        seen = trace > 0
        weights[seen, j] = np.clip(changed[seen], real(training.w_min), real(training.w_max))

    for t, z in enumerate(inputs):
        current = np.zeros(n, real)
        for i in np.flatnonzero(z):
            current += weights[i]
        v = decay(neuron.tau_mem_ms) * v + real(neuron.input_gain) * current
        fired = (v >= real(neuron.v_threshold)) & (wait == 0)
        v[fired] = neuron.v_reset
        wait = np.where(fired, neuron.n_refractory, np.maximum(wait - 1, 0))
        raster[t] = fired

        spikes = fired.reshape(n_pools, -1).sum(axis=1)
        others = real(decision.cross_inhibition) * (spikes.sum() - spikes).astype(real)
        accumulators = np.maximum(0, decay(decision.tau_ms) * accumulators + spikes.astype(real) - others)
        evidence[t] = accumulators
        if response == NOBODY and accumulators.max() >= decision.bound:
            response, decided = int(accumulators.argmax()), t
        if teachers is None:
            continue

        trace = decay(training.tau_trace_ms) * trace + z
        rises, falls = teachers[t].copy(), fired.copy()
        if windows is not None:
            calcium = decay(windows.tau_ms) * calcium + fired.astype(real) + teachers[t].astype(real)
            rises &= (calcium >= windows.up_from) & (calcium <= windows.up_to)
            falls &= (calcium >= windows.down_from) & (calcium <= windows.down_to)
        for j in np.flatnonzero(rises):
            change(int(j), learning_rate)
        for j in np.flatnonzero(falls):
            change(int(j), -learning_rate)

    counts = raster.sum(axis=0)
    no_teachers = np.zeros_like(raster)
    return Shown(
        responses=np.array([response]),
        decision_steps=np.array([decided]),
        pool_spikes=counts.reshape(1, n_pools, -1).sum(axis=2),
        neuron_spikes=counts,
        input_spikes=np.array([inputs.sum()]),
        recorded=Recorded(
            raster[None], inputs[None], (no_teachers if teachers is None else teachers)[None], evidence[None]
        ),
    )
