/* The bodies of vectors.h for vectors of LANES floats. Included by one file for each set of
   instructions, which defines LANES, TABLE and, by a pragma, the instructions. */

#include <float.h>
#include <math.h>
#include <string.h>

#include "vectors.h"

typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
/* Memory that is aligned to its elements only. */
typedef float UnalignedLanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint16_t UnalignedHalves __attribute__((vector_size(2 * LANES), aligned(2)));

/* 1.5 * 2^23: adding it leaves the nearest integer below, in the lowest bits. */
#define ROUNDING 12582912.0f

#define LOAD(address)  (*(const UnalignedLanes *)(address))
#define STORE(address) (*(UnalignedLanes *)(address))

/* ---- Products ---- */

/* A panel is PARTS vectors. */
enum { PARTS = PANEL / LANES };

INLINE float widen(uint16_t value)
{
    const uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof(result));
    return result;
}

#define EACH_SUM                                                                                   \
    UNROLL(4)                                                                                      \
    for (int r = 0; r < rows; r++)                                                                 \
        UNROLL(8)                                                                                  \
    for (int p = 0; p < panels * PARTS; p++)

INLINE void lanes_bf16_block(const int rows, const int panels, const uint16_t *a, int64_t lda,
                             const void *const *weights, int64_t blocks, int64_t depth, float *c,
                             int64_t ldc)
{
    Lanes sums[4][2 * PARTS];
    EACH_SUM sums[r][p] = (Lanes){0};
    for (int64_t j = 0; j < blocks; j++, a += depth) {
        for (int64_t k = 0; k < depth; k += 2) {
            UNROLL(8)
            for (int p = 0; p < panels * PARTS; p++) {
                const uint16_t *b = weights[p / PARTS * blocks + j];
                Bits pair;
                memcpy(&pair, b + k * PANEL + p % PARTS * 2 * LANES, sizeof(pair));
                const Lanes even = (Lanes)(pair << 16), odd = (Lanes)(pair & 0xffff0000u);
                UNROLL(4)
                for (int r = 0; r < rows; r++) {
                    sums[r][p] += even * widen(a[r * lda + k]);
                    sums[r][p] += odd * widen(a[r * lda + k + 1]);
                }
            }
        }
    }
    EACH_SUM *(UnalignedLanes *)(c + r * ldc + p * LANES) = sums[r][p];
}

INLINE void lanes_f32_block(const int rows, const int panels, const float *a, int64_t lda,
                            const void *const *weights, int64_t blocks, int64_t depth, float *c,
                            int64_t ldc)
{
    Lanes sums[4][2 * PARTS];
    EACH_SUM sums[r][p] = (Lanes){0};
    for (int64_t j = 0; j < blocks; j++, a += depth) {
        for (int64_t k = 0; k < depth; k++) {
            UNROLL(8)
            for (int p = 0; p < panels * PARTS; p++) {
                const float *b = weights[p / PARTS * blocks + j];
                Lanes column;
                memcpy(&column, b + k * PANEL + p % PARTS * LANES, sizeof(column));
                UNROLL(4)
                for (int r = 0; r < rows; r++)
                    sums[r][p] += column * a[r * lda + k];
            }
        }
    }
    EACH_SUM *(UnalignedLanes *)(c + r * ldc + p * LANES) = sums[r][p];
}

/* A product, cut into blocks whose sizes the compiler knows. */
#define MATMUL(name, block, type, high)                                                            \
    static void name(const void *a, int64_t lda, int64_t rows, const void *const *weights,         \
                     int64_t panels, int64_t blocks, int64_t depth, float *c, int64_t ldc)         \
    {                                                                                              \
        for (int64_t p = 0; p < panels;) {                                                         \
            const int wide = panels - p >= 2;                                                      \
            for (int64_t r = 0; r < rows;) {                                                       \
                const int tall = rows - r >= high;                                                 \
                const type *x = (const type *)a + r * lda;                                         \
                const void *const *w = weights + p * blocks;                                       \
                float *y = c + r * ldc + p * PANEL;                                                \
                if (tall && wide)                                                                  \
                    block(high, 2, x, lda, w, blocks, depth, y, ldc);                              \
                else if (tall)                                                                     \
                    block(high, 1, x, lda, w, blocks, depth, y, ldc);                              \
                else if (wide)                                                                     \
                    block(1, 2, x, lda, w, blocks, depth, y, ldc);                                 \
                else                                                                               \
                    block(1, 1, x, lda, w, blocks, depth, y, ldc);                                 \
                r += tall ? high : 1;                                                              \
            }                                                                                      \
            p += wide ? 2 : 1;                                                                     \
        }                                                                                          \
    }

MATMUL(lanes_bf16, lanes_bf16_block, uint16_t, 2)
MATMUL(lanes_f32, lanes_f32_block, float, 3)

/* ---- Rows ---- */

INLINE Lanes choose(Bits mask, Lanes yes, Lanes no)
{
    return (Lanes)((mask & (Bits)yes) | (~mask & (Bits)no));
}

INLINE Lanes larger(Lanes a, Lanes b)
{
    return choose((Bits)(a > b), a, b);
}

INLINE float sum_lanes(Lanes lanes)
{
    float total = 0.0f;
    for (int i = 0; i < LANES; i++)
        total += lanes[i];
    return total;
}

INLINE float largest_lane(Lanes lanes)
{
    float result = lanes[0];
    for (int i = 1; i < LANES; i++)
        result = lanes[i] > result ? lanes[i] : result;
    return result;
}

/* The upper half of the result is the value in bfloat16, but for a NaN. */
INLINE Bits round_bits(Lanes lanes)
{
    const Bits bits = (Bits)lanes;
    return bits + 0x7fffu + ((bits >> 16) & 1u);
}

INLINE Halves round_lanes(Lanes lanes)
{
    const Bits bits = (Bits)lanes, rounded = round_bits(lanes) >> 16;
    const Bits quiet = (bits >> 16) | 0x40u;
    const Bits is_nan = (Bits)((bits & 0x7fffffffu) > 0x7f800000u);
    return __builtin_convertvector((is_nan & quiet) | (~is_nan & rounded), Halves);
}

INLINE Lanes widen_lanes(const uint16_t *source)
{
    return (Lanes)(__builtin_convertvector(*(const UnalignedHalves *)source, Bits) << 16);
}

/* e^x within 2 ulp, by Cephes' polynomial over [-ln 2 / 2, ln 2 / 2]; 0 below -87, NaN of NaN. */
INLINE Lanes exp_lanes(Lanes x)
{
    const Lanes zero = {0};
    const Lanes low = choose((Bits)(x < -87.0f), zero - 87.0f, x);
    const Lanes clamped = choose((Bits)(low > 88.0f), zero + 88.0f, low);
    const Lanes shifted = clamped * 1.44269504088896341f + ROUNDING;
    const Lanes n = shifted - ROUNDING;
    const Lanes f = clamped - n * 0.693359375f + n * 2.12194440e-4f;
    Lanes y = f * 1.9875691500e-4f + 1.3981999507e-3f;
    y = y * f + 8.3334519073e-3f;
    y = y * f + 4.1665795894e-2f;
    y = y * f + 1.6666665459e-1f;
    y = y * f + 5.0000001201e-1f;
    y = y * f * f + f + 1.0f;
    const Lanes power = (Lanes)(((Bits)shifted - (Bits)(zero + ROUNDING) + 127u) << 23);
    return choose((Bits)(x < -87.0f), zero, y * power);
}

static void round_row(uint16_t *target, const float *source, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES)
        *(UnalignedHalves *)(target + i) = round_lanes(LOAD(source + i));
}

static void widen_row(float *target, const uint16_t *source, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES)
        STORE(target + i) = widen_lanes(source + i);
}

static void rms_norm(float *target, const float *source, const float *weight, int64_t count,
                     float epsilon)
{
    Lanes sums = {0};
    for (int64_t i = 0; i < count; i += LANES)
        sums += LOAD(source + i) * LOAD(source + i);
    const float factor = 1.0f / sqrtf(sum_lanes(sums) / (float)count + epsilon);
    for (int64_t i = 0; i < count; i += LANES)
        STORE(target + i) = LOAD(source + i) * factor * LOAD(weight + i);
}

static void add_row(float *target, const float *source, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES)
        STORE(target + i) = LOAD(target + i) + LOAD(source + i);
}

static void scale_row(float *target, float scale, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES)
        STORE(target + i) = LOAD(target + i) * scale;
}

static void silu_times(float *target, const float *source, int64_t panels)
{
    for (int64_t p = 0; p < panels; p++, source += 2 * PANEL, target += PANEL)
        for (int64_t i = 0; i < PANEL; i += LANES) {
            const Lanes x = LOAD(source + i);
            STORE(target + i) = x / (exp_lanes(-x) + 1.0f) * LOAD(source + PANEL + i);
        }
}

static float largest(const float *row, int64_t count)
{
    /* Two chains: a comparison waits for the one before. */
    Lanes even = LOAD(row), odd = LOAD(row + PANEL - LANES);
    int64_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        even = larger(LOAD(row + i), even);
        odd = larger(LOAD(row + i + LANES), odd);
    }
    if (i < count)
        even = larger(LOAD(row + i), even);
    return largest_lane(larger(even, odd));
}

static float largest_finite(const float *row, int64_t count)
{
    Lanes top = LOAD(row), zero = {0};
    for (int64_t i = 0; i < count; i += LANES) {
        const Lanes x = LOAD(row + i);
        top = larger(x, top);
        zero += x - x;
    }
    return largest_lane(top) + sum_lanes(zero);
}

static void exclude(float *row, const uint32_t *mask, int64_t first, int64_t count)
{
    Bits lanes;
    for (int lane = 0; lane < LANES; lane++)
        lanes[lane] = 1u << lane;
    const Bits excluded = (Bits)(-FLT_MAX - (Lanes){0});
    for (int64_t i = 0; i < count; i += LANES) {
        const uint32_t bits = mask[(first + i) / 32] >> ((first + i) % 32);
        const Bits allowed = (Bits)(((bits - (Bits){0}) & lanes) != 0);
        STORE(row + i) = (Lanes)(((Bits)LOAD(row + i) & allowed) | (excluded & ~allowed));
    }
}

static float exp_row(void *target, int64_t dtype, const float *row, float top, float scale,
                     int64_t count)
{
    Lanes total = {0};
    for (int64_t i = 0; i < count; i += LANES) {
        const Lanes x = exp_lanes((LOAD(row + i) - top) * scale);
        if (dtype == BFLOAT16)
            *(UnalignedHalves *)((uint16_t *)target + i) = round_lanes(x);
        else
            STORE((float *)target + i) = x;
        total += x;
    }
    return sum_lanes(total);
}

static void rotate(float *head, const float *cosines, const float *sines, int64_t half)
{
    for (int64_t i = 0; i < half; i += LANES) {
        const Lanes first = LOAD(head + i), second = LOAD(head + half + i);
        const Lanes c = LOAD(cosines + i), s = LOAD(sines + i);
        STORE(head + i) = first * c - second * s;
        STORE(head + half + i) = second * c + first * s;
    }
}

#include "lanes_quantized.h"
#include "sampling_simd.h"

const Vectors TABLE = {lanes_f32, lanes_bf16, round_row, widen_row,      rms_norm, add_row,
                       scale_row, silu_times, largest,   largest_finite, exclude,  exp_row,
                       rotate,    quantize,   unpack,    &passes};
