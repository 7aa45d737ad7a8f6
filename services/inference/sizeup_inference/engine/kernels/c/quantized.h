/* Quantized weights: integers of 8 or 4 bits, times a scale for each GROUP of values along K.

   Plain, [N, K]: int8 [N][K], or int4 [N][K / 2], in which byte i of a group's 16 holds the values
   i (low half) and i + 16, each plus 8; bfloat16 scales [N][K / GROUP].

   Packed: panels of 16 columns, each the values of all groups and then the scales
   [K / GROUP][16], filled up to a cache line. Values are in pairs of K, as in matmul.h: int8 as
   [K / 2][16][2]. Of int4 a line of 64 bytes has 4 pairs of 16 columns: bits 4 i to 4 i + 3 of its
   32 words are pair i, so that a shift makes each word the index into a table of 16 values. */

#ifndef SIZEUP_QUANTIZED_H
#define SIZEUP_QUANTIZED_H

#include "vectors.h"

enum { INT8 = 2, INT4 = 3 }; /* formats, after FLOAT32 and BFLOAT16 */
enum { GROUP = 32 };

/* Values of K that are unpacked at once: of four panels 32 kB of bfloat16. */
enum { PIECE = 256 };

static inline int64_t values_bytes(int64_t format, int64_t depth)
{
    return depth * PANEL / (format == INT4 ? 2 : 1);
}

/* Bytes of a packed panel of any format. */
static inline int64_t panel_bytes(int64_t format, int64_t depth)
{
    enum { LINE = 64, SCALE = 2 };
    if (format <= BFLOAT16)
        return depth * PANEL * (format == BFLOAT16 ? 2 : 4);
    const int64_t bytes = values_bytes(format, depth) + depth / GROUP * PANEL * SCALE;
    return (bytes + LINE - 1) / LINE * LINE;
}

typedef struct {
    const Vectors *vectors;
    Matmul matmul; /* of the activations' dtype */
    int64_t dtype, level, format;
} QuantizedKernels;

/* Bytes that multiply_quantized needs for up to `rows` rows and `panels` panels. */
int64_t quantized_scratch(int64_t dtype, int64_t rows, int64_t panels);

/* c[rows, 16 * panels] = a[rows, depth] times panels of quantized weights; as Matmul in one block.
 */
void multiply_quantized(const QuantizedKernels *kernels, const void *a, int64_t lda, int64_t rows,
                        const void *const *weights, int64_t panels, int64_t depth, float *c,
                        int64_t ldc, void *scratch);

/* target[k] = one column of a packed panel, in float32. */
void load_quantized_column(int64_t format, const void *panel, int64_t column, int64_t depth,
                           float *target);

/* Special instructions: products without unpacking, for few rows, and unpacking. */
typedef struct {
    void (*multiply)(int64_t format, const void *a, int64_t lda, int64_t rows,
                     const void *const *weights, int64_t panels, int64_t depth, float *c,
                     int64_t ldc);
    Unpack unpack;
} DirectKernels;

/* NULL where there are none for the dtype and level. */
const DirectKernels *direct_kernels(int64_t dtype, int64_t level);
/* Up to how many rows their products are the faster way. */
int64_t direct_rows(int64_t format, int64_t level);

#endif
