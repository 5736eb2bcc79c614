/* What goes over all time steps at once: the gradients of weights, and the currents of a projection. */

#ifndef REAL
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "bits.h"

#define ROWS 256 /* steps times samples that a weight gradient takes together */
#define PANEL 64 /* columns of a dense product that it keeps close by */

#define REAL float
#define NAME(name) name##_f32
#include "weights.c"
#undef REAL
#undef NAME
#define REAL double
#define NAME(name) name##_f64
#include "weights.c"
#else

#include "scan.h"

/* gradient [n_pre, n_post] += for each presynaptic neuron, the rows [., stride] of `currents` in which the spikes have
   it, in the order of the rows; rows `start` to `stop`, postsynaptic neurons `from` to `to`. */
static void NAME(gradient_of_spikes)(const NAME(Source) *source, const REAL *currents, int64_t start, int64_t stop,
                                     int64_t n_total, int64_t n_post, int64_t stride, int64_t from, int64_t to,
                                     int32_t *spikes, int32_t *starts, int32_t *sorted) {
    const int64_t n_words = source->n_words;
    memset(starts, 0, sizeof(int32_t) * (size_t)(64 * n_words + 1));
    int64_t n_spikes = 0, last[ROWS];
    for (int64_t r = start; r < stop; r++) {
        n_spikes += list_spikes(source->words + r * n_words, n_words, spikes + n_spikes);
        last[r - start] = n_spikes;
    }
    for (int64_t e = 0; e < n_spikes; e++) starts[spikes[e] + 1]++;
    for (int64_t i = 0; i < source->n_pre; i++) starts[i + 1] += starts[i];
    for (int64_t r = 0, e = 0; r < stop - start; r++) {
        for (; e < last[r]; e++) sorted[starts[spikes[e]]++] = (int32_t)r;
    }
    for (int64_t column = from; column < to; column += 2 * PANEL) {
        const int64_t width = to - column < 2 * PANEL ? to - column : 2 * PANEL;
        /* the rows are read in the order of the neurons, which no hardware foresees: while these are added up, those of
           the same place in the next ROWS are fetched, some with each neuron */
        const int64_t lines = (width * (int64_t)sizeof(REAL) + 63) / 64, n_rows = stop - start;
        const int64_t fetched = stop + n_rows <= n_total ? n_rows * lines : 0;
        const char *next = (const char *)(currents + stop * stride + column);
        int64_t e = 0, line = 0;
        for (int64_t i = 0; i < source->n_pre; i++) {
            NAME(add_rows)(source->gradient + i * n_post + column, currents + start * stride + column, stride, width,
                           sorted + e, starts[i] - e);
            e = starts[i];
            for (; line < fetched * (i + 1) / source->n_pre; line++) {
                __builtin_prefetch(next + line / lines * stride * (int64_t)sizeof(REAL) + line % lines * 64);
            }
        }
    }
}

/* The same for numbers, PANEL columns at a time; `coefficients` and `panel` are scratch. */
static void NAME(gradient_of_numbers)(const NAME(Source) *source, const REAL *currents, int64_t start, int64_t stop,
                                      int64_t n_post, int64_t stride, int64_t from, int64_t to, REAL *coefficients,
                                      REAL *panel) {
    const int64_t n = source->n_numbers, n_groups = (n + GROUP - 1) / GROUP;
    if (start < source->silent) start = source->silent;
    if (start >= stop) return;
    const int64_t n_rows = stop - start;
    for (int64_t r = 0; r < n_rows; r++) {
        const REAL *numbers = source->numbers + (start + r) * n;
        for (int64_t i = 0; i < n_groups; i++) {
            REAL *four = coefficients + (i * n_rows + r) * GROUP;
            for (int64_t k = 0; k < GROUP; k++) four[k] = i * GROUP + k < n ? numbers[i * GROUP + k] : 0;
        }
    }
    for (int64_t column = from; column < to; column += PANEL) {
        const int64_t width = to - column < PANEL ? to - column : PANEL;
        for (int64_t r = 0; r < n_rows; r++) {
            memcpy(panel + r * width, currents + (start + r) * stride + column, sizeof(REAL) * (size_t)width);
        }
        for (int64_t i = 0; i < n_groups; i++) {
            NAME(add_products)(source->gradient + i * GROUP * n_post + column, n_post, coefficients + i * n_rows * GROUP,
                               1, GROUP, panel, width, n_rows, width);
        }
    }
}

/* Add up the gradients of all `sources` for the postsynaptic neurons `from` to `to`, so that the currents
   [n_rows, stride] are read once. The order of each sum is that of the rows. */
int NAME(weight_gradients)(const NAME(Source) *sources, int64_t n_sources, const REAL *currents, int64_t n_rows,
                           int64_t n_post, int64_t stride, int64_t from, int64_t to) {
    int64_t n_words = 0, n_numbers = 0;
    for (int64_t s = 0; s < n_sources; s++) {
        if (sources[s].words != NULL && sources[s].n_words > n_words) n_words = sources[s].n_words;
        if (sources[s].words == NULL && sources[s].n_numbers > n_numbers) n_numbers = sources[s].n_numbers;
    }
    int32_t *spikes = malloc(sizeof(int32_t) * (size_t)(ROWS * 64 * n_words + 1));
    int32_t *starts = malloc(sizeof(int32_t) * (size_t)(64 * n_words + 1));
    int32_t *sorted = malloc(sizeof(int32_t) * (size_t)(ROWS * 64 * n_words + 1));
    REAL *coefficients = NAME(floats)(n_numbers > 0 ? ROWS * (n_numbers + GROUP) : 0);
    REAL *panel = NAME(floats)(n_numbers > 0 ? ROWS * PANEL : 0);
    const int no_memory = !spikes || !starts || !sorted || !coefficients || !panel;
    for (int64_t start = 0; !no_memory && start < n_rows; start += ROWS) {
        const int64_t stop = start + ROWS < n_rows ? start + ROWS : n_rows;
        for (int64_t s = 0; s < n_sources; s++) {
            if (sources[s].words != NULL) {
                NAME(gradient_of_spikes)(&sources[s], currents, start, stop, n_rows, n_post, stride, from, to, spikes,
                                         starts, sorted);
            } else {
                NAME(gradient_of_numbers)(&sources[s], currents, start, stop, n_post, stride, from, to, coefficients,
                                          panel);
            }
        }
    }
    free(spikes), free(starts), free(sorted), free(coefficients), free(panel);
    return no_memory;
}

/* currents [n_rows, n_post] += for each row the weights [n_pre, n_post] of its spikes [n_rows, n_words]; rows `from` to
   `to`. */
int NAME(project)(REAL *currents, const REAL *weights, const uint64_t *words, int64_t n_words, int64_t n_post,
                  int64_t from, int64_t to) {
    int32_t *spikes = malloc(sizeof(int32_t) * (size_t)(64 * n_words));
    if (!spikes) return 1;
    for (int64_t r = from; r < to; r++) {
        int64_t n = list_spikes(words + r * n_words, n_words, spikes);
        NAME(add_rows)(currents + r * n_post, weights, n_post, n_post, spikes, n);
    }
    free(spikes);
    return 0;
}

#endif
