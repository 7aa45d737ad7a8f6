/* Matrix products of row-major activations and packed weights.

   A packed matrix [N, K] is a row of panels of 16 columns, in which the K values of the 16 columns
   lie as [K / pairs][16][pairs]: for bfloat16 in pairs, which is at once the operand of AMX's tiles
   and of AVX512-BF16's dot product, for float32 singly. A kernel reads each weight once, in memory
   order, for as many rows as there are. */

#ifndef SIZEUP_MATMUL_H
#define SIZEUP_MATMUL_H

#include <stddef.h>
#include <stdint.h>

#include "macros.h"

enum { PANEL = 16 };
#define PANELS(columns) (((columns) + PANEL - 1) / PANEL)
enum { FLOAT32 = 0, BFLOAT16 = 1 };
enum { PORTABLE = 0, AVX512_BF16 = 1, AMX = 2 };

/* c[rows, 16 * panels] = a[rows, blocks * depth] times a packed matrix, whose K is cut into blocks
   of `depth`: weights[p * blocks + j] is the address of panel p's block j. Linear layers have one
   block; attention has one for each page of values. lda is in elements of the dtype, ldc in floats;
   depth is a multiple of 32 for bfloat16. */
typedef void (*Matmul)(const void *a, int64_t lda, int64_t rows, const void *const *weights,
                       int64_t panels, int64_t blocks, int64_t depth, float *c, int64_t ldc);

/* The highest level of this processor and compiler. */
int64_t sizeup_processor_level(void);
/* The product of these special instructions; NULL: there is none for the dtype. */
Matmul special_matmul(int64_t dtype, int64_t level);

#endif
