/* The bodies of sampling_passes.h; included by lanes.h. The vectors are spelled out because
   compilers do not vectorize these loops under IEEE arithmetic. */

#include "sampling_passes.h"

typedef float Floats __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t Words __attribute__((vector_size(4 * WIDTH)));

/* The values from `start` on; at the end of an array of `count`, filled up. */
INLINE Floats load(const float *values, int64_t start, int64_t count, float fill)
{
    if (start + WIDTH <= count) {
        Floats whole;
        memcpy(&whole, values + start, sizeof whole);
        return whole;
    }
    Floats partial = fill - (Floats){0};
    memcpy(&partial, values + start, (size_t)(count - start) * sizeof(float));
    return partial;
}

INLINE double total_of(Floats lanes)
{
    double sum = 0.0;
    for (int lane = 0; lane < WIDTH; lane++)
        sum += lanes[lane];
    return sum;
}

INLINE Floats larger_of(Floats a, Floats b)
{
#if LANES == 16
    return (Floats)_mm512_max_ps((__m512)a, (__m512)b);
#else
    const Words first = (Words)(a > b);
    return (Floats)(((Words)a & first) | ((Words)b & ~first));
#endif
}

/* 2^x for x <= 0, within 2 ulp; 0 below -126.5, where float32 becomes subnormal. The whole part
   goes to the exponent, the rest through the polynomial of Cephes' exp2f. */
INLINE Floats exp2_negative(Floats x)
{
    const Floats rounder = 12583039.0f - (Floats){0}; /* 1.5 * 2^23 + 127, the exponent of 1 */
    const Floats bounded = larger_of(x, -127.0f - (Floats){0});
    const Floats shifted = bounded + rounder;
    const Floats power = (Floats)((Words)shifted << 23);
    const Floats r = bounded - (shifted - rounder);
    Floats p = r * 1.535336188e-4f + 1.339887440e-3f;
    p = p * r + 9.618437358e-3f;
    p = p * r + 5.550332471e-2f;
    p = p * r + 2.402264791e-1f;
    p = p * r + 6.931472029e-1f;
    return (p * r + 1.0f) * power;
}

/* Fill the maxima of each block, one for each lane; return the largest, NaN if a value is NaN or
   +inf. */
static float find_maxima(const float *values, int64_t count, float *maxima)
{
    const Floats lowest = -INFINITY - (Floats){0};
    Floats largest = lowest;
    Words valid = ~(Words){0};
    for (int64_t start = 0; start < count; start += BLOCK) {
        const int64_t end = start + BLOCK < count ? start + BLOCK : count;
        Floats most = lowest;
        for (int64_t i = start; i < end; i += WIDTH) {
            const Floats x = load(values, i, end, -INFINITY);
            most = larger_of(x, most);
            valid &= (Words)(x <= FLT_MAX);
        }
        memcpy(maxima + start / BLOCK * WIDTH, &most, sizeof most);
        largest = larger_of(most, largest);
    }
    float result = -INFINITY;
    for (int lane = 0; lane < WIDTH; lane++) {
        if (!valid[lane])
            return NAN;
        result = largest[lane] > result ? largest[lane] : result;
    }
    return result;
}

/* logits = -inf where the bit in `words` is 0 */
static void mask(float *logits, int64_t count, const uint32_t *words)
{
    const Words lanes = {1,      1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                         1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
    const Words excluded = (Words)(-INFINITY - (Floats){0});
    for (int64_t i = 0; i < count; i += WIDTH) {
        const uint32_t bits = words[i / 32] >> (i % 32) & 0xFFFF;
        if (bits == 0xFFFF)
            continue;
        const Words x = (Words)load(logits, i, count, 0.0f);
        const Words allowed = (Words)(((bits - (Words){0}) & lanes) != 0);
        const Words masked = (x & allowed) | (excluded & ~allowed);
        const int64_t left = count - i;
        memcpy(logits + i, &masked, sizeof(float) * (size_t)(left < WIDTH ? left : WIDTH));
    }
}

/* weights = 2^((logits - largest) * scale) */
static void weigh(const float *logits, int64_t count, float largest, float scale, float *weights)
{
    for (int64_t i = 0; i < count; i += WIDTH) {
        const Floats x = load(logits, i, count, largest);
        const Floats weight = exp2_negative((x - largest) * scale);
        const int64_t left = count - i;
        memcpy(weights + i, &weight, sizeof(float) * (size_t)(left < WIDTH ? left : WIDTH));
    }
}

/* Fill the sum of each block's weights; return the total. */
static double sum_weights(const float *logits, int64_t count, float largest, float scale,
                          double *sums)
{
    double total = 0.0;
    for (int64_t start = 0; start < count; start += BLOCK) {
        const int64_t end = start + BLOCK < count ? start + BLOCK : count;
        Floats sum = {0};
        for (int64_t i = start; i < end; i += WIDTH) {
            const Floats x = load(logits, i, end, -INFINITY);
            sum += exp2_negative((x - largest) * scale);
        }
        sums[start / BLOCK] = total_of(sum);
        total += sums[start / BLOCK];
    }
    return total;
}

/* The number of values >= least. */
static double number_of(const float *values, int64_t count, float least)
{
    Words number = {0};
    for (int64_t i = 0; i < count; i += WIDTH)
        number -= (Words)(load(values, i, count, NAN) >= least);
    return total_of(__builtin_convertvector(number, Floats));
}

/* The sum of the values >= least; they are positive. */
static double sum_of(const float *values, int64_t count, float least)
{
    double total = 0.0;
    for (int64_t start = 0; start < count; start += CHUNK) {
        const int64_t end = start + CHUNK < count ? start + CHUNK : count;
        Floats sum = {0};
        for (int64_t i = start; i < end; i += WIDTH) {
            const Floats x = load(values, i, end, 0.0f);
            sum += (Floats)((Words)x & (Words)(x >= least));
        }
        total += total_of(sum);
    }
    return total;
}

/* weights = 0 where a value is less than `least` */
static void drop_below(const float *values, int64_t count, float least, float *weights)
{
    for (int64_t i = 0; i < count; i++)
        weights[i] = values[i] >= least ? weights[i] : 0.0f;
}

/* Append the lanes that `kept` selects; may write up to WIDTH beyond. Returns their number. */
INLINE int64_t append(int32_t *to, Words lanes, Words kept)
{
#if LANES == 16
    const __mmask16 mask = _mm512_test_epi32_mask((__m512i)kept, (__m512i)kept);
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(mask, (__m512i)lanes));
    return __builtin_popcount(mask);
#else
    int64_t number = 0;
    for (int lane = 0; lane < WIDTH; lane++) {
        to[number] = (int32_t)lanes[lane];
        number += kept[lane] & 1;
    }
    return number;
#endif
}

/* Append the values >= least, which begin at index `first`, and their indices. Returns their
   number. */
static int64_t collect(const float *values, int64_t first, int64_t count, float least, int32_t *ids,
                       float *collected)
{
    Words index;
    for (int lane = 0; lane < WIDTH; lane++)
        index[lane] = (uint32_t)(first + lane);
    int64_t number = 0;
    for (int64_t i = 0; i < count; i += WIDTH) {
        const Floats x = load(values, i, count, NAN);
        const Words kept = (Words)(x >= least);
        append(ids + number, index, kept);
        number += append((int32_t *)collected + number, (Words)x, kept);
        index += WIDTH;
    }
    return number;
}

/* Collect the values in [least, limit), which may overwrite them. Returns their number. */
static int64_t collect_between(const float *values, int64_t count, float least, float limit,
                               float *collected)
{
    int64_t number = 0;
    for (int64_t i = 0; i < count; i += WIDTH) {
        const Floats x = load(values, i, count, NAN);
        const Words kept = (Words)(x >= least) & (Words)(x < limit);
        number += append((int32_t *)collected + number, (Words)x, kept);
    }
    return number;
}

static const Passes passes = {
    find_maxima, weigh, sum_weights, mask, number_of, sum_of, drop_below, collect, collect_between,
};
