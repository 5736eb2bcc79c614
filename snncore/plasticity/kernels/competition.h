/* What the kernels of the competitive network take. `snncore/plasticity/native.py` has the same, field by field. */

#include <stdint.h>

/* A population of conductance-based neurons. Potentials in mV, conductances in units of the leak's. */
typedef struct {
    double v_rest, v_reset, v_threshold, e_exc, e_inh;
    double decay_exc, decay_inh;     /* of the conductances in a step */
    double mean_exc, mean_inh;       /* mean of a conductance over the coming step, for 1 at its start */
    double step;                     /* dt / tau_mem */
    int64_t n_refractory;            /* steps */
} Cells;

enum { TRIPLET, PAIR, POWER, EXPONENTIAL, SYMMETRIC, RECTANGULAR };

/* The learning rule. What is not used by `kind` is ignored. */
typedef struct {
    int64_t kind, additive;          /* whether a spike adds 1 to a trace, or sets it to 1 */
    double rate_pre, rate_post, w_max, x_target, exponent, beta;
    double beta_minus, alpha_minus;  /* of RECTANGULAR, whose alpha_plus is rate_post and beta_plus is beta */
    int64_t window;                  /* steps in which RECTANGULAR takes an input spike for a cause */
    double decay_post, decay_post_slow;
    const double *decay_pre;         /* of the presynaptic trace after so many steps, [n_decays] */
    int64_t n_decays;
} Plasticity;

typedef struct {
    int64_t n_inputs, n, stride;     /* neurons, and numbers in a row of weights */
    Cells exc, inh;
    int64_t has_inhibitory;          /* else a spike adds w_inh_exc to the inhibition of all others at once */
    double w_exc_inh, w_inh_exc;
    int64_t one_spike;               /* whether at most one neuron fires in a step, the one farthest above threshold */
    double theta_plus, decay_theta;
    double total;                    /* that the weights of a neuron sum up to, 0: any */
    Plasticity rule;
    int64_t n_delays;                /* 0: all synapses act at once */
    const int32_t *delay_starts;     /* [n_inputs][n_delays + 1] into delay_targets[input] */
    const int32_t *delay_targets;    /* [n_inputs][n], the neurons in the order of their delays */
} Network;

/* Everything that changes. Reals are of the kernel's precision, thresholds always double: they move by 1e-8 of
   themselves in a step. */
typedef struct {
    void *weights;                   /* [n_inputs][stride] */
    void *changes;                   /* of the weights, where they are collected and not applied at once; or NULL */
    double *theta;                   /* [n], of the thresholds */
    double *theta_changes;           /* as `changes`, or NULL */
    void *v, *g_exc, *g_inh;         /* [stride] each */
    int32_t *waiting;                /* steps for which a neuron is refractory, [stride] */
    void *x_post, *x_post_slow;      /* traces, [stride] */
    void *v_i, *g_i;                 /* of the inhibitory neurons, [stride] */
    int32_t *waiting_i;
    uint8_t *fired, *fired_i;        /* in the step before, [stride] */
    void *x_pre;                     /* presynaptic traces as of their last arrivals, [n_inputs] or [n_inputs][stride] */
    int64_t *arrived;                /* when that was */
    int64_t *now;                    /* steps since the state was cleared */
} State;

/* One presentation: input spikes by step, and what to keep of it. */
typedef struct {
    int64_t n_steps, n_shown;        /* with the rest after the sample, and without it */
    const int32_t *starts;           /* [n_shown + 1] into inputs */
    const int32_t *inputs;           /* which inputs spike in a step */
    int64_t learning;
    int32_t *counts;                 /* [n], spikes while the sample was shown */
    int32_t *counts_inh;             /* [n] */
    uint8_t *raster, *raster_inh;    /* [n_steps][n] or NULL */
    double *traces;                  /* [3][n_steps][n], v, g_exc and g_inh of the excitatory neurons; or NULL */
} Presentation;

/* How samples are shown one after the other. */
typedef struct {
    int64_t n_shown, n_rest;         /* steps of a sample, and of silence behind it */
    int64_t clears;                  /* whether each sample begins with a cleared state */
    double chance;                   /* of a spike in a step, for a feature of 1 */
    double chance_raised;            /* what is added to that at each further attempt */
    int64_t enough;                  /* spikes of the network that a sample is taken for answered with */
    int64_t most_attempts;
    uint64_t key;                    /* of the random stream */
    int64_t learning;
} Course;

/* What came of them, sample by sample. */
typedef struct {
    int32_t *counts, *counts_inh;    /* [m][n], at the last attempt */
    int32_t *attempts;               /* [m] */
    int64_t *input_spikes;           /* [m], of all attempts */
} Outcome;
