/* A competitive network of spiking neurons (Diehl & Cook 2015), one sample at a time.

   A step does its work where something happens: an input spike adds a row of weights to the conductances, and the
   learning rules touch the synapses of those inputs and neurons only that have spiked. The equations and their order are
   those of `snncore/plasticity/competition.py`. */

#ifndef REAL
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "competition.h"
#include "draw.h"

#define NO_TRACE 1e-20 /* a trace that has fallen so far is none any more */

#define REAL float
#define NAME(name) name##_f32
#define BITS int32_t
#define MANTISSA 23
#define BIAS 127
#define ROUND 12582912.0f
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define LOWEST -87.0f
#define TERMS 7
#include "competition.c"
#undef REAL
#undef NAME
#undef BITS
#undef MANTISSA
#undef BIAS
#undef ROUND
#undef LN2_HIGH
#undef LN2_LOW
#undef LOWEST
#undef TERMS
#define REAL double
#define NAME(name) name##_f64
#define BITS int64_t
#define MANTISSA 52
#define BIAS 1023
#define ROUND 6755399441055744.0
#define LN2_HIGH 6.93145751953125e-1
#define LN2_LOW 1.42860682030941723212e-6
#define LOWEST -708.0
#define TERMS 13
#include "competition.c"

#else

/* exp(x) for x <= 0 in a form that compilers turn into vector instructions: 2^k times the series of the rest. */
static inline REAL NAME(exp_of)(REAL x) {
    static const REAL inverse[] = {1, 1, (REAL)1 / 2, (REAL)1 / 3, (REAL)1 / 4, (REAL)1 / 5, (REAL)1 / 6, (REAL)1 / 7,
                                   (REAL)1 / 8, (REAL)1 / 9, (REAL)1 / 10, (REAL)1 / 11, (REAL)1 / 12, (REAL)1 / 13};
    x = x < LOWEST ? LOWEST : x;
    REAL shifted = x * (REAL)1.44269504088896340736 + ROUND;
    REAL k = shifted - ROUND;
    REAL r = x - k * LN2_HIGH - k * LN2_LOW;
    REAL sum = 1;
#pragma GCC unroll 16
    for (int term = TERMS; term > 0; term--) sum = 1 + sum * r * inverse[term];
    BITS bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (BITS)((uint64_t)bits << MANTISSA) + ((BITS)BIAS << MANTISSA);
    REAL power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

/* Exponential Euler with the mean conductances of the coming step, which then decay to its end. */
static int NAME(move)(const Cells *cells, int64_t n, REAL *restrict v, REAL *restrict g_exc, REAL *restrict g_inh,
                      int32_t *restrict waiting, const REAL *restrict threshold, uint8_t *restrict above) {
    const REAL v_rest = cells->v_rest, v_reset = cells->v_reset, e_exc = cells->e_exc, e_inh = cells->e_inh;
    const REAL mean_exc = cells->mean_exc, mean_inh = cells->mean_inh, step = cells->step;
    const REAL decay_exc = cells->decay_exc, decay_inh = cells->decay_inh;
    int any = 0;
    for (int64_t j = 0; j < n; j++) {
        REAL exc = g_exc[j] * mean_exc, inh = g_inh[j] * mean_inh;
        REAL total = 1 + exc + inh;
        REAL limit = (v_rest + exc * e_exc + inh * e_inh) / total;
        REAL moved = limit + (v[j] - limit) * NAME(exp_of)(-step * total);
        moved = waiting[j] > 0 ? v_reset : moved;
        int over = (moved > threshold[j]) & (waiting[j] <= 0);
        waiting[j] -= waiting[j] > 0;
        v[j] = moved;
        above[j] = (uint8_t)over;
        any |= over;
        g_exc[j] *= decay_exc;
        g_inh[j] *= decay_inh;
    }
    return any;
}

/* What the rule adds to a weight at a postsynaptic spike. `x` is the presynaptic trace, `slow` the second postsynaptic
   one before this spike, `since` the steps since the last input spike. */
static inline double NAME(on_post)(const Plasticity *rule, double w, double x, double slow, int64_t since) {
    switch (rule->kind) {
    case TRIPLET:
        return rule->rate_post * x * slow;
    case PAIR:
        return rule->rate_post * x;
    case POWER:
    case SYMMETRIC:
        return rule->rate_post * (x - rule->x_target) * pow(rule->w_max - w, rule->exponent);
    case EXPONENTIAL:
        return rule->rate_post
               * (x * exp(-rule->beta * w) - rule->x_target * exp(-rule->beta * (rule->w_max - w)));
    default:
        return since <= rule->window ? rule->rate_post * exp(-rule->beta * w)
                                     : -rule->alpha_minus * exp(-rule->beta_minus * (rule->w_max - w));
    }
}

static inline void NAME(change)(const Plasticity *rule, REAL *restrict weights, REAL *restrict changes, int64_t at,
                                double by) {
    if (changes) {
        changes[at] += (REAL)by;
        return;
    }
    REAL w = weights[at] + (REAL)by;
    weights[at] = w < 0 ? 0 : w > (REAL)rule->w_max ? (REAL)rule->w_max : w;
}

static inline double NAME(decayed)(const Plasticity *rule, double x, int64_t steps) {
    return steps < rule->n_decays ? x * rule->decay_pre[steps] : 0;
}

/* An input spike at a synapse: depression by the trace of the neuron. */
static inline void NAME(on_pre)(const Plasticity *rule, REAL *weights, REAL *changes, int64_t at, double x_post) {
    double w = weights[at], factor = rule->kind == SYMMETRIC ? pow(w, rule->exponent) : 1;
    NAME(change)(rule, weights, changes, at, -rule->rate_pre * x_post * factor);
}

static inline void NAME(arrive)(const Plasticity *rule, REAL *x_pre, int64_t *arrived, int64_t at, int64_t now) {
    double before = rule->additive ? NAME(decayed)(rule, x_pre[at], now - arrived[at]) : 0;
    x_pre[at] = (REAL)(before + 1);
    arrived[at] = now;
}

/* A postsynaptic spike at all synapses of a neuron. */
static void NAME(potentiate)(const Network *net, State *state, int64_t j, int64_t now) {
    const Plasticity *rule = &net->rule;
    const REAL *x_pre = state->x_pre;
    REAL *weights = state->weights, *changes = state->changes;
    double slow = ((REAL *)state->x_post_slow)[j];
    if (rule->kind == TRIPLET && slow == 0) return;
    for (int64_t i = 0; i < net->n_inputs; i++) {
        int64_t place = net->n_delays ? i * net->stride + j : i;
        int64_t since = now - state->arrived[place];
        double x = NAME(decayed)(rule, x_pre[place], since);
        if (x_pre[place] == 0) since = INT64_MAX; /* no spike has come since the state was cleared */
        int64_t at = i * net->stride + j;
        NAME(change)(rule, weights, changes, at, NAME(on_post)(rule, weights[at], x, slow, since));
    }
}

/* Scale the weights of a neuron so that they sum up to `total`; a neuron without weights stays as it is. */
static void NAME(normalise)(const Network *net, REAL *weights, int64_t j) {
    double sum = 0;
    for (int64_t i = 0; i < net->n_inputs; i++) sum += weights[i * net->stride + j];
    if (sum <= 0) return;
    REAL factor = (REAL)(net->total / sum);
    for (int64_t i = 0; i < net->n_inputs; i++) {
        REAL w = weights[i * net->stride + j] * factor;
        weights[i * net->stride + j] = w > (REAL)net->rule.w_max ? (REAL)net->rule.w_max : w;
    }
}

void NAME(normalise_all)(const Network *net, void *weights) {
    for (int64_t j = 0; j < net->n; j++) NAME(normalise)(net, weights, j);
}

/* The deliveries of a step from inputs whose synapses have delays of their own. */
static void NAME(deliver_late)(const Network *net, State *state, const Presentation *shown, int64_t step,
                               const int32_t *tracing, int64_t n_tracing) {
    REAL *g_exc = state->g_exc, *weights = state->weights;
    const REAL *x_post = state->x_post;
    const int64_t n_delays = net->n_delays, now = *state->now;
    const int depress = shown->learning && net->rule.rate_pre != 0 && n_tracing > 0;
    for (int64_t delay = 0; delay < n_delays && delay <= step; delay++) {
        int64_t sent = step - delay;
        if (sent >= shown->n_shown) continue;
        for (int32_t s = shown->starts[sent]; s < shown->starts[sent + 1]; s++) {
            int64_t i = shown->inputs[s];
            const int32_t *starts = net->delay_starts + i * (n_delays + 1);
            const int32_t *targets = net->delay_targets + i * net->n;
            REAL *row = weights + i * net->stride;
            for (int32_t k = starts[delay]; k < starts[delay + 1]; k++) g_exc[targets[k]] += row[targets[k]];
            if (!shown->learning) continue;
            for (int32_t k = starts[delay]; k < starts[delay + 1]; k++) {
                int64_t at = i * net->stride + targets[k];
                if (depress && x_post[targets[k]] != 0)
                    NAME(on_pre)(&net->rule, weights, state->changes, at, x_post[targets[k]]);
                NAME(arrive)(&net->rule, state->x_pre, state->arrived, at, now);
            }
        }
    }
    (void)tracing;
}

static void NAME(deliver)(const Network *net, State *state, const Presentation *shown, int64_t step,
                          const int32_t *tracing, int64_t n_tracing) {
    REAL *restrict g_exc = state->g_exc;
    const REAL *x_post = state->x_post;
    if (step >= shown->n_shown) return;
    for (int32_t s = shown->starts[step]; s < shown->starts[step + 1]; s++) {
        int64_t i = shown->inputs[s];
        const REAL *restrict row = (REAL *)state->weights + i * net->stride;
        for (int64_t j = 0; j < net->stride; j++) g_exc[j] += row[j];
        if (!shown->learning) continue;
        if (net->rule.rate_pre != 0)
            for (int64_t k = 0; k < n_tracing; k++)
                NAME(on_pre)(&net->rule, state->weights, state->changes, i * net->stride + tracing[k],
                             x_post[tracing[k]]);
        NAME(arrive)(&net->rule, state->x_pre, state->arrived, i, *state->now);
    }
}

/* Everything back to the beginning, but for weights and thresholds. */
void NAME(clear)(const Network *net, State *state) {
    REAL *v = state->v, *v_i = state->v_i;
    size_t row = net->stride * sizeof(REAL), places = net->n_delays ? net->n_inputs * net->stride : net->n_inputs;
    for (int64_t j = 0; j < net->stride; j++) v[j] = (REAL)net->exc.v_rest, v_i[j] = (REAL)net->inh.v_rest;
    memset(state->g_exc, 0, row), memset(state->g_inh, 0, row), memset(state->g_i, 0, row);
    memset(state->x_post, 0, row), memset(state->x_post_slow, 0, row);
    memset(state->waiting, 0, net->stride * sizeof(int32_t));
    memset(state->waiting_i, 0, net->stride * sizeof(int32_t));
    memset(state->fired, 0, net->stride), memset(state->fired_i, 0, net->stride);
    memset(state->x_pre, 0, places * sizeof(REAL)), memset(state->arrived, 0, places * sizeof(int64_t));
    *state->now = 0;
}

/* Show a sample, and the rest after it. The spikes of the excitatory neurons, or -1 without memory. */
int64_t NAME(present)(const Network *net, State *state, Presentation *shown) {
    const int64_t n = net->n, stride = net->stride;
    REAL *v = state->v, *g_inh = state->g_inh, *x_post = state->x_post, *x_slow = state->x_post_slow;
    REAL *v_i = state->v_i, *g_i = state->g_i;
    const Plasticity *rule = &net->rule;
    size_t bytes = 3 * stride * sizeof(REAL) + stride + stride * sizeof(int32_t);
    REAL *threshold = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    if (!threshold) return -1;
    REAL *threshold_i = threshold + stride, *no_inhibition = threshold_i + stride;
    int32_t *tracing = (int32_t *)(no_inhibition + stride);
    uint8_t *above = (uint8_t *)(tracing + stride);
    for (int64_t j = 0; j < stride; j++) {
        threshold[j] = j < n ? (REAL)(net->exc.v_threshold + state->theta[j]) : (REAL)INFINITY;
        threshold_i[j] = j < n ? (REAL)net->inh.v_threshold : (REAL)INFINITY;
        no_inhibition[j] = 0;
    }
    int64_t n_spikes = 0, n_tracing = 0, silent = 1, silent_i = 1;
    for (int64_t j = 0; j < n; j++) {
        if (x_post[j] != 0 || x_slow[j] != 0) tracing[n_tracing++] = (int32_t)j;
        silent &= !state->fired[j], silent_i &= !state->fired_i[j];
    }
    memset(shown->counts, 0, n * sizeof(int32_t)), memset(shown->counts_inh, 0, n * sizeof(int32_t));
    const int adapting = shown->learning && net->theta_plus != 0;
    for (int64_t step = 0; step < shown->n_steps; step++, ++*state->now) {
        /* what spiked in the step before arrives */
        if (net->has_inhibitory && !silent_i) {
            int64_t n_arriving = 0;
            for (int64_t j = 0; j < n; j++) n_arriving += state->fired_i[j];
            REAL all = (REAL)(n_arriving * net->w_inh_exc);
            for (int64_t j = 0; j < n; j++) g_inh[j] += all - state->fired_i[j] * (REAL)net->w_inh_exc;
        }
        if (net->has_inhibitory && !silent)
            for (int64_t j = 0; j < n; j++) g_i[j] += state->fired[j] * (REAL)net->w_exc_inh;
        if (shown->learning) {
            int64_t kept = 0;
            for (int64_t k = 0; k < n_tracing; k++) {
                int32_t j = tracing[k];
                x_post[j] *= (REAL)rule->decay_post, x_slow[j] *= (REAL)rule->decay_post_slow;
                if (x_post[j] < (REAL)NO_TRACE) x_post[j] = 0;
                if (x_slow[j] < (REAL)NO_TRACE) x_slow[j] = 0;
                if (x_post[j] != 0 || x_slow[j] != 0) tracing[kept++] = j;
            }
            n_tracing = kept;
            if (adapting)
                for (int64_t j = 0; j < n; j++) {
                    state->theta[j] *= net->decay_theta;
                    threshold[j] = (REAL)(net->exc.v_threshold + state->theta[j]);
                }
        }
        if (net->n_delays)
            NAME(deliver_late)(net, state, shown, step, tracing, n_tracing);
        else
            NAME(deliver)(net, state, shown, step, tracing, n_tracing);
        if (shown->traces)
            for (int64_t j = 0; j < n; j++) {
                shown->traces[(shown->n_steps + step) * n + j] = ((REAL *)state->g_exc)[j];
                shown->traces[(2 * shown->n_steps + step) * n + j] = g_inh[j];
            }
        int any = NAME(move)(&net->exc, stride, v, state->g_exc, g_inh, state->waiting, threshold, above);
        if (any && net->one_spike) {
            int64_t winner = -1;
            for (int64_t j = 0; j < n; j++)
                if (above[j] && (winner < 0 || v[j] - threshold[j] > v[winner] - threshold[winner])) winner = j;
            memset(above, 0, stride);
            above[winner] = 1;
        }
        if (any || !silent) memcpy(state->fired, above, n);
        silent = !any;
        for (int64_t j = 0; any && j < n; j++) {
            if (!above[j]) continue;
            n_spikes++;
            v[j] = (REAL)net->exc.v_reset;
            state->waiting[j] = (int32_t)net->exc.n_refractory;
            if (step < shown->n_shown) shown->counts[j]++;
            if (shown->raster) shown->raster[step * n + j] = 1;
            if (!net->has_inhibitory) {
                for (int64_t other = 0; other < n; other++) g_inh[other] += (REAL)net->w_inh_exc;
                g_inh[j] -= (REAL)net->w_inh_exc;
            }
            if (!shown->learning) continue;
            state->theta[j] += net->theta_plus;
            if (state->theta_changes) state->theta_changes[j] += net->theta_plus;
            threshold[j] = (REAL)(net->exc.v_threshold + state->theta[j]);
            NAME(potentiate)(net, state, j, *state->now);
            if (x_post[j] == 0 && x_slow[j] == 0) tracing[n_tracing++] = (int32_t)j;
            x_post[j] = rule->additive ? x_post[j] + 1 : 1;
            x_slow[j] = rule->additive ? x_slow[j] + 1 : 1;
        }
        if (shown->traces)
            for (int64_t j = 0; j < n; j++) shown->traces[step * n + j] = v[j];
        if (!net->has_inhibitory) continue;
        any = NAME(move)(&net->inh, stride, v_i, g_i, no_inhibition, state->waiting_i, threshold_i, above);
        if (any || !silent_i) memcpy(state->fired_i, above, n);
        silent_i = !any;
        for (int64_t j = 0; any && j < n; j++) {
            if (!above[j]) continue;
            v_i[j] = (REAL)net->inh.v_reset;
            state->waiting_i[j] = (int32_t)net->inh.n_refractory;
            if (step < shown->n_shown) shown->counts_inh[j]++;
            if (shown->raster_inh) shown->raster_inh[step * n + j] = 1;
        }
    }
    free(threshold);
    return n_spikes;
}

/* Show `n_samples` samples, features [n_samples][n_inputs], `numbers` of which name their random streams. 0, or -1
   without memory. With learning applied at once, the weights of all neurons that may have changed are normalised after
   each sample; where changes are collected, each sample begins with the thresholds of the first. */
int NAME(show)(const Network *net, State *state, const Course *course, const float *features, const int64_t *numbers,
               int64_t n_samples, Outcome *outcome) {
    const int64_t n_inputs = net->n_inputs, n = net->n;
    int64_t room = 4096;
    float *probability = malloc(n_inputs * sizeof(float));
    int32_t *starts = malloc((course->n_shown + 1) * sizeof(int32_t)), *inputs = malloc(room * sizeof(int32_t));
    double *theta = malloc(n * sizeof(double));
    int failed = !probability || !starts || !inputs || !theta;
    if (!failed) memcpy(theta, state->theta, n * sizeof(double));
    for (int64_t m = 0; m < n_samples && !failed; m++) {
        outcome->attempts[m] = 0, outcome->input_spikes[m] = 0;
        int64_t spikes = 0;
        if (state->changes) memcpy(state->theta, theta, n * sizeof(double));
        do {
            double chance = course->chance + outcome->attempts[m] * course->chance_raised;
            for (int64_t i = 0; i < n_inputs; i++) {
                double p = features[m * n_inputs + i] * chance;
                probability[i] = p < 1 ? (float)p : 1;
            }
            int64_t drawn;
            while ((drawn = draw_spikes(probability, n_inputs, course->n_shown, course->key, numbers[m],
                                        outcome->attempts[m], room, starts, inputs)) > room) {
                int32_t *larger = realloc(inputs, drawn * sizeof(int32_t));
                if (!larger) break;
                inputs = larger, room = drawn;
            }
            if ((failed = drawn < 0 || drawn > room)) break;
            if (course->clears) NAME(clear)(net, state);
            Presentation shown = {course->n_shown + course->n_rest, course->n_shown, starts, inputs, course->learning,
                                  outcome->counts + m * n, outcome->counts_inh + m * n, 0, 0, 0};
            if ((failed = NAME(present)(net, state, &shown) < 0)) break;
            spikes = 0;
            for (int64_t j = 0; j < n; j++) spikes += shown.counts[j];
            if (course->learning && !state->changes && net->total > 0)
                for (int64_t j = 0; j < n; j++)
                    if (!course->clears || shown.counts[j]) NAME(normalise)(net, state->weights, j);
            outcome->input_spikes[m] += drawn;
            outcome->attempts[m]++;
        } while (spikes < course->enough && outcome->attempts[m] < course->most_attempts);
    }
    free(probability), free(starts), free(inputs), free(theta);
    return failed ? -1 : 0;
}

#endif
