/* Passes over float32 arrays, which sampling_simd.h has for each set of instructions. */

#ifndef SIZEUP_SAMPLING_PASSES_H
#define SIZEUP_SAMPLING_PASSES_H

#include <stdint.h>

enum {
    WIDTH = 16,   /* of a vector; narrower instruction sets take several steps for one */
    BLOCK = 256,  /* its maxima are one for each lane: bounds for top_k up to 1/16 of the row */
    CHUNK = 4096, /* values that a lane sums in float32 before it is added in float64 */
};

typedef double Measure(const float *values, int64_t count, float least);

typedef struct Passes {
    float (*find_maxima)(const float *values, int64_t count, float *maxima);
    void (*weigh)(const float *logits, int64_t count, float largest, float scale, float *weights);
    double (*sum_weights)(const float *logits, int64_t count, float largest, float scale,
                          double *sums);
    void (*mask)(float *logits, int64_t count, const uint32_t *words);
    Measure *number_of, *sum_of;
    void (*drop_below)(const float *values, int64_t count, float least, float *weights);
    int64_t (*collect)(const float *values, int64_t first, int64_t count, float least, int32_t *ids,
                       float *collected);
    int64_t (*collect_between)(const float *values, int64_t count, float least, float limit,
                               float *collected);
} Passes;

#endif
