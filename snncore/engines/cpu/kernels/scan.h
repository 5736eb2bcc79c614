/* What the kernels share with `snncore.engines.cpu.native`: the same structs, field by field, in the same order.

   B samples, T steps of a chunk, N neurons padded to a multiple of 8. Arrays are contiguous, the last axis fastest;
   spikes are bits, 64 neurons a word, neuron i in bit i % 64 of word i / 64. */

#include <stdint.h>
#include <stdlib.h>

#define GROUP 4 /* samples that walk together; the dense products are written for as many */

/* Memory for `n` numbers, aligned to a line of the cache; null where there is none. */
static inline REAL *NAME(floats)(int64_t n) {
    void *memory = NULL;
    return posix_memalign(&memory, 64, (size_t)(n > 0 ? n : 1) * sizeof(REAL)) ? NULL : memory;
}

/* The synapses that exist, sender by sender: those of neuron i are starts[i] to starts[i + 1]. A synapse of delay d onto
   neuron j has the place (d - shortest) * n_post + j, where d - shortest is less than `span`. */
typedef struct {
    const int64_t *starts;
    const int32_t *places;
    const REAL *values;
    int64_t shortest, span;
} NAME(Listed);

/* Synapses that take spikes or numbers. words [lead + T, B, n_words] begins `lead` steps before the chunk; numbers
   [., B, n_numbers] begins with the presentation, `start` steps before the chunk, or is null;
   weights [n_delays, n_pre, width], for the neurons of one tile, or null where the synapses are listed. */
typedef struct {
    const uint64_t *words;
    const REAL *numbers;
    int64_t n_words, lead, n_numbers, start, n_pre, n_delays;
    const int64_t *delays;
    const REAL *weights;
    NAME(Listed) listed;
} NAME(Synapses);

/* Synapses seen from the neurons that send: gradient [T, B, n_post] of the currents of the neurons they end on, and
   `later` [n_later, B, n_post], the same for the steps after the chunk. The weights lie here twice, by the sender
   [n_delays, n_pre, n_post] and by the receiver [n_delays, n_post, n_pre], or they are null and the synapses listed. */
typedef struct {
    const REAL *gradient, *later;
    int64_t n_later, n_pre, n_post, n_delays;
    const int64_t *delays;
    const REAL *by_sender, *by_receiver;
    NAME(Listed) listed;
} NAME(Feedback);

typedef struct {
    int64_t n_steps, batch, stride, column, width;
    /* the tape [T, B, stride]: currents, then potentials, then gradients of the currents */
    REAL *tape;
    /* own spikes [lead + T, B, n_words] */
    uint64_t *words;
    int64_t n_words, lead;

    /* neurons [stride], and what they share */
    const REAL *decay_mem, *input_scale, *v_threshold, *decay_adapt, *beta_adapt;
    const int32_t *n_refractory;
    int64_t reset; /* 0 subtract, 1 value, 2 none */
    int64_t same_step, detach_reset, adaptive, refractory, inclusive, non_negative;
    /* 0 triangle, 1 fast_sigmoid, 2 arctan, 3 gaussian, 4 boxcar, 5 constant, 6 zero, 7 sigmoid, 8 exponential,
       9 multi_gaussian */
    int64_t surrogate;
    int64_t scaled;
    REAL v_reset, dampening, surrogate_width, lobe_height, lobe_width;

    /* state [B, stride], from before the chunk to its end */
    REAL *v, *a;
    int32_t *wait;
    /* the slow part of it at every SEGMENT-th step [n_segments, B, stride] */
    REAL *marked_a;
    int32_t *marked_wait;

    /* forward: from spikes, or where there are no delays the tape holds the currents */
    NAME(Synapses) input, recurrence;
    const REAL *bias; /* [stride], or null */

    /* sums over time of spikes: as they are, and weighted by kernel [T] where that is not null; [B, stride] */
    REAL *total;
    const REAL *kernel;
    REAL *weighted;

    /* backward: gradients of the two sums, of each spike [T, B, n_given] (or null), and through synapses */
    const REAL *d_total, *d_weighted, *d_spikes;
    int64_t n_given;
    NAME(Feedback) own, next;
    /* dL/dv and dL/da of the step after the chunk, then of its first step [B, stride] */
    REAL *dv, *da;
    /* gradients of the parameters of the neurons, by sample [B, stride], or null */
    REAL *d_decay_mem, *d_v_threshold, *d_decay_adapt, *d_beta_adapt;
} NAME(Layer);

/* Where the presynaptic side of a weight gradient [n_pre, n_post] comes from, a row for each row of the currents:
   spikes [n_rows, n_words], or where that is null numbers [n_rows, n_numbers], of which the first `silent` rows lie
   before the presentation and do not count. */
typedef struct {
    const uint64_t *words;
    const REAL *numbers;
    int64_t n_words, n_numbers, silent, n_pre;
    REAL *gradient;
} NAME(Source);

/* products.c */
void NAME(add_rows)(REAL *row, const REAL *weights, int64_t stride, int64_t width, const int32_t *spikes,
                    int64_t n_spikes);
void NAME(add_products)(REAL *rows, int64_t rows_stride, const REAL *coefficients, int64_t c_row, int64_t c_step,
                        const REAL *weights, int64_t weights_stride, int64_t n, int64_t width);
void NAME(add_dots)(REAL *rows, int64_t rows_stride, const REAL *weights, const REAL *others, int64_t width,
                    const uint64_t *active, int64_t n_words, int64_t n_group);
void NAME(add_listed)(REAL *rows, int64_t rows_stride, const NAME(Listed) *listed, int64_t column, const REAL *ahead,
                      const uint64_t *active, int64_t n_words, int64_t n_group);
