/* Pools of spiking neurons that learn from a teacher's spikes, and the accumulators that decide: one sample after the
   other, all its time steps at once.

   The operations on a number and their order are those of `tests/snncore/pools_reference.py`, and nothing is contracted:
   both come to the same bits. */

#ifndef REAL
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"

/* The spikes of one presentation: places[starts[t]..starts[t + 1]] spike in step t. */
typedef struct {
    int64_t room;
    int32_t *starts, *places;
} Spikes;

static int prepare(Spikes *spikes, int64_t n_steps) {
    spikes->room = 1024;
    spikes->starts = malloc((size_t)(n_steps + 1) * sizeof(int32_t));
    spikes->places = malloc((size_t)spikes->room * sizeof(int32_t));
    return spikes->starts == NULL || spikes->places == NULL;
}

static void release(Spikes *spikes) {
    free(spikes->starts);
    free(spikes->places);
}

/* Draw the spikes of a sample, in a larger room if there are too many. Not 0: there was no memory. */
static int draw(Spikes *spikes, const float *probability, int64_t n, int64_t n_steps, uint64_t key, uint64_t sample) {
    for (;;) {
        int64_t found = draw_spikes(probability, n, n_steps, key, sample, 0, spikes->room, spikes->starts, spikes->places);
        if (found <= spikes->room) return found < 0;
        int32_t *larger = realloc(spikes->places, (size_t)found * sizeof(int32_t));
        if (larger == NULL) return 1;
        spikes->places = larger;
        spikes->room = found;
    }
}

#define REAL float
#define NAME(name) name##_f32
#include "pools.c"
#undef REAL
#undef NAME
#define REAL double
#define NAME(name) name##_f64
#include "pools.c"

#else

/* The same structs as in `snncore.plasticity.pools`, field by field, in the same order. */
typedef struct {
    int64_t n_inputs, n_pools, pool_size, n_refractory, calcium;
    REAL decay_mem, gain, v_threshold, v_reset;
    REAL decay_trace, learning_rate, w_min, w_max;
    REAL decay_calcium, up_from, up_to, down_from, down_to;
    REAL decay_accumulator, cross_inhibition, bound;
    REAL *weights; /* [n_inputs, n_pools * pool_size] */
} NAME(Pools);

typedef struct {
    int64_t n_samples, n_steps;
    uint64_t input_key, teacher_key, first; /* the samples are number first, first + 1 ... of those with these keys */
    const float *probabilities;             /* [B, n_inputs], of a spike in a step */
    const int64_t *labels;                  /* [B], the pools that are taught, or null: nothing is learned */
    const float *taught;                    /* [pool_size], of a spike of a teacher in a step */
    /* what came of it */
    int64_t *responses, *decision_steps; /* [B], -1 where no accumulator came to the bound */
    int64_t *pool_spikes;                /* [B, n_pools] */
    int64_t *neuron_spikes;              /* [n_pools * pool_size], added to */
    int64_t *input_spikes;               /* one number, added to */
    uint8_t *raster;                     /* [B, n_steps, n_pools * pool_size], or null */
    uint8_t *input_raster;               /* [B, n_steps, n_inputs], or null */
    uint8_t *teacher_raster;             /* [B, n_steps, n_pools * pool_size], or null */
    REAL *evidence;                      /* [B, n_steps, n_pools], the accumulators, or null */
} NAME(Presentation);

/* State of one presentation. */
typedef struct {
    REAL *v, *current, *calcium; /* [n] */
    int32_t *wait, *ready;       /* [n], refractory steps left, and whether it fires in this step */
    int32_t *fired;              /* [n], those that do, in their order */
    int32_t *active;             /* [n_inputs], those that have spiked so far, in the order in which they did */
    uint8_t *is_active;          /* [n_inputs] */
    REAL *trace;                 /* [n_inputs] */
    REAL *evidence;              /* [n_pools] */
    int64_t *counts;             /* [n_pools], spikes of the step */
} NAME(State);

/* The weights of neuron j change by `rate` times the traces of their inputs, and stay within their bounds. */
static void NAME(change)(const NAME(Pools) *pools, const NAME(State) *state, int64_t n_active, int64_t j, REAL rate) {
    int64_t n = pools->n_pools * pools->pool_size;
    for (int64_t a = 0; a < n_active; a++) {
        REAL *weight = &pools->weights[state->active[a] * n + j];
        REAL w = *weight + rate * state->trace[state->active[a]];
        *weight = w > pools->w_max ? pools->w_max : (w < pools->w_min ? pools->w_min : w);
    }
}

static void NAME(rest)(const NAME(Pools) *pools, NAME(State) *state) {
    int64_t n = pools->n_pools * pools->pool_size;
    memset(state->v, 0, (size_t)n * sizeof *state->v);
    memset(state->calcium, 0, (size_t)n * sizeof *state->calcium);
    memset(state->wait, 0, (size_t)n * sizeof *state->wait);
    memset(state->is_active, 0, (size_t)pools->n_inputs);
    memset(state->trace, 0, (size_t)pools->n_inputs * sizeof *state->trace);
    memset(state->evidence, 0, (size_t)pools->n_pools * sizeof *state->evidence);
}

/* Kept apart, for compilers swap its loop with that over the spikes, and gather. */
static __attribute__((noinline)) void NAME(add_row)(REAL *restrict current, const REAL *restrict row, int64_t n) {
    for (int64_t j = 0; j < n; j++) current[j] += row[j];
}

/* Potentials and spikes of a step: who fires goes into `fired`, and by pools into `counts`. */
static int64_t NAME(fire)(const NAME(Pools) *pools, NAME(State) *state, const int32_t *places, int64_t n_spikes) {
    const int64_t n = pools->n_pools * pools->pool_size;
    const REAL decay = pools->decay_mem, gain = pools->gain, v_threshold = pools->v_threshold, v_reset = pools->v_reset;
    const int32_t n_refractory = (int32_t)pools->n_refractory;
    REAL *restrict v = state->v, *restrict current = state->current;
    int32_t *restrict wait = state->wait, *restrict ready = state->ready;
    int64_t n_fired = 0;
    memset(current, 0, (size_t)n * sizeof *current);
    memset(state->counts, 0, (size_t)pools->n_pools * sizeof *state->counts);
    for (int64_t s = 0; s < n_spikes; s++) NAME(add_row)(current, pools->weights + (int64_t)places[s] * n, n);
    int32_t any = 0;
    for (int64_t j = 0; j < n; j++) {
        REAL charged = decay * v[j] + gain * current[j];
        int32_t fires = (charged >= v_threshold) & (wait[j] == 0), left = wait[j] > 0 ? wait[j] - 1 : 0;
        v[j] = fires ? v_reset : charged;
        wait[j] = fires ? n_refractory : left;
        ready[j] = fires;
        any |= fires;
    }
    for (int64_t j = 0; any && j < n; j++) {
        if (!ready[j]) continue;
        state->fired[n_fired++] = (int32_t)j;
        state->counts[j / pools->pool_size]++;
    }
    return n_fired;
}

/* Add the step's spikes to the accumulators; the pool that has come to the bound, or -1. */
static int64_t NAME(decide)(const NAME(Pools) *pools, NAME(State) *state) {
    int64_t total = 0, first = -1;
    for (int64_t c = 0; c < pools->n_pools; c++) total += state->counts[c];
    for (int64_t c = 0; c < pools->n_pools; c++) {
        REAL own = (REAL)state->counts[c], others = pools->cross_inhibition * (REAL)(total - state->counts[c]);
        REAL a = pools->decay_accumulator * state->evidence[c] + own - others;
        state->evidence[c] = a > 0 ? a : 0;
        if (state->evidence[c] >= pools->bound && (first < 0 || state->evidence[c] > state->evidence[first])) first = c;
    }
    return first;
}

/* Whether the calcium of a neuron lets its weights change, by windows that are closed intervals. */
static int NAME(within)(const NAME(Pools) *pools, const NAME(State) *state, int64_t j, REAL from, REAL to) {
    return !pools->calcium || (state->calcium[j] >= from && state->calcium[j] <= to);
}

/* Plasticity of a step, of which `n_active` inputs have spiked so far; how many have now. */
static int64_t NAME(learn)(const NAME(Pools) *pools, NAME(State) *state, const Spikes *input, const Spikes *teacher,
                           int64_t t, int64_t pool, int64_t n_fired, int64_t n_active) {
    int64_t n = pools->n_pools * pools->pool_size;
    const int32_t *taught = teacher->places + teacher->starts[t];
    int64_t n_taught = teacher->starts[t + 1] - teacher->starts[t], first = pool * pools->pool_size;
    for (int64_t i = 0; i < pools->n_inputs; i++) state->trace[i] *= pools->decay_trace;
    for (int64_t s = input->starts[t]; s < input->starts[t + 1]; s++) {
        int32_t i = input->places[s];
        if (!state->is_active[i]) state->active[n_active++] = i;
        state->is_active[i] = 1;
        state->trace[i] += 1;
    }
    if (pools->calcium) {
        for (int64_t j = 0; j < n; j++) state->calcium[j] *= pools->decay_calcium;
        for (int64_t f = 0; f < n_fired; f++) state->calcium[state->fired[f]] += 1;
        for (int64_t u = 0; u < n_taught; u++) state->calcium[first + taught[u]] += 1;
    }
    for (int64_t u = 0; u < n_taught; u++) {
        int64_t j = first + taught[u];
        if (NAME(within)(pools, state, j, pools->up_from, pools->up_to)) {
            NAME(change)(pools, state, n_active, j, pools->learning_rate);
        }
    }
    for (int64_t f = 0; f < n_fired; f++) {
        int64_t j = state->fired[f];
        if (NAME(within)(pools, state, j, pools->down_from, pools->down_to)) {
            NAME(change)(pools, state, n_active, j, -pools->learning_rate);
        }
    }
    return n_active;
}

static void NAME(walk)(const NAME(Pools) *pools, const NAME(Presentation) *shown, int64_t sample, NAME(State) *state,
                       const Spikes *input, const Spikes *teacher) {
    int64_t n = pools->n_pools * pools->pool_size, n_active = 0;
    NAME(rest)(pools, state);
    shown->responses[sample] = shown->decision_steps[sample] = -1;
    for (int64_t t = 0; t < shown->n_steps; t++) {
        int64_t row = sample * shown->n_steps + t, start = input->starts[t];
        int64_t n_fired = NAME(fire)(pools, state, input->places + start, input->starts[t + 1] - start);
        int64_t first = NAME(decide)(pools, state);
        if (first >= 0 && shown->responses[sample] < 0) {
            shown->responses[sample] = first;
            shown->decision_steps[sample] = t;
        }
        for (int64_t c = 0; c < pools->n_pools; c++) shown->pool_spikes[sample * pools->n_pools + c] += state->counts[c];
        for (int64_t f = 0; f < n_fired; f++) {
            shown->neuron_spikes[state->fired[f]]++;
            if (shown->raster != NULL) shown->raster[row * n + state->fired[f]] = 1;
        }
        for (int64_t s = start; shown->input_raster != NULL && s < input->starts[t + 1]; s++) {
            shown->input_raster[row * pools->n_inputs + input->places[s]] = 1;
        }
        if (shown->evidence != NULL) {
            memcpy(shown->evidence + row * pools->n_pools, state->evidence, (size_t)pools->n_pools * sizeof(REAL));
        }
        if (shown->labels == NULL) continue;
        int64_t pool = shown->labels[sample];
        for (int64_t s = teacher->starts[t]; shown->teacher_raster != NULL && s < teacher->starts[t + 1]; s++) {
            shown->teacher_raster[row * n + pool * pools->pool_size + teacher->places[s]] = 1;
        }
        n_active = NAME(learn)(pools, state, input, teacher, t, pool, n_fired, n_active);
    }
}

/* Present samples one after the other, each from rest; with labels the weights change from spike to spike. Not 0: there
   was no memory. */
int NAME(present_pools)(const NAME(Pools) *pools, const NAME(Presentation) *shown) {
    int64_t n = pools->n_pools * pools->pool_size, n_inputs = pools->n_inputs, n_steps = shown->n_steps;
    NAME(State) state;
    Spikes input, teacher;
    int no_input = prepare(&input, n_steps), no_teacher = prepare(&teacher, n_steps);
    REAL *numbers = malloc((size_t)(3 * n + n_inputs + pools->n_pools) * sizeof(REAL));
    int32_t *places = malloc((size_t)(3 * n + n_inputs) * sizeof(int32_t));
    state.is_active = malloc((size_t)n_inputs);
    state.counts = malloc((size_t)pools->n_pools * sizeof(int64_t));
    int failed = no_input || no_teacher || numbers == NULL || places == NULL || state.is_active == NULL ||
                 state.counts == NULL;
    if (!failed) {
        state.v = numbers, state.current = numbers + n, state.calcium = numbers + 2 * n;
        state.trace = numbers + 3 * n, state.evidence = state.trace + n_inputs;
        state.wait = places, state.ready = places + n, state.fired = places + 2 * n, state.active = places + 3 * n;
    }
    for (int64_t b = 0; !failed && b < shown->n_samples; b++) {
        uint64_t number = shown->first + (uint64_t)b;
        failed = draw(&input, shown->probabilities + b * n_inputs, n_inputs, n_steps, shown->input_key, number);
        if (!failed && shown->labels != NULL) {
            failed = draw(&teacher, shown->taught, pools->pool_size, n_steps, shown->teacher_key, number);
        }
        if (failed) break;
        *shown->input_spikes += input.starts[n_steps];
        NAME(walk)(pools, shown, b, &state, &input, &teacher);
    }
    free(numbers);
    free(places);
    free(state.is_active);
    free(state.counts);
    release(&input);
    release(&teacher);
    return failed;
}
#endif
