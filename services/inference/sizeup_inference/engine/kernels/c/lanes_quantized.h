/* The bodies of vectors.h for quantized weights; included by lanes.h. */

#include "quantized.h"

typedef int32_t Ints __attribute__((vector_size(4 * LANES)));

/* ---- Quantizing: the values of LANES rows at once ---- */

INLINE Lanes absolute(Lanes x)
{
    return (Lanes)((Bits)x & 0x7fffffffu);
}

/* x / scale as an integer in float, within what the format holds. */
INLINE Lanes quantum(Lanes x, Lanes inverse, float reach)
{
    const Lanes zero = {0}, rounded = x * inverse + ROUNDING - ROUNDING;
    const Lanes low = larger(rounded, zero - reach);
    return choose((Bits)(low > reach - 1.0f), zero + reach - 1.0f, low);
}

/* The scale with the least squared error among those that bring the largest value to around
   -reach, each refitted to its integers. NaN where a value is NaN or infinite. */
INLINE Lanes find_scale(const Lanes *values, float reach, int steps, float step)
{
    Lanes top = {0}, not_finite = {0}, best = {0}, gained = {0};
    for (int k = 0; k < GROUP; k++) {
        top = choose((Bits)(absolute(values[k]) > absolute(top)), values[k], top);
        not_finite += values[k] - values[k];
    }
    const Bits usable = (Bits)(absolute(top) > FLT_MIN);
    for (int i = -steps; i <= steps; i++) {
        const Lanes inverse = choose(usable, -(reach + (float)i * step) / top, (Lanes){0});
        Lanes products = {0}, squares = {0};
        for (int k = 0; k < GROUP; k++) {
            const Lanes q = quantum(values[k], inverse, reach);
            products += values[k] * q;
            squares += q * q;
        }
        const Lanes scale = choose((Bits)(squares > 0.0f), products / squares, (Lanes){0});
        const Bits better = (Bits)(products * scale > gained);
        gained = choose(better, products * scale, gained);
        best = choose(better, scale, best);
    }
    return best + not_finite;
}

INLINE Lanes load_columns(const Quantization *q, int64_t row, int64_t k)
{
    Lanes values;
    for (int lane = 0; lane < LANES; lane++) {
        const int64_t last = q->rows - 1, here = row + lane < last ? row + lane : last;
        values[lane] = q->dtype == BFLOAT16
                           ? widen(((const uint16_t *)q->source)[here * q->depth + k])
                           : ((const float *)q->source)[here * q->depth + k];
    }
    return values;
}

static void quantize_group(const Quantization *q, int64_t row, int64_t group)
{
    /* For int8 the error hardly depends on the scale. */
    const float reach = q->format == INT4 ? 8.0f : 128.0f;
    Lanes values[GROUP];
    Bits integers[GROUP];
    for (int k = 0; k < GROUP; k++)
        values[k] = load_columns(q, row, group * GROUP + k);
    const Halves rounded = round_lanes(q->format == INT4 ? find_scale(values, reach, 8, 0.125f)
                                                         : find_scale(values, reach, 0, 0.0f));
    const Lanes scale = (Lanes)(__builtin_convertvector(rounded, Bits) << 16);
    const Bits usable = (Bits)(absolute(scale) > FLT_MIN);
    const Lanes inverse = choose(usable, 1.0f / scale, (Lanes){0});
    for (int k = 0; k < GROUP; k++)
        integers[k] = (Bits)(quantum(values[k], inverse, reach) + ROUNDING);
    for (int64_t lane = 0; lane < LANES && row + lane < q->rows; lane++) {
        const int64_t index = (row + lane) * (q->depth / GROUP) + group;
        uint8_t *target = q->values + index * (q->format == INT4 ? GROUP / 2 : GROUP);
        q->scales[index] = rounded[lane];
        for (int k = 0; k < GROUP / 2; k++) {
            const uint32_t low = integers[k][lane], high = integers[k + GROUP / 2][lane];
            if (q->format == INT4) {
                target[k] = (uint8_t)(((low + 8) & 15) | ((high + 8) & 15) << 4);
            } else {
                target[k] = (uint8_t)low;
                target[k + GROUP / 2] = (uint8_t)high;
            }
        }
    }
}

/* 16 rows of a matrix. */
static void quantize(const Quantization *q, int64_t panel)
{
    for (int64_t row = panel * PANEL; row < (panel + 1) * PANEL && row < q->rows; row += LANES)
        for (int64_t group = 0; group < q->depth / GROUP; group++)
            quantize_group(q, row, group);
}

/* ---- Unpacking ---- */

/* The two values of a pair of K, for LANES columns. */
typedef struct {
    Lanes even, odd;
} Pair;

INLINE Pair unpack_int8(const char *values, int64_t pair, int part)
{
    const Bits words = __builtin_convertvector(
        *(const UnalignedHalves *)(values + (pair * PANEL + part * LANES) * 2), Bits);
    return (Pair){__builtin_convertvector((Ints)(words << 24) >> 24, Lanes),
                  __builtin_convertvector((Ints)(words << 16) >> 24, Lanes)};
}

INLINE Pair unpack_int4(const char *values, int64_t pair, int part)
{
    Bits words;
    memcpy(&words, values + (pair / 4 * PANEL + part * LANES) * 4, sizeof(words));
    words >>= (uint32_t)(pair % 4 * 4);
    return (Pair){__builtin_convertvector((Ints)(words & 15u), Lanes) - 8.0f,
                  __builtin_convertvector((Ints)(words >> 16 & 15u), Lanes) - 8.0f};
}

/* Values are products with a scale in bfloat16, so a NaN stays one. */
INLINE void unpack_group(const int is_int4, const int is_bf16, const char *values,
                         const uint16_t *scales, char *target)
{
    for (int part = 0; part < PARTS; part++) {
        const Lanes scale = widen_lanes(scales + part * LANES);
        UNROLL(4)
        for (int64_t pair = 0; pair < GROUP / 2; pair++) {
            const Pair both =
                is_int4 ? unpack_int4(values, pair, part) : unpack_int8(values, pair, part);
            const Lanes even = both.even * scale, odd = both.odd * scale;
            if (is_bf16) {
                const Bits packed = round_bits(even) >> 16 | (round_bits(odd) & 0xffff0000u);
                memcpy(target + (pair * PANEL + part * LANES) * 4, &packed, sizeof(packed));
            } else {
                float *column = (float *)target + 2 * pair * PANEL + part * LANES;
                STORE(column) = even;
                STORE(column + PANEL) = odd;
            }
        }
    }
}

static void unpack(int64_t format, int64_t dtype, const void *panel, int64_t depth, int64_t from,
                   int64_t count, void *target)
{
    const char *values = (const char *)panel + values_bytes(format, from);
    const uint16_t *scales = (const uint16_t *)((const char *)panel + values_bytes(format, depth)) +
                             from / GROUP * PANEL;
    const int64_t step = values_bytes(format, GROUP);
    char *to = target;
    for (int64_t group = 0; group < count / GROUP; group++) {
        if (format == INT4 && dtype == BFLOAT16)
            unpack_group(1, 1, values, scales, to);
        else if (format == INT4)
            unpack_group(1, 0, values, scales, to);
        else if (dtype == BFLOAT16)
            unpack_group(0, 1, values, scales, to);
        else
            unpack_group(0, 0, values, scales, to);
        values += step, scales += PANEL;
        to += GROUP * PANEL * (dtype == BFLOAT16 ? 2 : 4);
    }
}
