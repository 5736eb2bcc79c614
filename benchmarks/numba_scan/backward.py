"""The backward scan of a layer: the chain rule through `snncore.neurons.step`, from the last step to the first.

With V = dL/dv, A = dL/da, Z = dL/dz and T = dL/dthreshold of step t, p the pseudo-derivative of the spike and W the
outgoing synapses with their delays,

    Z[t] = dL/dz[t] directly + sum_d W_d^T I'[t + d] + (1 - r) A[t+1] - threshold[t] V[t+1]
    V[t] = d V[t+1] + p Z[t]
    T[t] = -p v/threshold Z[t] - z[t] V[t+1]
    A[t] = r A[t+1] + beta T[t]
    I'[t] = g V[t]

(reset 'subtract' in the next step; the others differ in what the reset passes on). I' overwrites the potential in the
tape. Where p is zero nothing of Z is needed, and the products with W are left out.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from benchmarks.numba_scan.forward import SEGMENT, adapt
from benchmarks.numba_scan.products import LANES, add_dots, add_products, list_spikes, pack_flags


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def read_spikes(z, words, first_word):
    """Bits into floats."""
    zero, one = z.dtype.type(0), z.dtype.type(1)
    width = z.shape[0]
    for w in range((width + 63) // 64):
        word = words[first_word + w]
        low, high = np.uint32(word), np.uint32(word >> np.uint64(32))
        start = 64 * w
        for k in range(min(32, width - start)):
            z[start + k] = one if (low >> np.uint32(k)) & np.uint32(1) else zero
        for k in range(min(32, width - start - 32)):
            z[start + 32 + k] = one if (high >> np.uint32(k)) & np.uint32(1) else zero


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def pseudo_derivative(h, v, threshold, form):
    """`snncore.surrogates.pseudo_derivative` of x = (v - threshold) / threshold."""
    zero, one = h.dtype.type(0), h.dtype.type(1)
    height = form.dampening
    narrow = one / form.width
    if form.surrogate == 0:
        for j in range(h.shape[0]):
            h[j] = height * max(one - abs((v[j] - threshold[j]) / threshold[j] * narrow), zero)
    elif form.surrogate == 1:
        for j in range(h.shape[0]):
            base = one + abs((v[j] - threshold[j]) / threshold[j] * narrow)
            h[j] = height / (base * base)
    elif form.surrogate == 2:
        for j in range(h.shape[0]):
            x = (v[j] - threshold[j]) / threshold[j] * narrow
            h[j] = height / (one + x * x)
    elif form.surrogate == 3:
        half = h.dtype.type(-0.5)
        for j in range(h.shape[0]):
            x = (v[j] - threshold[j]) / threshold[j] * narrow
            h[j] = height * math.exp(half * (x * x))
    else:
        for j in range(h.shape[0]):
            h[j] = height if abs((v[j] - threshold[j]) / threshold[j] * narrow) <= one else zero


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def send_back(rows, n_lanes, first, column, target, t, active, counts, scratch):
    """rows[i] += what the neurons that i sends to have for it, for the active i only."""
    n_steps = target.tape.shape[0]
    n_post = target.by_post.shape[1]
    width = rows.shape[1]
    n_active = 0
    for lane in range(n_lanes):
        n_active += counts[lane]
    for k in range(target.delays.shape[0]):
        at = t + target.delays[k]
        if at < n_steps:
            sent = target.tape[at]
        elif at - n_steps < target.later.shape[0]:
            sent = target.later[at - n_steps]
        else:
            continue
        if n_lanes * n_post * width < n_active * (2 * n_post + 80):
            if n_lanes == LANES:
                add_products(rows, sent[first : first + LANES, :n_post], target.by_post[k, :, column : column + width])
            else:
                scratch[:, :] = 0
                for lane in range(n_lanes):
                    for j in range(n_post):
                        scratch[lane, j] = sent[first + lane, j]
                add_products(rows, scratch[:, :n_post], target.by_post[k, :, column : column + width])
        else:
            for lane in range(n_lanes):
                add_dots(
                    rows[lane],
                    target.by_pre[k, column : column + width],
                    sent[first + lane],
                    active[lane],
                    counts[lane],
                )


@njit(nogil=True, error_model="numpy", cache=True)  # type: ignore[untyped-decorator]
def backward(lanes, column, neurons, form, own, after, tape, words, marks, adjoint, given, gradients):
    """Run samples `lanes[0]` to `lanes[1]` and the neurons of a tile that starts at `column` back through all steps."""
    n_steps = tape.shape[0]
    width = neurons.decay_mem.shape[0]
    dtype = tape.dtype
    lead = words.shape[0] - n_steps
    first_word = column // 64
    zero, one = dtype.type(0), dtype.type(1)
    decay, scale, beta = neurons.decay_mem, neurons.input_scale, neurons.beta_adapt
    decay_adapt, resting = neurons.decay_adapt, neurons.v_threshold
    subtract, to_value = form.reset == 0, form.reset == 1
    same_step, attached, scaled, adaptive = form.same_step, not form.detach_reset, form.scaled, form.adaptive
    level = form.v_reset
    has_kernel, has_dense = given.kernel.shape[0] > 0, given.z.shape[0] > 0
    wants = gradients.decay_mem.shape[0] > 0

    active = np.empty((LANES, width), np.int64)
    counts = np.zeros(LANES, np.int64)
    scratch = np.zeros((LANES, max(own.by_post.shape[1], after.by_post.shape[1])), dtype)
    z = np.empty(width, dtype)
    h = np.empty((LANES, width), dtype)
    dz = np.empty((LANES, width), dtype)
    a_then = np.zeros((SEGMENT, LANES, width), dtype)
    closed = np.zeros((SEGMENT, LANES, width), np.uint8)
    threshold = np.empty(width, dtype)
    wait = np.empty(width, np.int32)
    eights = np.zeros((width + 7) // 8, np.uint64)
    flags = eights.view(np.uint8)[:width]
    bits = np.zeros((width + 63) // 64, np.uint64)
    here = slice(column, column + width)

    for first in range(lanes[0], lanes[1], LANES):
        n_lanes = min(LANES, lanes[1] - first)
        for segment in range((n_steps - 1) // SEGMENT, -1, -1):
            start, stop = segment * SEGMENT, min(n_steps, (segment + 1) * SEGMENT)
            if adaptive:
                for lane in range(n_lanes):
                    a = marks.a[segment, first + lane, here]
                    for t in range(start, stop):
                        read_spikes(z, words[t - 1 + lead, first + lane], first_word)
                        a_then[t - start, lane] = a
                        a = a_then[t - start, lane]
                        adapt(a, z, neurons)
            if form.refractory:
                for lane in range(n_lanes):
                    wait[:] = marks.wait[segment, first + lane, here]
                    for t in range(start, stop):
                        read_spikes(z, words[t + lead, first + lane], first_word)
                        for j in range(width):
                            closed[t - start, lane, j] = wait[j] != 0
                            left = wait[j] - 1 if wait[j] > 0 else wait[j]
                            wait[j] = neurons.n_refractory[j] if z[j] > zero else left

            for t in range(stop - 1, start - 1, -1):
                for lane in range(n_lanes):
                    b = first + lane
                    v = tape[t, b, here]
                    a = a_then[t - start, lane]
                    for j in range(width):
                        threshold[j] = resting[j] + beta[j] * a[j]
                    pseudo_derivative(h[lane], v, threshold, form)
                    if form.refractory:
                        for j in range(width):
                            h[lane, j] = zero if closed[t - start, lane, j] else h[lane, j]
                    for j in range(width):
                        flags[j] = h[lane, j] != zero
                    pack_flags(eights, width, bits, 0)
                    counts[lane] = list_spikes(bits, 0, bits.shape[0], active[lane])
                    for j in range(width):
                        dz[lane, j] = given.total[b, column + j]
                    if has_kernel:
                        for j in range(width):
                            dz[lane, j] += given.kernel[t] * given.weighted[b, column + j]
                    if has_dense:
                        for j in range(min(width, given.z.shape[2] - column)):
                            dz[lane, j] += given.z[t, b, column + j]
                send_back(dz, n_lanes, first, column, own, t, active, counts, scratch)
                send_back(dz, n_lanes, first, column, after, t, active, counts, scratch)
                for lane in range(n_lanes):
                    b = first + lane
                    v = tape[t, b, here]
                    a = a_then[t - start, lane]
                    dv, da = adjoint.v[b, here], adjoint.a[b, here]
                    read_spikes(z, words[t + lead, b], first_word)
                    if wants:
                        gd, gr = gradients.decay_mem[b, here], gradients.decay_adapt[b, here]
                        gt, gb = gradients.v_threshold[b, here], gradients.beta_adapt[b, here]
                        for j in range(width):
                            left = v[j]
                            if subtract and same_step:
                                left -= (resting[j] + beta[j] * a[j]) * z[j]
                            elif to_value:
                                left *= one - z[j]
                                if same_step:
                                    left += level * z[j]
                            gd[j] += dv[j] * left
                            gr[j] += da[j] * (a[j] - z[j])
                    for j in range(width):
                        now = resting[j] + beta[j] * a[j]
                        through = decay[j] * dv[j]
                        passed = through if same_step else dv[j]
                        gradient = dz[lane, j]
                        to_threshold = zero
                        if adaptive:
                            gradient += (one - decay_adapt[j]) * da[j]
                        if attached:
                            if subtract:
                                gradient -= now * passed
                                to_threshold = -z[j] * passed
                            elif to_value:
                                gradient += level * passed - v[j] * through
                        if to_value:
                            through *= one - z[j]
                        surge = gradient * h[lane, j]
                        if scaled:
                            surge /= now
                            to_threshold -= surge * v[j] / now
                        else:
                            to_threshold -= surge
                        if adaptive:
                            da[j] = decay_adapt[j] * da[j] + beta[j] * to_threshold
                        if wants:
                            gt[j] += to_threshold
                            gb[j] += to_threshold * a[j]
                        dv[j] = through + surge
                        v[j] = scale[j] * dv[j]
