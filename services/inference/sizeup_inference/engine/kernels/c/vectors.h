/* Element-by-element work on rows, and the products that need no special instructions.
   Counts are multiples of 16. lanes.h is compiled once for each set of instructions. */

#ifndef SIZEUP_VECTORS_H
#define SIZEUP_VECTORS_H

#include "matmul.h"

/* A row-major matrix of a dtype and its quantized form: see quantized.h. */
typedef struct {
    int64_t dtype, format;
    const void *source;
    int64_t rows, depth;
    uint8_t *values;
    uint16_t *scales;
} Quantization;

/* Values `from` to from + count of K of a packed panel of quantized weights, both multiples of
   GROUP, times their scales, in the dtype and the order of matmul.h. */
typedef void (*Unpack)(int64_t format, int64_t dtype, const void *panel, int64_t depth,
                       int64_t from, int64_t count, void *target);

typedef struct {
    Matmul matmul_f32, matmul_bf16;
    /* Round float32 to bfloat16: to nearest, ties to even; a NaN stays one. */
    void (*round_row)(uint16_t *target, const float *source, int64_t count);
    void (*widen_row)(float *target, const uint16_t *source, int64_t count);
    /* target = source / rms(source) * weight; target may be source. */
    void (*rms_norm)(float *target, const float *source, const float *weight, int64_t count,
                     float epsilon);
    void (*add_row)(float *target, const float *source, int64_t count);
    void (*scale_row)(float *target, float scale, int64_t count);
    /* target[i] = silu(gate[i]) * up[i]: source alternates 16 of gate and 16 of up, `panels` times.
     */
    void (*silu_times)(float *target, const float *source, int64_t panels);
    float (*largest)(const float *row, int64_t count);
    /* NaN where any value is NaN or infinite. */
    float (*largest_finite)(const float *row, int64_t count);
    /* row[i] = -FLT_MAX where bit first + i of a mask is 0; `first` is a multiple of 16. */
    void (*exclude)(float *row, const uint32_t *mask, int64_t first, int64_t count);
    /* row[i] = exp((row[i] - top) * scale), in float32 or rounded to bfloat16; returns the sum. */
    float (*exp_row)(void *target, int64_t dtype, const float *row, float top, float scale,
                     int64_t count);
    /* Rotate the first half of a head against the second by angles of these cosines and sines. */
    void (*rotate)(float *head, const float *cosines, const float *sines, int64_t half);
    /* Quantize the 16 rows from 16 * panel on, or those that there are. */
    void (*quantize)(const Quantization *quantization, int64_t panel);
    Unpack unpack;
    const struct Passes *passes; /* of sampling: sampling_passes.h */
} Vectors;

/* The number of instruction sets that this processor supports. */
int64_t sizeup_instruction_sets(void);
/* That of an index below it; the last is the fastest. */
const Vectors *vectors_of(int64_t instructions);

#endif
