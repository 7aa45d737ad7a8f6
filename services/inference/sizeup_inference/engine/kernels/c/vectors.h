/* Element-by-element work on rows of float32. Counts are multiples of 16. */

#ifndef SIZEUP_VECTORS_H
#define SIZEUP_VECTORS_H

#include <stdint.h>

/* target = source / rms(source) * weight, over `count` values; target may be source. */
void rms_norm(float *target, const float *source, const float *weight, int64_t count, float epsilon);
void add_row(float *target, const float *source, int64_t count);
/* target = target * scale + source */
void scale_and_add(float *target, float scale, const float *source, int64_t count);
void scale_row(float *target, float scale, int64_t count);
/* target[i] = silu(gate[i]) * up[i] over `panels` panels: source alternates 16 of gate, 16 of up. */
void silu_times(float *target, const float *source, int64_t panels);
float largest(const float *row, int64_t count);
/* NaN where any value is NaN or infinite. */
float largest_finite(const float *row, int64_t count);
/* row[i] = exp((row[i] - top) * scale); returns the sum. */
float exp_row(float *row, float top, float scale, int64_t count);
/* Rotate the first half of a head against the second by the angles whose cosines and sines are given. */
void rotate(float *head, const float *cosines, const float *sines, int64_t half);

#endif
