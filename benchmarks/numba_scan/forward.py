"""The forward scan of a layer: four samples at a time walk through all time steps."""

from __future__ import annotations

import numpy as np
from numba import njit

from benchmarks.numba_scan.products import LANES, add_products, add_rows, list_spikes, pack_flags

SEGMENT = 32
"""Steps between two marks of adaptation and refractory counters, from which the backward scan redoes them."""

DENSE_FROM = 0.5
"""Share of firing neurons from which a dense product is faster than adding row by row."""


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def receive(rows, n_lanes, first, words, step, delays, weights, spikes, counts, coefficients):
    """rows += for each delay, the weights of the neurons that fired that many steps ago."""
    n_pre = weights.shape[1]
    for k in range(delays.shape[0]):
        sent = words[step - delays[k]]
        n_spikes = 0
        for lane in range(n_lanes):
            counts[lane] = list_spikes(sent[first + lane], 0, sent.shape[1], spikes[lane])
            n_spikes += counts[lane]
        if n_spikes > DENSE_FROM * n_lanes * n_pre:
            coefficients[:, :] = 0
            for lane in range(n_lanes):
                for e in range(counts[lane]):
                    coefficients[lane, spikes[lane, e]] = 1
            add_products(rows, coefficients, weights[k])
        else:
            for lane in range(n_lanes):
                add_rows(rows[lane], weights[k], spikes[lane], counts[lane])


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def integrate(v, before, current, z, a, neurons, form):
    """The membrane potential of the next step; the operations and their order are those of `snncore.neurons.step`."""
    decay, scale, threshold, beta = neurons.decay_mem, neurons.input_scale, neurons.v_threshold, neurons.beta_adapt
    one = v.dtype.type(1)
    level = form.v_reset
    if form.reset == 0:
        if form.same_step:
            for j in range(v.shape[0]):
                drop = (threshold[j] + beta[j] * a[j]) * z[j]
                v[j] = decay[j] * (before[j] - drop) + scale[j] * current[j]
        else:
            for j in range(v.shape[0]):
                drop = (threshold[j] + beta[j] * a[j]) * z[j]
                v[j] = decay[j] * before[j] + scale[j] * current[j] - drop
    elif form.reset == 1:
        if form.same_step:
            for j in range(v.shape[0]):
                v[j] = decay[j] * (before[j] * (one - z[j]) + level * z[j]) + scale[j] * current[j]
        else:
            for j in range(v.shape[0]):
                v[j] = decay[j] * (before[j] * (one - z[j])) + level * z[j] + scale[j] * current[j]
    else:
        for j in range(v.shape[0]):
            v[j] = decay[j] * before[j] + scale[j] * current[j]


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def adapt(a, z, neurons):
    """a = r a + (1 - r) z."""
    decay = neurons.decay_adapt
    one = a.dtype.type(1)
    for j in range(a.shape[0]):
        a[j] = decay[j] * a[j] + (one - decay[j]) * z[j]


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def fire(z, flags, v, a, wait, neurons, form):
    """Spikes as floats and as bytes; counts the refractory steps down."""
    threshold, beta, n_refractory = neurons.v_threshold, neurons.beta_adapt, neurons.n_refractory
    zero, one = v.dtype.type(0), v.dtype.type(1)
    if form.inclusive:
        for j in range(v.shape[0]):
            flags[j] = v[j] >= threshold[j] + beta[j] * a[j]
    else:
        for j in range(v.shape[0]):
            flags[j] = v[j] > threshold[j] + beta[j] * a[j]
    if form.refractory:
        for j in range(v.shape[0]):
            flags[j] &= wait[j] == 0
            left = wait[j] - 1 if wait[j] > 0 else wait[j]
            wait[j] = n_refractory[j] if flags[j] else left
    for j in range(v.shape[0]):
        z[j] = one if flags[j] else zero


@njit(nogil=True, error_model="numpy", cache=True)  # type: ignore[untyped-decorator]
def forward(lanes, column, neurons, form, incoming, recurrent, tape, state, marks, sums):
    """Run samples `lanes[0]` to `lanes[1]` and the neurons of a tile that starts at `column` through all steps."""
    n_steps = tape.shape[0]
    width = neurons.decay_mem.shape[0]
    dtype = tape.dtype
    from_events = incoming.delays.shape[0] > 0
    lead = recurrent.words.shape[0] - n_steps
    first_word = column // 64
    dtype.type(0)

    n_listed = 64 * max(incoming.words.shape[2], recurrent.words.shape[2])
    spikes = np.empty((LANES, n_listed), np.int64)
    counts = np.zeros(LANES, np.int64)
    fired = np.empty(width, np.int64)
    received = np.empty((LANES, width), dtype)
    returned = np.empty((LANES, width), dtype)
    from_input = np.empty((LANES, incoming.weights.shape[1]), dtype)
    from_itself = np.empty((LANES, recurrent.weights.shape[1]), dtype)
    z = np.empty((LANES, width), dtype)
    eights = np.zeros((width + 7) // 8, np.uint64)
    flags = eights.view(np.uint8)[:width]

    for first in range(lanes[0], lanes[1], LANES):
        n_lanes = min(LANES, lanes[1] - first)
        for lane in range(n_lanes):
            z[lane] = state.z[first + lane, column : column + width]
        for t in range(n_steps):
            if from_events:
                received[:, :] = 0
                receive(
                    received,
                    n_lanes,
                    first,
                    incoming.words,
                    t + incoming.words.shape[0] - n_steps,
                    incoming.delays,
                    incoming.weights,
                    spikes,
                    counts,
                    from_input,
                )
            returned[:, :] = 0
            receive(
                returned,
                n_lanes,
                first,
                recurrent.words,
                t + lead,
                recurrent.delays,
                recurrent.weights,
                spikes,
                counts,
                from_itself,
            )
            for lane in range(n_lanes):
                b = first + lane
                v = tape[t, b, column : column + width]
                a = state.a[b, column : column + width]
                wait = state.wait[b, column : column + width]
                current = received[lane]
                if from_events:
                    for j in range(width):
                        current[j] = (current[j] + incoming.bias[j]) + returned[lane, j]
                else:
                    for j in range(width):
                        current[j] = (v[j] + incoming.bias[j]) + returned[lane, j]
                before = tape[t - 1, b, column : column + width] if t > 0 else state.v[b, column : column + width]
                integrate(v, before, current, z[lane], a, neurons, form)
                if t % SEGMENT == 0:
                    if form.adaptive:
                        marks.a[t // SEGMENT, b, column : column + width] = a
                    if form.refractory:
                        marks.wait[t // SEGMENT, b, column : column + width] = wait
                if form.adaptive:
                    adapt(a, z[lane], neurons)
                fire(z[lane], flags, v, a, wait, neurons, form)
                words = recurrent.words[t + lead, b]
                pack_flags(eights, width, words, first_word)
                n_fired = list_spikes(words, first_word, (width + 63) // 64, fired)
                for e in range(n_fired):
                    sums.total[b, column + fired[e]] += 1
                if sums.kernel.shape[0] > 0:
                    for e in range(n_fired):
                        sums.weighted[b, column + fired[e]] += sums.kernel[t]
        for lane in range(n_lanes):
            state.v[first + lane, column : column + width] = tape[n_steps - 1, first + lane, column : column + width]
            state.z[first + lane, column : column + width] = z[lane]
