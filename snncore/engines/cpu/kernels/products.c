/* Products of weights with spikes and gradients. This file alone is compiled with fused multiply-add; in the products
   with spikes a coefficient is 0 or 1, so that it rounds nothing away.

   Sums over the presynaptic neurons run in ascending order, one after the other, whether spike by spike or densely,
   so that both come to the same bits. */

#ifndef REAL
#define REAL float
#define NAME(name) name##_f32
#define LANES 16
#include "products.c"
#undef REAL
#undef NAME
#undef LANES
#define REAL double
#define NAME(name) name##_f64
#define LANES 8
#include "products.c"
#else

#include "scan.h"

typedef REAL NAME(four) __attribute__((vector_size(4 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
typedef REAL NAME(vec) __attribute__((vector_size(64), aligned(sizeof(REAL)), may_alias));
#define vec NAME(vec)

static inline vec NAME(load)(const REAL *from) { return *(const vec *)from; }
static inline void NAME(store)(REAL *to, vec value) { *(vec *)to = value; }
#define load NAME(load)
#define store NAME(store)

static inline NAME(four) NAME(fold)(vec value) {
    const NAME(four) *quarters = (const NAME(four) *)&value;
    NAME(four) folded = quarters[0];
    for (int k = 1; k < LANES / 4; k++) folded += quarters[k];
    return folded;
}

/* row [width] += sum over the listed rows of weights [., stride], in their order */
void NAME(add_rows)(REAL *row, const REAL *weights, int64_t stride, int64_t width, const int32_t *spikes,
                    int64_t n_spikes) {
    int64_t j = 0;
    if (n_spikes == 0) return;
    for (; j + 4 * LANES <= width; j += 4 * LANES) {
        vec s0 = load(row + j), s1 = load(row + j + LANES), s2 = load(row + j + 2 * LANES),
            s3 = load(row + j + 3 * LANES);
        for (int64_t e = 0; e < n_spikes; e++) {
            const REAL *from = weights + spikes[e] * stride + j;
            s0 += load(from), s1 += load(from + LANES), s2 += load(from + 2 * LANES), s3 += load(from + 3 * LANES);
        }
        store(row + j, s0), store(row + j + LANES, s1), store(row + j + 2 * LANES, s2), store(row + j + 3 * LANES, s3);
    }
    for (; j < width; j += LANES) {
        vec s = load(row + j);
        for (int64_t e = 0; e < n_spikes; e++) s += load(weights + spikes[e] * stride + j);
        store(row + j, s);
    }
}

/* rows [4, width] += coefficients [4, n_pre] @ weights [n_pre, width] */
void NAME(add_products)(REAL *rows, const REAL *coefficients, int64_t coefficients_stride, const REAL *weights,
                        int64_t n_pre, int64_t width, int64_t weights_stride) {
    const REAL *c0 = coefficients, *c1 = c0 + coefficients_stride, *c2 = c1 + coefficients_stride,
               *c3 = c2 + coefficients_stride;
    REAL *r0 = rows, *r1 = r0 + width, *r2 = r1 + width, *r3 = r2 + width;
    int64_t j = 0;
    for (; j + 4 * LANES <= width; j += 4 * LANES) {
        vec s[4][4];
        for (int k = 0; k < 4; k++) {
            s[0][k] = load(r0 + j + k * LANES), s[1][k] = load(r1 + j + k * LANES);
            s[2][k] = load(r2 + j + k * LANES), s[3][k] = load(r3 + j + k * LANES);
        }
        for (int64_t i = 0; i < n_pre; i++) {
            const REAL *from = weights + i * weights_stride + j;
            for (int k = 0; k < 4; k++) {
                vec w = load(from + k * LANES);
                s[0][k] += c0[i] * w, s[1][k] += c1[i] * w, s[2][k] += c2[i] * w, s[3][k] += c3[i] * w;
            }
        }
        for (int k = 0; k < 4; k++) {
            store(r0 + j + k * LANES, s[0][k]), store(r1 + j + k * LANES, s[1][k]);
            store(r2 + j + k * LANES, s[2][k]), store(r3 + j + k * LANES, s[3][k]);
        }
    }
    for (; j < width; j += LANES) {
        vec s0 = load(r0 + j), s1 = load(r1 + j), s2 = load(r2 + j), s3 = load(r3 + j);
        for (int64_t i = 0; i < n_pre; i++) {
            vec w = load(weights + i * weights_stride + j);
            s0 += c0[i] * w, s1 += c1[i] * w, s2 += c2[i] * w, s3 += c3[i] * w;
        }
        store(r0 + j, s0), store(r1 + j, s1), store(r2 + j, s2), store(r3 + j, s3);
    }
}

/* row[i] += weights[i] . other [width], for the listed rows of weights only */
void NAME(add_dots)(REAL *row, const REAL *weights, const REAL *other, int64_t width, const int32_t *indices,
                    int64_t n_indices) {
    for (int64_t e = 0; e < n_indices; e += 4) {
        const int32_t i0 = indices[e], i1 = e + 1 < n_indices ? indices[e + 1] : i0,
                      i2 = e + 2 < n_indices ? indices[e + 2] : i0, i3 = e + 3 < n_indices ? indices[e + 3] : i0;
        const REAL *w0 = weights + i0 * width, *w1 = weights + i1 * width, *w2 = weights + i2 * width,
                   *w3 = weights + i3 * width;
        vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
        for (int64_t j = 0; j < width; j += LANES) {
            vec o = load(other + j);
            s0 += load(w0 + j) * o, s1 += load(w1 + j) * o, s2 += load(w2 + j) * o, s3 += load(w3 + j) * o;
        }
        NAME(four) f0 = NAME(fold)(s0), f1 = NAME(fold)(s1), f2 = NAME(fold)(s2), f3 = NAME(fold)(s3);
        row[i0] += (f0[0] + f0[1]) + (f0[2] + f0[3]);
        if (e + 1 < n_indices) row[i1] += (f1[0] + f1[1]) + (f1[2] + f1[3]);
        if (e + 2 < n_indices) row[i2] += (f2[0] + f2[1]) + (f2[2] + f2[3]);
        if (e + 3 < n_indices) row[i3] += (f3[0] + f3[1]) + (f3[2] + f3[3]);
    }
}

#undef vec
#undef load
#undef store
#endif
