/* Spikes as bits. */

#ifndef BITS_H
#define BITS_H

#include <stdint.h>

/* Write the neurons whose bits are set into `indices`; how many there are. */
static inline int64_t list_spikes(const uint64_t *words, int64_t n_words, int32_t *indices) {
    int64_t n = 0;
    for (int64_t w = 0; w < n_words; w++) {
        for (uint64_t word = words[w]; word != 0; word &= word - 1) {
            indices[n++] = (int32_t)(64 * w + __builtin_ctzll(word));
        }
    }
    return n;
}

/* Bytes 0 or 1, eight at a time, into bits; `n` is a multiple of 8. */
static inline void pack_flags(const uint64_t *eights, int64_t n, uint64_t *words) {
    for (int64_t start = 0; start < n; start += 64) {
        uint64_t word = 0;
        int64_t n_bytes = n - start < 64 ? (n - start) / 8 : 8;
        for (int64_t k = 0; k < n_bytes; k++) {
            word |= ((eights[start / 8 + k] * 0x0102040810204080ULL) >> 56) << (8 * k);
        }
        words[start / 64] = word;
    }
}

#endif
