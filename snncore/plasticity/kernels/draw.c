/* Poisson spikes: each input spikes in a step with a probability of its own, independently.

   Drawn as gaps between spikes, which are geometric, from a counter-based generator (Philox4x32-10, Salmon et al. 2011):
   what an input does in a presentation follows from key, sample, attempt and input, whatever was drawn before. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"

static void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t d0 = (uint32_t)(b >> 32) ^ c1 ^ k0, d2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c0 = d0, c1 = (uint32_t)b, c2 = d2, c3 = (uint32_t)a;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* Spikes of `n_inputs` inputs in `n_steps`, with `probability` a step: inputs[starts[t]..starts[t + 1]] spike in step t,
   in their order. Gives how many there are; of more than `room`, or without memory, nothing is stored. */
int64_t draw_spikes(const float *probability, int64_t n_inputs, int64_t n_steps, uint64_t key, uint64_t sample,
                    uint32_t attempt, int64_t room, int32_t *starts, int32_t *inputs) {
    int32_t *steps = malloc(2 * room * sizeof(int32_t));
    if (!steps) return -1;
    int32_t *who = steps + room;
    int64_t n = 0;
    const uint32_t keys[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
    memset(starts, 0, (n_steps + 1) * sizeof(int32_t));
    for (int64_t i = 0; i < n_inputs; i++) {
        float p = probability[i];
        if (!(p > 0)) continue;
        double scale = p < 1 ? 1 / log1p(-(double)p) : 0;
        uint32_t words[4];
        int64_t step = -1;
        for (uint32_t number = 0;; number++) {
            if (number % 4 == 0) {
                /* more than 2^18 spikes of an input, or 2^14 attempts, are none of this program's numbers */
                uint32_t counter[4] = {(uint32_t)i, number / 4 | attempt << 18, (uint32_t)sample, (uint32_t)(sample >> 32)};
                philox(keys, counter, words);
            }
            double gap = log((words[number % 4] + 0.5) * 0x1p-32) * scale;
            if (gap >= (double)(n_steps - 1 - step)) break;
            step += 1 + (int64_t)gap;
            if (n < room) steps[n] = (int32_t)step, who[n] = (int32_t)i, starts[step]++;
            n++;
        }
    }
    if (n <= room) {
        int32_t before = 0;
        for (int64_t t = 0; t <= n_steps; t++) {
            int32_t here = starts[t];
            starts[t] = before;
            before += here;
        }
        for (int64_t s = 0; s < n; s++) inputs[starts[steps[s]]++] = who[s];
        memmove(starts + 1, starts, n_steps * sizeof(int32_t));
        starts[0] = 0;
    }
    free(steps);
    return n;
}
