/* Spikes of the input. */

#include <stdint.h>

int64_t draw_spikes(const float *probability, int64_t n_inputs, int64_t n_steps, uint64_t key, uint64_t sample,
                    uint32_t attempt, int64_t room, int32_t *starts, int32_t *inputs);
