#include "quantized.h"

#include <string.h>

#include "threads.h"

/* ---- Products ---- */

static int64_t unpacked_bytes(int64_t dtype)
{
    return PIECE * PANEL * (dtype == BFLOAT16 ? 2 : 4);
}

int64_t quantized_scratch(int64_t dtype, int64_t rows, int64_t panels)
{
    return panels * (unpacked_bytes(dtype) + rows * PANEL * (int64_t)sizeof(float));
}

/* For many rows a piece of K of all panels is unpacked and multiplied as if it had been stored so:
   that costs little, and every kernel can be used. Weights are rounded to the dtype. */
void multiply_quantized(const QuantizedKernels *kernels, const void *a, int64_t lda, int64_t rows,
                        const void *const *weights, int64_t panels, int64_t depth, float *c,
                        int64_t ldc, void *scratch)
{
    enum { WIDEST = 8 };
    const DirectKernels *direct = direct_kernels(kernels->dtype, kernels->level);
    if (direct && rows <= direct_rows(kernels->format, kernels->level)) {
        direct->multiply(kernels->format, a, lda, rows, weights, panels, depth, c, ldc);
        return;
    }
    const int64_t bytes = unpacked_bytes(kernels->dtype), element = bytes / (PIECE * PANEL);
    const int64_t columns = panels * PANEL;
    const Unpack unpack = direct ? direct->unpack : kernels->vectors->unpack;
    char *pieces = scratch;
    float *sums = (float *)(pieces + panels * bytes);
    const void *unpacked[WIDEST];
    for (int64_t p = 0; p < panels; p++)
        unpacked[p] = pieces + p * bytes;
    for (int64_t from = 0, count; from < depth; from += count) {
        count = MIN(PIECE, depth - from);
        for (int64_t p = 0; p < panels; p++)
            unpack(kernels->format, kernels->dtype, weights[p], depth, from, count,
                   pieces + p * bytes);
        const char *x = (const char *)a + from * element;
        if (from == 0) {
            kernels->matmul(x, lda, rows, unpacked, panels, 1, count, c, ldc);
            continue;
        }
        kernels->matmul(x, lda, rows, unpacked, panels, 1, count, sums, columns);
        for (int64_t r = 0; r < rows; r++)
            kernels->vectors->add_row(c + r * ldc, sums + r * columns, columns);
    }
}

static float scale_at(const void *panel, int64_t format, int64_t depth, int64_t k, int64_t column)
{
    const uint16_t *scales = (const uint16_t *)((const char *)panel + values_bytes(format, depth));
    const uint32_t bits = (uint32_t)scales[k / GROUP * PANEL + column] << 16;
    float scale;
    memcpy(&scale, &bits, sizeof(scale));
    return scale;
}

static int value_at(const void *panel, int64_t format, int64_t k, int64_t column)
{
    const int64_t word = column * 2 + k % 2, pair = k / 2;
    if (format == INT8)
        return ((const int8_t *)panel)[pair * PANEL * 2 + word];
    const uint16_t *line = (const uint16_t *)panel + pair / 4 * PANEL * 2;
    return (line[word] >> pair % 4 * 4 & 15) - 8;
}

void load_quantized_column(int64_t format, const void *panel, int64_t column, int64_t depth,
                           float *target)
{
    for (int64_t k = 0; k < depth; k++)
        target[k] =
            (float)value_at(panel, format, k, column) * scale_at(panel, format, depth, k, column);
}

/* ---- Quantizing and packing ---- */

static void quantize_panel(void *context, int64_t panel, int64_t thread)
{
    (void)thread;
    vectors_of(sizeup_instruction_sets() - 1)->quantize(context, panel);
}

/* Quantize a row-major matrix [rows, depth] into the plain format. */
void sizeup_quantize(Pool *pool, int64_t dtype, int64_t format, const void *source, int64_t rows,
                     int64_t depth, void *values, void *scales)
{
    Quantization quantization = {dtype, format, source, rows, depth, values, scales};
    pool_run(pool, quantize_panel, &quantization, PANELS(rows));
}

typedef struct {
    int64_t format;
    const void *values;
    const uint16_t *scales;
    char *target;
    int64_t columns, depth, panel_step;
} Packing;

/* Transpose blocks of 16 by 16 units: a cache line of each row at a time. A unit is 4 bytes. */
static void pack_units(const Packing *p, int64_t first, int64_t columns, uint32_t *target)
{
    const int64_t units = p->format == BFLOAT16 ? p->depth / 2 : p->depth;
    const uint32_t *source = (const uint32_t *)p->values + first * units;
    for (int64_t block = 0; block < units; block += 16)
        for (int64_t n = 0; n < columns; n++)
            for (int64_t k = block; k < block + 16; k++)
                target[k * PANEL + n] = source[n * units + k];
}

/* The 8 values from `first` on of a group in the plain format, as a unit of a packed line. */
static uint32_t pack_nibbles(const uint8_t *group, int64_t first)
{
    uint32_t unit = 0;
    for (int i = 0; i < 8; i++) {
        const uint32_t both = group[(first + i) % (GROUP / 2)];
        unit |= (first < GROUP / 2 ? both & 15 : both >> 4) << (i / 2 * 4 + i % 2 * 16);
    }
    return unit;
}

static void pack_quantized_column(const Packing *p, int64_t column, char *target)
{
    const int64_t groups = p->depth / GROUP, n = column % PANEL;
    uint16_t *scales = (uint16_t *)(target + values_bytes(p->format, p->depth));
    for (int64_t g = 0; g < groups; g++)
        scales[g * PANEL + n] = p->scales[column * groups + g];
    const uint8_t *from =
        (const uint8_t *)p->values + column * p->depth / (p->format == INT4 ? 2 : 1);
    if (p->format == INT8)
        for (int64_t pair = 0; pair < p->depth / 2; pair++)
            memcpy(target + (pair * PANEL + n) * 2, from + pair * 2, 2);
    else
        for (int64_t k = 0; k < p->depth; k += 8) {
            const uint32_t unit = pack_nibbles(from + k / GROUP * (GROUP / 2), k % GROUP);
            memcpy(target + (k / 8 * PANEL + n) * 4, &unit, sizeof(unit));
        }
}

static void pack_panel(void *context, int64_t panel, int64_t thread)
{
    (void)thread;
    const Packing *p = context;
    const int64_t bytes = panel_bytes(p->format, p->depth), first = panel * PANEL;
    const int64_t columns = MIN(PANEL, p->columns - first);
    char *target = p->target + panel * p->panel_step * bytes;
    if (columns < PANEL || p->format > BFLOAT16)
        memset(target, 0, (size_t)bytes);
    if (p->format <= BFLOAT16)
        pack_units(p, first, columns, (uint32_t *)target);
    else
        for (int64_t n = 0; n < columns; n++)
            pack_quantized_column(p, first + n, target);
}

/* Pack a row-major matrix [columns, depth] (the weight of a torch Linear), or the plain format of
   quantized weights with its scales, into every panel_step-th panel from `target` on. */
void sizeup_pack(Pool *pool, int64_t format, const void *values, const void *scales,
                 int64_t columns, int64_t depth, void *target, int64_t panel_step)
{
    Packing packing = {format, values, scales, target, columns, depth, panel_step};
    pool_run(pool, pack_panel, &packing, PANELS(columns));
}

int64_t sizeup_panel_bytes(int64_t format, int64_t depth)
{
    return panel_bytes(format, depth);
}
