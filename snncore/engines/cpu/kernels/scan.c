/* The scan of a layer over time, forward and backward.

   Four samples at a time walk through all time steps of the neurons of a tile, so that what a step needs of the one
   before is still close by. Forward, the operations on a potential and their order are those of
   `snncore.neurons.step`, and nothing is contracted: spikes equal those of the reference wherever the sums of the
   incoming currents do. */

#ifndef REAL
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bits.h"

#define SEGMENT 32    /* steps between two marks of the slow state, from which the backward scan redoes it */
#define DENSE_FROM 0.5 /* share of firing neurons from which a dense product is faster than adding row by row */

#define REAL float
#define NAME(name) name##_f32
#define EXP expf
#define FABS fabsf
#include "scan.c"
#undef REAL
#undef NAME
#undef EXP
#undef FABS
#define REAL double
#define NAME(name) name##_f64
#define EXP exp
#define FABS fabs
#include "scan.c"

int64_t segment_steps(void) { return SEGMENT; }

/* Whether this processor has what the compiler took for granted. */
int runs_here(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
#ifdef __AVX2__
    if (!__builtin_cpu_supports("avx2")) return 0;
#endif
#ifdef __FMA__
    if (!__builtin_cpu_supports("fma")) return 0;
#endif
#ifdef __AVX512F__
    if (!__builtin_cpu_supports("avx512f")) return 0;
#endif
#ifdef __AVX512VL__
    if (!__builtin_cpu_supports("avx512vl")) return 0;
#endif
#endif
    return 1;
}

/* Ask for large pages, where the system has them: a step of a scan touches many small ones far apart. */
void use_large_pages(void *memory, int64_t n_bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 4096, start = ((uintptr_t)memory + page - 1) / page * page;
    const uintptr_t stop = ((uintptr_t)memory + (uintptr_t)n_bytes) / page * page;
    if (stop > start) madvise((void *)start, stop - start, MADV_HUGEPAGE);
#else
    (void)memory, (void)n_bytes;
#endif
}

int64_t count_spikes(const uint64_t *words, int64_t n_words) {
    int64_t n = 0;
    for (int64_t w = 0; w < n_words; w++) n += __builtin_popcountll(words[w]);
    return n;
}
#else

#include "scan.h"

#define Layer NAME(Layer)
#define EACH _Pragma("GCC ivdep") for (int64_t j = 0; j < width; j++)

/* ---- forward ---- */

/* What one group of samples needs besides the layer. */
typedef struct {
    int32_t *spikes;      /* [GROUP, listed] */
    int64_t listed;
    int64_t n_spikes[GROUP];
    REAL *coefficients;   /* [GROUP, most presynaptic neurons] */
} NAME(Arrivals);

/* rows [GROUP, width] += the numbers of step `step` through the synapses of one delay */
static void NAME(receive_numbers)(REAL *rows, const NAME(Synapses) *synapses, int64_t k, int64_t step, int64_t batch,
                                  int64_t first, int64_t n_group, int64_t width, REAL *scratch) {
    const int64_t n = synapses->n_numbers;
    const REAL *numbers = synapses->numbers + (step * batch + first) * n;
    if (step < 0) return;
    if (n_group < GROUP) {
        memset(scratch, 0, sizeof(REAL) * (size_t)(GROUP * n));
        memcpy(scratch, numbers, sizeof(REAL) * (size_t)(n_group * n));
        numbers = scratch;
    }
    NAME(add_products)(rows, width, numbers, n, 1, synapses->weights + k * synapses->n_pre * width, width, n, width);
}

/* rows [GROUP, width] += for each delay, the weights of the neurons that fired that many steps before `t` */
static void NAME(receive)(REAL *rows, const NAME(Synapses) *synapses, int64_t t, int64_t batch, int64_t first,
                          int64_t n_group, int64_t width, NAME(Arrivals) *at) {
    for (int64_t k = 0; k < synapses->n_delays; k++) {
        int64_t step = t + synapses->lead - synapses->delays[k];
        if (synapses->numbers != NULL) {
            NAME(receive_numbers)(rows, synapses, k, t + synapses->start - synapses->delays[k], batch, first, n_group,
                                  width, at->coefficients);
            continue;
        }
        const uint64_t *words = synapses->words + (step * batch + first) * synapses->n_words;
        const REAL *weights = synapses->weights + k * synapses->n_pre * width;
        int64_t n_spikes = 0;
        for (int64_t g = 0; g < n_group; g++) {
            at->n_spikes[g] =
                list_spikes(words + g * synapses->n_words, synapses->n_words, at->spikes + g * at->listed);
            n_spikes += at->n_spikes[g];
        }
        if ((double)n_spikes > DENSE_FROM * (double)(n_group * synapses->n_pre)) {
            memset(at->coefficients, 0, sizeof(REAL) * (size_t)(GROUP * synapses->n_pre));
            for (int64_t g = 0; g < n_group; g++) {
                for (int64_t e = 0; e < at->n_spikes[g]; e++) {
                    at->coefficients[g * synapses->n_pre + at->spikes[g * at->listed + e]] = 1;
                }
            }
            NAME(add_products)(rows, width, at->coefficients, synapses->n_pre, 1, weights, width, synapses->n_pre, width);
        } else {
            for (int64_t g = 0; g < n_group; g++) {
                NAME(add_rows)(rows + g * width, weights, width, width, at->spikes + g * at->listed, at->n_spikes[g]);
            }
        }
    }
}

/* What spikes have sent ahead through listed synapses: for each sample of the group the currents of the next `span`
   steps, in the slots from `at` on of [2 span, width]. */
typedef struct {
    REAL *slots;
    int64_t at;
} NAME(Ahead);

/* rows [GROUP, width] = what arrives at step t, after the spikes that the nearest synapses bring to it have been sent on
   through all of theirs. Called for the steps in their order, from `span` - 1 before the first. */
static void NAME(receive_listed)(REAL *rows, NAME(Ahead) *ahead, const NAME(Synapses) *synapses, int64_t t,
                                 int64_t batch, int64_t first, int64_t n_group, int64_t width, NAME(Arrivals) *at) {
    const NAME(Listed) *listed = &synapses->listed;
    const int64_t span = listed->span, size = 2 * span * width;
    const int64_t step = t + synapses->lead - listed->shortest;
    const int full = ahead->at == span, fresh = t == 1 - span;
    ahead->at = full || fresh ? 0 : ahead->at + 1;
    for (int64_t g = 0; g < n_group; g++) {
        REAL *slots = ahead->slots + g * size, *now = slots + ahead->at * width;
        if (fresh) memset(slots, 0, sizeof(REAL) * (size_t)(span * width));
        if (full && !fresh) memcpy(slots, slots + (span + 1) * width, sizeof(REAL) * (size_t)((span - 1) * width));
        memset(now + (span - 1) * width, 0, sizeof(REAL) * (size_t)width);
        const uint64_t *words = synapses->words + (step * batch + first + g) * synapses->n_words;
        const int64_t n_spikes = list_spikes(words, synapses->n_words, at->spikes);
        for (int64_t s = 0; s < n_spikes; s++) {
            const int64_t stop = listed->starts[at->spikes[s] + 1];
            for (int64_t e = listed->starts[at->spikes[s]]; e < stop; e++) now[listed->places[e]] += listed->values[e];
        }
        memcpy(rows + g * width, now, sizeof(REAL) * (size_t)width);
    }
}

/* The potential of this step from that of the step before, its spikes z and adaptation a. */
static void NAME(integrate)(const Layer *layer, int64_t column, REAL *restrict v, const REAL *restrict before,
                            const REAL *restrict current, const REAL *restrict z, const REAL *restrict a) {
    const int64_t width = layer->width;
    const REAL *restrict decay = layer->decay_mem + column, *restrict scale = layer->input_scale + column,
               *restrict threshold = layer->v_threshold + column, *restrict beta = layer->beta_adapt + column;
    const REAL level = layer->v_reset;
    if (layer->reset == 0 && layer->same_step) {
        EACH v[j] = decay[j] * (before[j] - (threshold[j] + beta[j] * a[j]) * z[j]) + scale[j] * current[j];
    } else if (layer->reset == 0) {
        EACH v[j] = decay[j] * before[j] + scale[j] * current[j] - (threshold[j] + beta[j] * a[j]) * z[j];
    } else if (layer->reset == 1 && layer->same_step) {
        EACH v[j] = decay[j] * (before[j] * (1 - z[j]) + level * z[j]) + scale[j] * current[j];
    } else if (layer->reset == 1) {
        EACH v[j] = decay[j] * (before[j] * (1 - z[j])) + level * z[j] + scale[j] * current[j];
    } else {
        EACH v[j] = decay[j] * before[j] + scale[j] * current[j];
    }
    if (layer->non_negative) {
        EACH v[j] = v[j] < 0 ? 0 : v[j];
    }
}

static void NAME(adapt)(const Layer *layer, int64_t column, REAL *restrict a, const REAL *restrict z) {
    const int64_t width = layer->width;
    const REAL *restrict decay = layer->decay_adapt + column;
    EACH a[j] = decay[j] * a[j] + (1 - decay[j]) * z[j];
}

static void NAME(fire)(const Layer *layer, int64_t column, uint8_t *restrict flags, const REAL *restrict v,
                       const REAL *restrict a, int32_t *restrict wait) {
    const int64_t width = layer->width;
    const REAL *restrict threshold = layer->v_threshold + column, *restrict beta = layer->beta_adapt + column;
    const int32_t *restrict n_refractory = layer->n_refractory + column;
    if (layer->inclusive) {
        EACH flags[j] = v[j] >= threshold[j] + beta[j] * a[j];
    } else {
        EACH flags[j] = v[j] > threshold[j] + beta[j] * a[j];
    }
    if (layer->refractory) {
        EACH {
            int32_t left = wait[j];
            uint8_t fires = flags[j] & (left == 0);
            wait[j] = fires ? n_refractory[j] : left - (left > 0);
            flags[j] = fires;
        }
    }
}

/* Run samples `from` to `to` and the neurons of the tile that starts at `column` through all steps; 0, or 1 where
   there was no memory. */
int NAME(forward)(const Layer *layer, int64_t from, int64_t to) {
    const int64_t width = layer->width, batch = layer->batch, column = layer->column, stride = layer->stride;
    const NAME(Synapses) *input = &layer->input, *recurrence = &layer->recurrence;
    const int64_t most_words = input->n_words > layer->n_words ? input->n_words : layer->n_words;
    const int64_t most_pre = input->n_pre > recurrence->n_pre ? input->n_pre : recurrence->n_pre; /* n_numbers fit */
    NAME(Arrivals) at = {.listed = 64 * most_words};
    REAL *scratch = NAME(floats)(3 * GROUP * width + GROUP * most_pre);
    uint64_t *eights = calloc((size_t)(width / 8), 8);
    at.spikes = malloc(sizeof(int32_t) * (size_t)(GROUP * at.listed));
    int no_memory = scratch == NULL || at.spikes == NULL || eights == NULL;
    REAL *received = scratch, *returned = received + GROUP * width, *z = returned + GROUP * width;
    at.coefficients = z + GROUP * width;
    uint8_t *flags = (uint8_t *)eights;
    const NAME(Synapses) *kinds[2] = {input, recurrence};
    REAL *arriving[2] = {received, returned};
    NAME(Ahead) ahead[2] = {{0}};
    for (int k = 0; k < 2; k++) {
        const NAME(Listed) *listed = &kinds[k]->listed;
        if (listed->values == NULL) continue;
        ahead[k].slots = NAME(floats)(GROUP * 2 * listed->span * width);
        no_memory |= ahead[k].slots == NULL;
    }
    if (no_memory) {
        free(scratch), free(at.spikes), free(eights), free(ahead[0].slots), free(ahead[1].slots);
        return 1;
    }

    for (int64_t first = from; first < to; first += GROUP) {
        const int64_t n_group = to - first < GROUP ? to - first : GROUP;
        for (int k = 0; k < 2; k++) {
            for (int64_t t = 1 - kinds[k]->listed.span; ahead[k].slots != NULL && t < 0; t++) {
                NAME(receive_listed)(arriving[k], &ahead[k], kinds[k], t, batch, first, n_group, width, &at);
            }
        }
        for (int64_t g = 0; g < n_group; g++) {
            const uint64_t *words = layer->words + ((layer->lead - 1) * batch + first + g) * layer->n_words;
            for (int64_t j = 0; j < width; j++) {
                z[g * width + j] = (REAL)((words[(column + j) / 64] >> ((column + j) % 64)) & 1);
            }
        }
        for (int64_t t = 0; t < layer->n_steps; t++) {
            for (int k = 0; k < 2; k++) {
                if (ahead[k].slots != NULL) {
                    NAME(receive_listed)(arriving[k], &ahead[k], kinds[k], t, batch, first, n_group, width, &at);
                } else if (kinds[k]->n_delays > 0) {
                    memset(arriving[k], 0, sizeof(REAL) * (size_t)(GROUP * width));
                    NAME(receive)(arriving[k], kinds[k], t, batch, first, n_group, width, &at);
                }
            }
            for (int64_t g = 0; g < n_group; g++) {
                const int64_t b = first + g, here = b * stride + column;
                REAL *v = layer->tape + t * batch * stride + here;
                REAL *a = layer->a + here;
                int32_t *wait = layer->wait + here;
                REAL *restrict current = received + g * width;
                if (input->n_delays == 0) memcpy(current, v, sizeof(REAL) * (size_t)width);
                if (layer->bias != NULL) {
                    const REAL *restrict bias = layer->bias + column;
                    EACH current[j] += bias[j];
                }
                if (recurrence->n_delays > 0) {
                    const REAL *restrict own = returned + g * width;
                    EACH current[j] += own[j];
                }
                const REAL *before = t > 0 ? v - batch * stride : layer->v + here;
                REAL *own_z = z + g * width;
                NAME(integrate)(layer, column, v, before, current, own_z, a);
                if (t % SEGMENT == 0) {
                    int64_t mark = t / SEGMENT * batch * stride + here;
                    if (layer->adaptive) memcpy(layer->marked_a + mark, a, sizeof(REAL) * (size_t)width);
                    if (layer->refractory) memcpy(layer->marked_wait + mark, wait, sizeof(int32_t) * (size_t)width);
                }
                if (layer->adaptive) NAME(adapt)(layer, column, a, own_z);
                NAME(fire)(layer, column, flags, v, a, wait);
                EACH own_z[j] = (REAL)flags[j];

                uint64_t *words = layer->words + ((t + layer->lead) * batch + b) * layer->n_words + column / 64;
                pack_flags(eights, width, words);
                int64_t n_fired = list_spikes(words, (width + 63) / 64, at.spikes);
                for (int64_t e = 0; e < n_fired; e++) layer->total[here + at.spikes[e]] += 1;
                if (layer->kernel != NULL) {
                    for (int64_t e = 0; e < n_fired; e++) layer->weighted[here + at.spikes[e]] += layer->kernel[t];
                }
            }
        }
        for (int64_t b = first; b < first + n_group; b++) {
            int64_t here = b * stride + column;
            memcpy(layer->v + here, layer->tape + (layer->n_steps - 1) * batch * stride + here,
                   sizeof(REAL) * (size_t)width);
        }
    }
    free(scratch), free(at.spikes), free(eights), free(ahead[0].slots), free(ahead[1].slots);
    return 0;
}

/* ---- backward ---- */

static void NAME(read_spikes)(REAL *restrict z, const uint64_t *words, int64_t width) {
    for (int64_t start = 0; start < width; start += 32) {
        uint32_t word = (uint32_t)(words[start / 64] >> (start % 64));
        int64_t n = width - start < 32 ? width - start : 32;
        for (int64_t k = 0; k < n; k++) z[start + k] = (REAL)(int32_t)((word >> k) & 1);
    }
}

/* h [width] of x = (v - threshold) / threshold, as `snncore.surrogates.pseudo_derivative` */
static void NAME(pseudo_derivative)(const Layer *layer, REAL *restrict h, const REAL *restrict v,
                                    const REAL *restrict threshold) {
    const int64_t width = layer->width;
    const REAL height = layer->dampening, half_width = layer->surrogate_width;
    EACH h[j] = (v[j] - threshold[j]) / (threshold[j] * half_width);
    switch (layer->surrogate) {
    case 0:
        EACH {
            REAL left = 1 - FABS(h[j]);
            h[j] = height * (left > 0 ? left : 0);
        }
        break;
    case 1:
        EACH {
            REAL base = 1 + FABS(h[j]);
            h[j] = height / (base * base);
        }
        break;
    case 2:
        EACH h[j] = height / (1 + h[j] * h[j]);
        break;
    case 3:
        EACH h[j] = height * EXP((REAL)-0.5 * (h[j] * h[j]));
        break;
    case 4:
        EACH h[j] = FABS(h[j]) <= 1 ? height : 0;
        break;
    case 5:
        EACH h[j] = height;
        break;
    case 6:
        EACH h[j] = 0;
        break;
    case 7:
        EACH {
            const REAL tail = EXP(-FABS(h[j])), base = 1 + tail;
            h[j] = height * (4 * tail / (base * base));
        }
        break;
    case 8:
        EACH h[j] = height * EXP(-FABS(h[j]));
        break;
    default: {
        const REAL hill = 1 + layer->lobe_height, lobe = layer->lobe_height / layer->lobe_width;
        const REAL spread = (REAL)-0.5 / (layer->lobe_width * layer->lobe_width);
        const REAL scale = height / (hill - 2 * lobe * EXP(spread));
        EACH {
            const REAL right = h[j] - 1, left = h[j] + 1;
            const REAL lobes = EXP(spread * (right * right)) + EXP(spread * (left * left));
            h[j] = scale * (hill * EXP((REAL)-0.5 * (h[j] * h[j])) - lobe * lobes);
        }
    }
    }
}

/* The neurons of each sample in a group whose pseudo-derivative is not zero. */
typedef struct {
    uint64_t *bits; /* [GROUP, n_words] */
    int64_t n_words, n;
    REAL *coefficients; /* [GROUP, most postsynaptic neurons] */
} NAME(Active);

/* The gradients that listed synapses reach from a step: those of the `span` steps from there on, in the slots from `at`
   on of [2 span, n_post, GROUP]. */
typedef struct {
    REAL *slots;
    int64_t at;
} NAME(Reach);

/* Put the gradients [batch, n_post] of step `step` into a slot, the samples of the group side by side. */
static void NAME(lay_out)(REAL *restrict slot, const NAME(Feedback) *from, int64_t step, const Layer *layer,
                          int64_t first, int64_t n_group) {
    const int64_t n_post = from->n_post, after = step - layer->n_steps;
    if (n_group < GROUP || after >= from->n_later) memset(slot, 0, sizeof(REAL) * (size_t)(GROUP * n_post));
    if (after >= from->n_later) return;
    const REAL *restrict g0 = after < 0 ? from->gradient + (step * layer->batch + first) * n_post
                                        : from->later + (after * layer->batch + first) * n_post;
    if (n_group < GROUP) {
        for (int64_t g = 0; g < n_group; g++) {
            for (int64_t j = 0; j < n_post; j++) slot[GROUP * j + g] = g0[g * n_post + j];
        }
        return;
    }
    const REAL *restrict g1 = g0 + n_post, *restrict g2 = g1 + n_post, *restrict g3 = g2 + n_post;
    for (int64_t j = 0; j < n_post; j++) {
        slot[GROUP * j] = g0[j], slot[GROUP * j + 1] = g1[j], slot[GROUP * j + 2] = g2[j], slot[GROUP * j + 3] = g3[j];
    }
}

/* `send_back` through listed synapses. Called for the steps in their order, from the last. */
static void NAME(send_back_listed)(REAL *rows, NAME(Reach) *reach, const NAME(Feedback) *from, int64_t t,
                                   const Layer *layer, int64_t first, int64_t n_group, NAME(Active) *active) {
    const int64_t span = from->listed.span, size = GROUP * from->n_post, nearest = t + from->listed.shortest;
    if (t == layer->n_steps - 1) {
        reach->at = span;
        for (int64_t k = 1; k < span; k++) {
            NAME(lay_out)(reach->slots + (span + k) * size, from, nearest + k, layer, first, n_group);
        }
    } else if (reach->at == 0) {
        reach->at = span;
        memcpy(reach->slots + (span + 1) * size, reach->slots, sizeof(REAL) * (size_t)((span - 1) * size));
    } else {
        reach->at--;
    }
    REAL *here = reach->slots + reach->at * size;
    NAME(lay_out)(here, from, nearest, layer, first, n_group);
    NAME(add_listed)(rows, layer->width, &from->listed, layer->column, here, active->bits, active->n_words, n_group);
}

/* rows [GROUP, width] += what the neurons on which the spikes of step t end have for them, for active neurons only */
static void NAME(send_back)(REAL *rows, const NAME(Feedback) *from, int64_t t, const Layer *layer, int64_t first,
                            int64_t n_group, NAME(Active) *active) {
    const int64_t width = layer->width, batch = layer->batch, n_post = from->n_post;
    for (int64_t k = 0; k < from->n_delays; k++) {
        const int64_t at = t + from->delays[k];
        const REAL *gradient;
        if (at < layer->n_steps) {
            gradient = from->gradient + (at * batch + first) * n_post;
        } else if (at - layer->n_steps < from->n_later) {
            gradient = from->later + ((at - layer->n_steps) * batch + first) * n_post;
        } else {
            continue;
        }
        /* what a number costs in a dense product is little less than in a dot product, which costs something itself */
        if (n_group * n_post * width < active->n * (n_post * 3 / 2 + 50)) {
            const REAL *weights = from->by_receiver + k * n_post * from->n_pre + layer->column;
            if (n_group < GROUP) {
                memset(active->coefficients, 0, sizeof(REAL) * (size_t)(GROUP * n_post));
                memcpy(active->coefficients, gradient, sizeof(REAL) * (size_t)(n_group * n_post));
                gradient = active->coefficients;
            }
            NAME(add_products)(rows, width, gradient, n_post, 1, weights, from->n_pre, n_post, width);
        } else {
            const REAL *weights = from->by_sender + (k * from->n_pre + layer->column) * n_post;
            NAME(add_dots)(rows, width, weights, gradient, n_post, active->bits, active->n_words, n_group);
        }
    }
}

/* Gradients of the parameters that step t + 1 had from what step t left, before dv and da move on to step t. */
static void NAME(parameters_back)(const Layer *layer, int64_t here, const REAL *restrict v, const REAL *restrict z,
                                  const REAL *restrict a, const REAL *restrict threshold) {
    const int64_t width = layer->width;
    const REAL *restrict dv = layer->dv + here, *restrict da = layer->da + here;
    REAL *restrict d_decay = layer->d_decay_mem + here, *restrict d_adapt = layer->d_decay_adapt + here;
    const REAL subtract = layer->reset == 0 && layer->same_step, to_value = layer->reset == 1;
    const REAL level = layer->reset == 1 && layer->same_step ? layer->v_reset : 0;
    EACH {
        REAL leaking = v[j] - subtract * threshold[j] * z[j] - to_value * z[j] * v[j] + level * z[j];
        d_decay[j] += dv[j] * leaking;
        d_adapt[j] += da[j] * (a[j] - z[j]);
    }
}

/* dv, da and the tape from step t + 1 to step t. dz is dL/dz[t] but for what reset and adaptation pass on. Where
   potentials are cut off at zero, dv is for the potential before that. */
static void NAME(step_back)(const Layer *layer, int64_t here, REAL *restrict v, const REAL *restrict dz,
                            const REAL *restrict h, const REAL *restrict z, const REAL *restrict threshold,
                            REAL *restrict d_threshold) {
    const int64_t width = layer->width, column = layer->column;
    REAL *restrict dv = layer->dv + here, *restrict da = layer->da + here;
    const REAL *restrict decay = layer->decay_mem + column, *restrict scale = layer->input_scale + column,
               *restrict beta = layer->beta_adapt + column, *restrict decay_adapt = layer->decay_adapt + column;
    const int attached = !layer->detach_reset;
    const REAL subtracts = layer->reset == 0 && attached, sets = layer->reset == 1 && attached;
    const REAL clears = layer->reset == 1, level = layer->v_reset;
    const int same_step = layer->same_step != 0, scaled = layer->scaled != 0, cut_off = layer->non_negative != 0;
    EACH {
        const REAL leaked = decay[j] * dv[j];
        const REAL reset = same_step ? leaked : dv[j];
        const REAL gradient = dz[j] + (1 - decay_adapt[j]) * da[j] - subtracts * threshold[j] * reset +
                              sets * (level * reset - v[j] * leaked);
        const REAL slope = scaled ? 1 / threshold[j] : 1;
        const REAL surge = gradient * h[j] * slope;
        const REAL raised = -subtracts * z[j] * reset - surge * (scaled ? v[j] * slope : 1);
        d_threshold[j] = raised;
        da[j] = decay_adapt[j] * da[j] + beta[j] * raised;
        const REAL arriving = leaked * (1 - clears * z[j]) + surge;
        dv[j] = cut_off && !(v[j] > 0) ? 0 : arriving;
        v[j] = scale[j] * dv[j];
    }
}

/* Run samples `from` to `to` and the neurons of the tile that starts at `column` back through all steps. */
int NAME(backward)(const Layer *layer, int64_t from, int64_t to) {
    const int64_t width = layer->width, batch = layer->batch, column = layer->column, stride = layer->stride;
    const int sends = layer->own.n_delays > 0 || layer->next.n_delays > 0;
    const int64_t most_post = layer->own.n_post > layer->next.n_post ? layer->own.n_post : layer->next.n_post;
    NAME(Active) active = {.n_words = (width + 63) / 64};
    REAL *scratch = NAME(floats)((2 * GROUP + 3) * width + GROUP * most_post + (GROUP * SEGMENT + 1) * width);
    uint8_t *closed = calloc((size_t)(GROUP * SEGMENT), (size_t)width);
    int32_t *wait = malloc(sizeof(int32_t) * (size_t)width);
    uint64_t *eights = calloc((size_t)(width / 8), 8);
    active.bits = calloc((size_t)(GROUP * active.n_words), 8);
    int no_memory = !scratch || !closed || !wait || !eights || !active.bits;
    const NAME(Feedback) *kinds[2] = {&layer->own, &layer->next};
    NAME(Reach) reach[2] = {{0}};
    for (int k = 0; k < 2; k++) {
        const NAME(Listed) *listed = &kinds[k]->listed;
        if (listed->values == NULL) continue;
        reach[k].slots = NAME(floats)(2 * listed->span * kinds[k]->n_post * GROUP);
        no_memory |= reach[k].slots == NULL;
    }
    if (no_memory) {
        free(scratch), free(closed), free(wait), free(eights), free(active.bits);
        free(reach[0].slots), free(reach[1].slots);
        return 1;
    }
    REAL *h = scratch, *dz = h + GROUP * width, *z = dz + GROUP * width, *threshold = z + width,
         *d_threshold = threshold + width;
    active.coefficients = d_threshold + width;
    REAL *adapted = active.coefficients + GROUP * most_post; /* [SEGMENT, GROUP, width] */
    REAL *never = adapted + GROUP * SEGMENT * width;
    memset(never, 0, sizeof(REAL) * (size_t)width);
    uint8_t *flags = (uint8_t *)eights;
    const REAL *restrict resting = layer->v_threshold + column, *restrict beta = layer->beta_adapt + column;
    const int32_t *n_refractory = layer->n_refractory + column;

    for (int64_t first = from; first < to; first += GROUP) {
        const int64_t n_group = to - first < GROUP ? to - first : GROUP;
        for (int64_t segment = (layer->n_steps - 1) / SEGMENT; segment >= 0; segment--) {
            const int64_t start = segment * SEGMENT;
            const int64_t stop = start + SEGMENT < layer->n_steps ? start + SEGMENT : layer->n_steps;
            for (int64_t g = 0; g < n_group; g++) {
                const int64_t mark = (segment * batch + first + g) * stride + column;
                const uint64_t *words = layer->words + (layer->lead * batch + first + g) * layer->n_words + column / 64;
                const int64_t a_step = batch * layer->n_words;
                if (layer->adaptive) {
                    const REAL *a = layer->marked_a + mark;
                    for (int64_t t = start; t < stop; t++) {
                        REAL *next = adapted + ((t - start) * GROUP + g) * width;
                        NAME(read_spikes)(z, words + (t - 1) * a_step, width);
                        memcpy(next, a, sizeof(REAL) * (size_t)width);
                        NAME(adapt)(layer, column, next, z);
                        a = next;
                    }
                }
                if (layer->refractory) {
                    memcpy(wait, layer->marked_wait + mark, sizeof(int32_t) * (size_t)width);
                    for (int64_t t = start; t < stop; t++) {
                        uint8_t *restrict shut = closed + ((t - start) * GROUP + g) * width;
                        NAME(read_spikes)(z, words + t * a_step, width);
                        EACH {
                            int32_t left = wait[j];
                            shut[j] = left != 0;
                            wait[j] = z[j] > 0 ? n_refractory[j] : left - (left > 0);
                        }
                    }
                }
            }

            for (int64_t t = stop - 1; t >= start; t--) {
                active.n = 0;
                for (int64_t g = 0; g < n_group; g++) {
                    const int64_t b = first + g, here = b * stride + column;
                    const REAL *restrict v = layer->tape + t * batch * stride + here;
                    for (int64_t j = 0; t > 0 && j < width; j += 64 / (int64_t)sizeof(REAL)) {
                        __builtin_prefetch(v - batch * stride + j);
                    }
                    const REAL *restrict a = layer->adaptive ? adapted + ((t - start) * GROUP + g) * width : never;
                    REAL *restrict own_h = h + g * width, *restrict own_dz = dz + g * width;
                    EACH threshold[j] = resting[j] + beta[j] * a[j];
                    NAME(pseudo_derivative)(layer, own_h, v, threshold);
                    if (layer->refractory) {
                        const uint8_t *restrict shut = closed + ((t - start) * GROUP + g) * width;
                        EACH own_h[j] = shut[j] ? 0 : own_h[j];
                    }
                    if (sends) {
                        EACH flags[j] = own_h[j] != 0;
                        uint64_t *bits = active.bits + g * active.n_words;
                        pack_flags(eights, width, bits);
                        for (int64_t w = 0; w < active.n_words; w++) active.n += __builtin_popcountll(bits[w]);
                    }
                    const REAL *restrict d_total = layer->d_total + here;
                    if (layer->kernel != NULL) {
                        const REAL *restrict d_weighted = layer->d_weighted + here;
                        const REAL now = layer->kernel[t];
                        EACH own_dz[j] = d_total[j] + now * d_weighted[j];
                    } else {
                        memcpy(own_dz, d_total, sizeof(REAL) * (size_t)width);
                    }
                    if (layer->d_spikes != NULL) {
                        const REAL *restrict given = layer->d_spikes + (t * batch + b) * layer->n_given + column;
                        int64_t n = layer->n_given - column < width ? layer->n_given - column : width;
                        for (int64_t j = 0; j < n; j++) own_dz[j] += given[j];
                    }
                }
                if (sends) {
                    for (int k = 0; k < 2; k++) {
                        if (reach[k].slots != NULL) {
                            NAME(send_back_listed)(dz, &reach[k], kinds[k], t, layer, first, n_group, &active);
                        } else {
                            NAME(send_back)(dz, kinds[k], t, layer, first, n_group, &active);
                        }
                    }
                }
                for (int64_t g = 0; g < n_group; g++) {
                    const int64_t b = first + g, here = b * stride + column;
                    REAL *v = layer->tape + t * batch * stride + here;
                    const REAL *restrict a = layer->adaptive ? adapted + ((t - start) * GROUP + g) * width : never;
                    EACH threshold[j] = resting[j] + beta[j] * a[j];
                    NAME(read_spikes)(z, layer->words + ((t + layer->lead) * batch + b) * layer->n_words + column / 64,
                                      width);
                    if (layer->d_decay_mem != NULL) NAME(parameters_back)(layer, here, v, z, a, threshold);
                    NAME(step_back)(layer, here, v, dz + g * width, h + g * width, z, threshold, d_threshold);
                    if (layer->d_decay_mem != NULL) {
                        REAL *restrict d_resting = layer->d_v_threshold + here, *restrict d_beta = layer->d_beta_adapt + here;
                        EACH {
                            d_resting[j] += d_threshold[j];
                            d_beta[j] += d_threshold[j] * a[j];
                        }
                    }
                }
            }
        }
    }
    free(scratch), free(closed), free(wait), free(eights), free(active.bits);
    free(reach[0].slots), free(reach[1].slots);
    return 0;
}

#undef Layer
#undef EACH
#endif
