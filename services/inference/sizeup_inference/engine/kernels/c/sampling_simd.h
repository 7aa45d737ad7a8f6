/* Passes over float32 arrays. sampling_passes.h includes this file once per instruction set, for
   which PASS(name) is the name of a function, TARGET its attribute, and AVX512 is 1 or 0.

   A vector is 16 floats everywhere; narrower instruction sets take several steps for one. The
   vectors are spelled out because compilers do not vectorize these loops under IEEE arithmetic. */

#define HELPER TARGET static inline __attribute__((always_inline))

/* The values from `start` on; at the end of an array of `count`, filled up. */
HELPER Floats PASS(load)(const float *values, int64_t start, int64_t count, float fill)
{
    if (start + LANES <= count) {
        Floats whole;
        memcpy(&whole, values + start, sizeof whole);
        return whole;
    }
    Floats partial = fill - (Floats){0};
    memcpy(&partial, values + start, (size_t)(count - start) * sizeof(float));
    return partial;
}

HELPER double PASS(total)(Floats lanes)
{
    double sum = 0.0;
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

HELPER Floats PASS(larger)(Floats a, Floats b)
{
#if AVX512
    return (Floats)_mm512_max_ps((__m512)a, (__m512)b);
#else
    const Ints first = (Ints)(a > b);
    return (Floats)(((Ints)a & first) | ((Ints)b & ~first));
#endif
}

/* 2^x for x <= 0, within 2 ulp; 0 below -126.5, where float32 becomes subnormal. The whole part
   goes to the exponent, the rest through the polynomial of Cephes' exp2f. */
HELPER Floats PASS(exp2_negative)(Floats x)
{
    const Floats rounder = 12583039.0f - (Floats){0}; /* 1.5 * 2^23 + 127, the exponent of 1 */
    const Floats bounded = PASS(larger)(x, -127.0f - (Floats){0});
    const Floats shifted = bounded + rounder;
    const Floats power = (Floats)((Ints)shifted << 23);
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
TARGET static float PASS(find_maxima)(const float *values, int64_t count, float *maxima)
{
    const Floats lowest = -INFINITY - (Floats){0};
    Floats largest = lowest;
    Ints valid = ~(Ints){0};
    for (int64_t start = 0; start < count; start += BLOCK) {
        const int64_t end = start + BLOCK < count ? start + BLOCK : count;
        Floats most = lowest;
        for (int64_t i = start; i < end; i += LANES) {
            const Floats x = PASS(load)(values, i, end, -INFINITY);
            most = PASS(larger)(x, most);
            valid &= (Ints)(x <= FLT_MAX);
        }
        memcpy(maxima + start / BLOCK * LANES, &most, sizeof most);
        largest = PASS(larger)(most, largest);
    }
    float result = -INFINITY;
    for (int lane = 0; lane < LANES; lane++) {
        if (!valid[lane])
            return NAN;
        result = largest[lane] > result ? largest[lane] : result;
    }
    return result;
}

/* logits = -inf where the bit in `words` is 0 */
TARGET static void PASS(mask)(float *logits, int64_t count, const uint32_t *words)
{
    const Ints lanes = {1,      1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                        1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
    const Ints excluded = (Ints)(-INFINITY - (Floats){0});
    for (int64_t i = 0; i < count; i += LANES) {
        const uint32_t bits = words[i / 32] >> (i % 32) & 0xFFFF;
        if (bits == 0xFFFF)
            continue;
        const Ints x = (Ints)PASS(load)(logits, i, count, 0.0f);
        const Ints allowed = (Ints)(((bits - (Ints){0}) & lanes) != 0);
        const Ints masked = (x & allowed) | (excluded & ~allowed);
        const int64_t left = count - i;
        memcpy(logits + i, &masked, sizeof(float) * (size_t)(left < LANES ? left : LANES));
    }
}

/* weights = 2^((logits - largest) * scale) */
TARGET static void PASS(weigh)(const float *logits, int64_t count, float largest, float scale,
                               float *weights)
{
    for (int64_t i = 0; i < count; i += LANES) {
        const Floats x = PASS(load)(logits, i, count, largest);
        const Floats weight = PASS(exp2_negative)((x - largest) * scale);
        const int64_t left = count - i;
        memcpy(weights + i, &weight, sizeof(float) * (size_t)(left < LANES ? left : LANES));
    }
}

/* Fill the sum of each block's weights; return the total. */
TARGET static double PASS(sum_weights)(const float *logits, int64_t count, float largest,
                                       float scale, double *sums)
{
    double total = 0.0;
    for (int64_t start = 0; start < count; start += BLOCK) {
        const int64_t end = start + BLOCK < count ? start + BLOCK : count;
        Floats sum = {0};
        for (int64_t i = start; i < end; i += LANES) {
            const Floats x = PASS(load)(logits, i, end, -INFINITY);
            sum += PASS(exp2_negative)((x - largest) * scale);
        }
        sums[start / BLOCK] = PASS(total)(sum);
        total += sums[start / BLOCK];
    }
    return total;
}

/* The number of values >= least. */
TARGET static double PASS(number_of)(const float *values, int64_t count, float least)
{
    Ints number = {0};
    for (int64_t i = 0; i < count; i += LANES)
        number -= (Ints)(PASS(load)(values, i, count, NAN) >= least);
    return PASS(total)(__builtin_convertvector(number, Floats));
}

/* The sum of the values >= least; they are positive. */
TARGET static double PASS(sum_of)(const float *values, int64_t count, float least)
{
    double total = 0.0;
    for (int64_t start = 0; start < count; start += CHUNK) {
        const int64_t end = start + CHUNK < count ? start + CHUNK : count;
        Floats sum = {0};
        for (int64_t i = start; i < end; i += LANES) {
            const Floats x = PASS(load)(values, i, end, 0.0f);
            sum += (Floats)((Ints)x & (Ints)(x >= least));
        }
        total += PASS(total)(sum);
    }
    return total;
}

/* weights = 0 where a value is less than `least` */
TARGET static void PASS(drop_below)(const float *values, int64_t count, float least, float *weights)
{
    for (int64_t i = 0; i < count; i++)
        weights[i] = values[i] >= least ? weights[i] : 0.0f;
}

/* Append the lanes that `kept` selects; may write up to LANES beyond. Returns their number. */
HELPER int64_t PASS(append)(int32_t *to, Ints lanes, Ints kept)
{
#if AVX512
    const __mmask16 mask = _mm512_test_epi32_mask((__m512i)kept, (__m512i)kept);
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(mask, (__m512i)lanes));
    return __builtin_popcount(mask);
#else
    int64_t number = 0;
    for (int lane = 0; lane < LANES; lane++) {
        to[number] = (int32_t)lanes[lane];
        number += kept[lane] & 1;
    }
    return number;
#endif
}

/* Append the values >= least, which begin at index `first`, and their indices. Returns their
   number. */
TARGET static int64_t PASS(collect)(const float *values, int64_t first, int64_t count, float least,
                                    int32_t *ids, float *collected)
{
    Ints index;
    for (int lane = 0; lane < LANES; lane++)
        index[lane] = (uint32_t)(first + lane);
    int64_t number = 0;
    for (int64_t i = 0; i < count; i += LANES) {
        const Floats x = PASS(load)(values, i, count, NAN);
        const Ints kept = (Ints)(x >= least);
        PASS(append)(ids + number, index, kept);
        number += PASS(append)((int32_t *)collected + number, (Ints)x, kept);
        index += LANES;
    }
    return number;
}

/* Collect the values in [least, limit), which may overwrite them. Returns their number. */
TARGET static int64_t PASS(collect_between)(const float *values, int64_t count, float least,
                                            float limit, float *collected)
{
    int64_t number = 0;
    for (int64_t i = 0; i < count; i += LANES) {
        const Floats x = PASS(load)(values, i, count, NAN);
        const Ints kept = (Ints)(x >= least) & (Ints)(x < limit);
        number += PASS(append)((int32_t *)collected + number, (Ints)x, kept);
    }
    return number;
}

static const Passes PASS(passes) = {
    PASS(find_maxima), PASS(weigh),     PASS(sum_weights),
    PASS(mask),        PASS(number_of), PASS(sum_of),
    PASS(drop_below),  PASS(collect),   PASS(collect_between),
};

#undef AVX512
#undef HELPER
#undef PASS
#undef TARGET
