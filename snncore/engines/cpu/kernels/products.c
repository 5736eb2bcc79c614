/* Products of weights with spikes and gradients. This file alone is compiled with fused multiply-add; in the products
   with spikes a coefficient is 0 or 1, so that it rounds nothing away.

   Sums over the presynaptic neurons run in ascending order, one after the other, whether spike by spike or densely,
   so that both come to the same bits. */

#ifndef REAL
#define MOST_VECTORS 16 /* of a row that stay in registers together */
#define BLOCK 16        /* rows of weights that stay in the first-level cache together; divides 64 */

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
    for (; j + 8 * LANES <= width; j += 8 * LANES) {
        vec s[8];
        for (int k = 0; k < 8; k++) s[k] = load(row + j + k * LANES);
        for (int64_t e = 0; e < n_spikes; e++) {
            const REAL *from = weights + spikes[e] * stride + j;
            for (int k = 0; k < 8; k++) s[k] += load(from + k * LANES);
        }
        for (int k = 0; k < 8; k++) store(row + j + k * LANES, s[k]);
    }
    for (; j + 4 * LANES <= width; j += 4 * LANES) {
        vec s[4];
        for (int k = 0; k < 4; k++) s[k] = load(row + j + k * LANES);
        for (int64_t e = 0; e < n_spikes; e++) {
            const REAL *from = weights + spikes[e] * stride + j;
            for (int k = 0; k < 4; k++) s[k] += load(from + k * LANES);
        }
        for (int k = 0; k < 4; k++) store(row + j + k * LANES, s[k]);
    }
    for (; j < width; j += LANES) {
        vec s = load(row + j);
        for (int64_t e = 0; e < n_spikes; e++) s += load(weights + spikes[e] * stride + j);
        store(row + j, s);
    }
}

/* rows [4, width] += c @ weights [n, width], where c[k, i] is coefficients[k * c_row + i * c_step] */
void NAME(add_products)(REAL *rows, int64_t rows_stride, const REAL *coefficients, int64_t c_row, int64_t c_step,
                        const REAL *weights, int64_t weights_stride, int64_t n, int64_t width) {
    const REAL *c0 = coefficients, *c1 = c0 + c_row, *c2 = c1 + c_row, *c3 = c2 + c_row;
    REAL *r0 = rows, *r1 = r0 + rows_stride, *r2 = r1 + rows_stride, *r3 = r2 + rows_stride;
    int64_t j = 0;
    for (; j + 4 * LANES <= width; j += 4 * LANES) {
        vec s0[4], s1[4], s2[4], s3[4];
        for (int k = 0; k < 4; k++) {
            const int64_t at = j + k * LANES;
            s0[k] = load(r0 + at), s1[k] = load(r1 + at), s2[k] = load(r2 + at), s3[k] = load(r3 + at);
        }
        const REAL *from = weights + j;
        for (int64_t i = 0; i < n; i++, from += weights_stride) {
            const REAL a = c0[i * c_step], b = c1[i * c_step], c = c2[i * c_step], d = c3[i * c_step];
            for (int k = 0; k < 4; k++) {
                const vec w = load(from + k * LANES);
                s0[k] += a * w, s1[k] += b * w, s2[k] += c * w, s3[k] += d * w;
            }
        }
        for (int k = 0; k < 4; k++) {
            const int64_t at = j + k * LANES;
            store(r0 + at, s0[k]), store(r1 + at, s1[k]), store(r2 + at, s2[k]), store(r3 + at, s3[k]);
        }
    }
    for (; j < width; j += LANES) {
        vec s0 = load(r0 + j), s1 = load(r1 + j), s2 = load(r2 + j), s3 = load(r3 + j);
        for (int64_t i = 0; i < n; i++) {
            const vec w = load(weights + i * weights_stride + j);
            s0 += c0[i * c_step] * w, s1 += c1[i * c_step] * w, s2 += c2[i * c_step] * w, s3 += c3[i * c_step] * w;
        }
        store(r0 + j, s0), store(r1 + j, s1), store(r2 + j, s2), store(r3 + j, s3);
    }
}

/* rows[g, i] += weights[i] . others[g] over `n_vec` vectors, for each sample g and the neurons i of a block whose bits
   are set. A sample's numbers stay in registers, and the block of weights in the first-level cache. */
static inline __attribute__((always_inline)) void NAME(block_of_dots)(const int n_vec, REAL *rows, int64_t rows_stride,
                                                                      const REAL *weights, const REAL *others,
                                                                      int64_t width, const uint64_t *active,
                                                                      int64_t n_words, int64_t n_group, int64_t first) {
    for (int64_t g = 0; g < n_group; g++) {
        uint64_t bits = active[g * n_words + first / 64] >> (first % 64) & ((1u << BLOCK) - 1);
        if (bits == 0) continue;
        vec other[MOST_VECTORS];
        for (int k = 0; k < n_vec; k++) other[k] = load(others + g * width + k * LANES);
        for (; bits != 0; bits &= bits - 1) {
            const int64_t i = first + __builtin_ctzll(bits);
            vec s[3] = {{0}};
            for (int k = 0; k < n_vec; k++) s[k % 3] += other[k] * load(weights + i * width + k * LANES);
            const NAME(four) folded = NAME(fold)(s[0] + s[1] + s[2]);
            rows[g * rows_stride + i] += (folded[0] + folded[1]) + (folded[2] + folded[3]);
        }
    }
}

/* rows[g, i] += weights[i] . others[g] for each sample g of the group and the neurons i whose bits are set in
   active[g]; rows [4, rows_stride], weights [., width], others [4, width], active [4, n_words] */
void NAME(add_dots)(REAL *rows, int64_t rows_stride, const REAL *weights, const REAL *others, int64_t width,
                    const uint64_t *active, int64_t n_words, int64_t n_group) {
    for (int64_t j = 0; j < width; j += MOST_VECTORS * LANES) {
        const int64_t n_vec = (width - j < MOST_VECTORS * LANES ? width - j : MOST_VECTORS * LANES) / LANES;
        for (int64_t first = 0; first < 64 * n_words; first += BLOCK) {
            switch (n_vec) {
#define VECTORS(n)                                                                                                     \
    case n:                                                                                                            \
        NAME(block_of_dots)(n, rows, rows_stride, weights + j, others + j, width, active, n_words, n_group, first);    \
        break;
                VECTORS(1) VECTORS(2) VECTORS(3) VECTORS(4) VECTORS(5) VECTORS(6) VECTORS(7) VECTORS(8)
                VECTORS(9) VECTORS(10) VECTORS(11) VECTORS(12) VECTORS(13) VECTORS(14) VECTORS(15) VECTORS(16)
#undef VECTORS
            }
        }
    }
}

/* rows[g, i] += the values of the synapses of sender `column` + i times the numbers ahead[place, g], for the neurons i
   whose bits are set in any sample; rows [4, rows_stride], ahead [., 4], active [4, n_words] */
void NAME(add_listed)(REAL *rows, int64_t rows_stride, const NAME(Listed) *listed, int64_t column, const REAL *ahead,
                      const uint64_t *active, int64_t n_words, int64_t n_group) {
    const NAME(four) *numbers = (const NAME(four) *)ahead;
    for (int64_t w = 0; w < n_words; w++) {
        uint64_t bits = 0;
        for (int64_t g = 0; g < n_group; g++) bits |= active[g * n_words + w];
        for (; bits != 0; bits &= bits - 1) {
            const int64_t i = 64 * w + __builtin_ctzll(bits), stop = listed->starts[column + i + 1];
            const REAL *values = listed->values;
            const int32_t *places = listed->places;
            NAME(four) s[4] = {{0}};
            int64_t e = listed->starts[column + i];
            for (; e + 4 <= stop; e += 4) {
                for (int k = 0; k < 4; k++) s[k] += values[e + k] * numbers[places[e + k]];
            }
            for (; e < stop; e++) s[0] += values[e] * numbers[places[e]];
            const NAME(four) sum = (s[0] + s[1]) + (s[2] + s[3]);
            for (int64_t g = 0; g < n_group; g++) rows[g * rows_stride + i] += sum[g];
        }
    }
}

#undef vec
#undef load
#undef store
#endif
