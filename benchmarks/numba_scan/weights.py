"""Gradients of weights, spike by spike."""

from __future__ import annotations

import numpy as np
from numba import njit

from benchmarks.numba_scan.products import list_spikes

ROWS = 64
"""Rows of the tape, one for each step and sample, whose spikes are sorted by neuron together."""


@njit(nogil=True, error_model="numpy", cache=True)  # type: ignore[untyped-decorator]
def weight_gradient(gradient, tape, words, column, rows):
    """gradient[i] `[n_pre, width]` += sum of the rows of `tape` `[n_rows, n_post]` in which the spikes `words`
    `[n_rows, n_words]` have neuron i, columns from `column` on, in the order of the rows."""
    width = gradient.shape[1]
    n_pre = gradient.shape[0]
    n_words = words.shape[1]
    spikes = np.empty(64 * n_words, np.int64)
    starts = np.zeros(64 * n_words + 1, np.int64)
    sorted_rows = np.empty(ROWS * 64 * n_words, np.int64)
    for start in range(0, rows, ROWS):
        stop = min(rows, start + ROWS)
        starts[:] = 0
        for r in range(start, stop):
            n = list_spikes(words[r], 0, n_words, spikes)
            for e in range(n):
                starts[spikes[e] + 1] += 1
        for i in range(n_pre):
            starts[i + 1] += starts[i]
        for r in range(start, stop):
            n = list_spikes(words[r], 0, n_words, spikes)
            for e in range(n):
                i = spikes[e]
                sorted_rows[starts[i]] = r
                starts[i] += 1
        e = 0
        for i in range(n_pre):
            end = starts[i]
            if e == end:
                continue
            g = gradient[i]
            while e + 4 <= end:
                d0 = tape[sorted_rows[e], column : column + width]
                d1 = tape[sorted_rows[e + 1], column : column + width]
                d2 = tape[sorted_rows[e + 2], column : column + width]
                d3 = tape[sorted_rows[e + 3], column : column + width]
                for j in range(width):
                    g[j] = (((g[j] + d0[j]) + d1[j]) + d2[j]) + d3[j]
                e += 4
            while e < end:
                d0 = tape[sorted_rows[e], column : column + width]
                for j in range(width):
                    g[j] = g[j] + d0[j]
                e += 1
