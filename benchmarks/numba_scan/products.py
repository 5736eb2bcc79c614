"""Products of weights with spikes, spike by spike: the arithmetic that the kernels of the CPU engine share.

Rows of weights are contiguous over the neurons that receive (`[n_pre, n_post]`): a spike adds a row. Sums over the
presynaptic neurons run in ascending order, one after the other, whether spike by spike or densely, so that both come
to the same bits.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LANES = 4
"""Samples that a dense product takes together, so that a row of weights is read once for all of them."""


@intrinsic  # type: ignore[untyped-decorator]
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Index of the lowest set bit of a word that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def list_spikes(words, first_word, n_words, indices):
    """Write the neurons whose bits are set into `indices`, counted from the first word; how many there are."""
    n = 0
    for w in range(n_words):
        word = words[first_word + w]
        while word != 0:
            indices[n] = 64 * w + types.int64(lowest_bit(word))
            word &= word - types.uint64(1)
            n += 1
    return n


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def pack_flags(flags, n, words, first_word):
    """Bytes 0 or 1 (read eight at a time through `flags`, uint64) into bits; `n` is a multiple of 8."""
    n_words = (n + 63) // 64
    for w in range(n_words):
        word = types.uint64(0)
        for k in range(min(8, n // 8 - 8 * w)):
            eight = flags[8 * w + k]
            word |= ((eight * types.uint64(0x0102040810204080)) >> types.uint64(56)) << types.uint64(8 * k)
        words[first_word + w] = word


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def add_rows(row, weights, indices, n):
    """row += sum over the listed rows of `weights`, in their order."""
    width = row.shape[0]
    e = 0
    while e + 4 <= n:
        w0 = weights[indices[e]]
        w1 = weights[indices[e + 1]]
        w2 = weights[indices[e + 2]]
        w3 = weights[indices[e + 3]]
        for j in range(width):
            row[j] = (((row[j] + w0[j]) + w1[j]) + w2[j]) + w3[j]
        e += 4
    while e < n:
        w0 = weights[indices[e]]
        for j in range(width):
            row[j] = row[j] + w0[j]
        e += 1


@njit(nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def add_products(rows, coefficients, weights):
    """rows `[LANES, n_post]` += coefficients `[LANES, n_pre]` @ weights `[n_pre, n_post]`."""
    n_pre = weights.shape[0]
    width = rows.shape[1]
    r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
    c = coefficients
    i = 0
    while i + 4 <= n_pre:
        wa, wb, wc, wd = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        a0, b0, c0, d0 = c[0, i], c[0, i + 1], c[0, i + 2], c[0, i + 3]
        a1, b1, c1, d1 = c[1, i], c[1, i + 1], c[1, i + 2], c[1, i + 3]
        a2, b2, c2, d2 = c[2, i], c[2, i + 1], c[2, i + 2], c[2, i + 3]
        a3, b3, c3, d3 = c[3, i], c[3, i + 1], c[3, i + 2], c[3, i + 3]
        for j in range(width):
            ja, jb, jc, jd = wa[j], wb[j], wc[j], wd[j]
            r0[j] = (((r0[j] + a0 * ja) + b0 * jb) + c0 * jc) + d0 * jd
            r1[j] = (((r1[j] + a1 * ja) + b1 * jb) + c1 * jc) + d1 * jd
            r2[j] = (((r2[j] + a2 * ja) + b2 * jb) + c2 * jc) + d2 * jd
            r3[j] = (((r3[j] + a3 * ja) + b3 * jb) + c3 * jc) + d3 * jd
        i += 4
    while i < n_pre:
        wa = weights[i]
        for j in range(width):
            r0[j] = r0[j] + c[0, i] * wa[j]
            r1[j] = r1[j] + c[1, i] * wa[j]
            r2[j] = r2[j] + c[2, i] * wa[j]
            r3[j] = r3[j] + c[3, i] * wa[j]
        i += 1


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})  # type: ignore[untyped-decorator]
def add_dots(row, weights, other, indices, n):
    """row[i] += weights[i] . other, for the listed rows i only."""
    width = other.shape[0]
    e = 0
    while e + 4 <= n:
        i0, i1, i2, i3 = indices[e], indices[e + 1], indices[e + 2], indices[e + 3]
        w0, w1, w2, w3 = weights[i0], weights[i1], weights[i2], weights[i3]
        s0 = s1 = s2 = s3 = other.dtype.type(0)
        for j in range(width):
            s0 += w0[j] * other[j]
            s1 += w1[j] * other[j]
            s2 += w2[j] * other[j]
            s3 += w3[j] * other[j]
        row[i0] += s0
        row[i1] += s1
        row[i2] += s2
        row[i3] += s3
        e += 4
    while e < n:
        i0 = indices[e]
        w0 = weights[i0]
        s0 = other.dtype.type(0)
        for j in range(width):
            s0 += w0[j] * other[j]
        row[i0] += s0
        e += 1
