/* Products of quantized weights without unpacking them to memory, by AVX512-BF16. The integers of a
   group are exact in bfloat16; the sums of a group are multiplied by the scales. */

#include "quantized.h"

#include <string.h>

#ifdef X86_KERNELS

#include <immintrin.h>

#define INLINE_BF16 TARGET_BF16 INLINE

/* Up to LOW rows by WIDE panels, or HIGH rows by two: the sums of a group and of all groups fill
   the registers. */
enum { WIDE = 4, LOW = 3, HIGH = 6, LINE = 64 };

/* Where the values that a panel needs next are fetched from: some 8 kB ahead over four panels,
   in the panel or in the one that the next task begins with. */
enum { AHEAD_INT4 = 8, AHEAD_INT8 = 4 };

typedef struct {
    const char *values;
    const uint16_t *scales;
} QuantizedPanel;

/* -8 to 7 in bfloat16, twice: what the fifth bit of an index is does not matter. */
static const uint16_t NIBBLES[32] __attribute__((aligned(64))) = {
    0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040, 0xc000, 0xbf80, 0x0000, 0x3f80, 0x4000,
    0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0, 0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040,
    0xc000, 0xbf80, 0x0000, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0};

INLINE_BF16 __m512bh unpack_pair(const int is_int4, __m512i line, const char *values, int pair,
                                 __m512i table)
{
    if (is_int4)
        return (__m512bh)_mm512_permutexvar_epi16(_mm512_srli_epi16(line, (unsigned)pair % 4 * 4),
                                                  table);
    const __m128i *bytes = (const __m128i *)(values + pair * 2 * PANEL);
    const __m512 low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(bytes)));
    const __m512 high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(bytes + 1)));
    return _mm512_cvtne2ps_pbh(high, low);
}

INLINE_BF16 __m512 load_scales(const uint16_t *scales)
{
    const __m256i halves = _mm256_loadu_si256((const __m256i *)scales);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* `groups` groups of up to HIGH rows and WIDE panels. */
INLINE_BF16 void direct_block(const int is_int4, const int rows, const int panels,
                              const uint16_t *a, int64_t lda, const QuantizedPanel *weights,
                              int64_t following, int64_t groups, float *c, int64_t ldc)
{
    enum { PAIRS = GROUP / 2 };
    const int64_t step = is_int4 ? GROUP * PANEL / 2 : GROUP * PANEL;
    const int64_t ahead = is_int4 ? AHEAD_INT4 : AHEAD_INT8;
    const __m512i table = _mm512_load_si512(NIBBLES);
    __m512 totals[HIGH][WIDE];
    UNROLL(6)
    for (int r = 0; r < rows; r++)
        UNROLL(4)
    for (int p = 0; p < panels; p++)
        totals[r][p] = _mm512_setzero_ps();
    for (int64_t g = 0; g < groups; g++) {
        const int64_t fetch =
            g + ahead < groups ? ahead * step : following + (ahead - groups) * step;
        const int64_t fetch_scales =
            g + ahead < groups ? ahead * PANEL * 2 : following + (ahead - groups) * PANEL * 2;
        __m512 sums[HIGH][WIDE];
        __m512i line[WIDE];
        UNROLL(6)
        for (int r = 0; r < rows; r++)
            UNROLL(4)
        for (int p = 0; p < panels; p++)
            sums[r][p] = _mm512_setzero_ps();
        UNROLL(16)
        for (int pair = 0; pair < PAIRS; pair++) {
            UNROLL(4)
            for (int p = 0; p < panels; p++) {
                const char *values = weights[p].values + g * step;
                if (is_int4 && pair % 4 == 0)
                    line[p] = _mm512_loadu_si512(values + pair / 4 * LINE);
                if (pair % (is_int4 ? 4 : 2) == 0)
                    _mm_prefetch(values + fetch + pair / (is_int4 ? 4 : 2) * LINE, _MM_HINT_T0);
                const __m512bh both = unpack_pair(is_int4, line[p], values, pair, table);
                UNROLL(6)
                for (int r = 0; r < rows; r++) {
                    int32_t x;
                    memcpy(&x, a + r * lda + g * GROUP + pair * 2, sizeof(x));
                    sums[r][p] = _mm512_dpbf16_ps(sums[r][p], (__m512bh)_mm512_set1_epi32(x), both);
                }
            }
        }
        UNROLL(4)
        for (int p = 0; p < panels; p++) {
            const uint16_t *scales = weights[p].scales + g * PANEL;
            _mm_prefetch((const char *)scales + fetch_scales, _MM_HINT_T0);
            const __m512 scale = load_scales(scales);
            UNROLL(6)
            for (int r = 0; r < rows; r++)
                totals[r][p] = _mm512_fmadd_ps(sums[r][p], scale, totals[r][p]);
        }
    }
    UNROLL(6)
    for (int r = 0; r < rows; r++)
        UNROLL(4)
    for (int p = 0; p < panels; p++)
        _mm512_storeu_ps(c + r * ldc + p * PANEL, totals[r][p]);
}

#define BLOCK(is_int4, height, width)                                                              \
    direct_block(is_int4, height, width, a, lda, weights + p, following, groups, c + p * PANEL, ldc)

/* Up to HIGH rows by all panels. */
#define PASS(name, is_int4)                                                                        \
    TARGET_BF16 static void name(const uint16_t *a, int64_t lda, int64_t rows,                     \
                                 const QuantizedPanel *weights, int64_t panels, int64_t following, \
                                 int64_t groups, float *c, int64_t ldc)                            \
    {                                                                                              \
        for (int64_t p = 0, width; p < panels; p += width) {                                       \
            const int64_t left = panels - p;                                                       \
            width = rows <= LOW && left >= WIDE ? WIDE : left >= 2 ? 2 : 1;                        \
            switch (rows * 8 + width) {                                                            \
                CASES(1, is_int4)                                                                  \
                CASES(2, is_int4)                                                                  \
                CASES(3, is_int4) FEWER(4, is_int4) FEWER(5, is_int4) FEWER(6, is_int4)            \
            }                                                                                      \
        }                                                                                          \
    }
#define CASE(height, width, is_int4)                                                               \
    case height * 8 + width:                                                                       \
        BLOCK(is_int4, height, width);                                                             \
        break;
#define FEWER(height, is_int4) CASE(height, 1, is_int4) CASE(height, 2, is_int4)
#define CASES(height, is_int4) FEWER(height, is_int4) CASE(height, 4, is_int4)

PASS(pass_int4, 1)
PASS(pass_int8, 0)

TARGET_BF16
static void direct(int64_t format, const void *a, int64_t lda, int64_t rows,
                   const void *const *weights, int64_t panels, int64_t depth, float *c, int64_t ldc)
{
    const int64_t following = WIDE * panel_bytes(format, depth), groups = depth / GROUP;
    const int64_t passes = (rows + HIGH - 1) / HIGH;
    const uint16_t *x = a;
    for (int64_t p = 0, width; p < panels; p += width) {
        QuantizedPanel group[WIDE];
        width = panels - p < WIDE ? panels - p : WIDE;
        for (int64_t i = 0; i < width; i++) {
            group[i].values = weights[p + i];
            group[i].scales = (const uint16_t *)(group[i].values + values_bytes(format, depth));
        }
        for (int64_t pass = 0, row = 0, height; pass < passes; pass++, row += height) {
            height = (rows - row) / (passes - pass);
            (format == INT4 ? pass_int4 : pass_int8)(x + row * lda, lda, height, group, width,
                                                     following, groups, c + row * ldc + p * PANEL,
                                                     ldc);
        }
    }
}

/* ---- Unpacking to memory ---- */

/* Scales of 16 columns, each twice: of the first 8 columns and of the others. */
typedef struct {
    __m512 columns, low, high;
} Scales;

INLINE_BF16 Scales spread_scales(const uint16_t *scales)
{
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    const __m512 columns = load_scales(scales);
    return (Scales){columns, _mm512_permutexvar_ps(twice, columns),
                    _mm512_permutexvar_ps(_mm512_add_epi32(twice, _mm512_set1_epi32(8)), columns)};
}

INLINE_BF16 void unpack_int4_group(const char *values, const Scales *scales, char *target)
{
    /* Word 2 n is the even value of column n, word 2 n + 1 the odd one. */
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u), table = _mm512_load_si512(NIBBLES);
    for (int i = 0; i < GROUP / 8; i++) {
        const __m512i line = _mm512_loadu_si512(values + i * LINE);
        UNROLL(4)
        for (int pair = 0; pair < 4; pair++, target += LINE) {
            const __m512i both = (__m512i)unpack_pair(1, line, values, pair, table);
            const __m512 even = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
            const __m512 odd = _mm512_castsi512_ps(_mm512_and_si512(both, upper));
            const __m512bh rounded = _mm512_cvtne2ps_pbh(_mm512_mul_ps(odd, scales->columns),
                                                         _mm512_mul_ps(even, scales->columns));
            _mm512_storeu_si512(target, _mm512_permutexvar_epi16(order, (__m512i)rounded));
        }
    }
}

INLINE_BF16 void unpack_int8_group(const char *values, const Scales *scales, char *target)
{
    for (int pair = 0; pair < GROUP / 2; pair++, values += 2 * PANEL, target += LINE) {
        const __m128i *bytes = (const __m128i *)values;
        const __m512 low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(bytes)));
        const __m512 high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(bytes + 1)));
        _mm512_storeu_si512(target, (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(high, scales->high),
                                                                 _mm512_mul_ps(low, scales->low)));
    }
}

TARGET_BF16
static void unpack_bf16(int64_t format, int64_t dtype, const void *panel, int64_t depth,
                        int64_t from, int64_t count, void *target)
{
    (void)dtype;
    const int64_t step = values_bytes(format, GROUP);
    const char *values = (const char *)panel + values_bytes(format, from);
    const uint16_t *scales = (const uint16_t *)((const char *)panel + values_bytes(format, depth)) +
                             from / GROUP * PANEL;
    char *to = target;
    for (int64_t group = 0; group < count / GROUP; group++) {
        const Scales spread = spread_scales(scales);
        for (int64_t line = 0; line < step; line += LINE)
            _mm_prefetch(values + AHEAD_INT4 * step + line, _MM_HINT_T0);
        if (format == INT4)
            unpack_int4_group(values, &spread, to);
        else
            unpack_int8_group(values, &spread, to);
        values += step, scales += PANEL, to += GROUP / 2 * LINE;
    }
}

static const DirectKernels KERNELS = {direct, unpack_bf16};

#endif

const DirectKernels *direct_kernels(int64_t dtype, int64_t level)
{
#ifdef X86_KERNELS
    if (dtype == BFLOAT16 && level >= AVX512_BF16)
        return &KERNELS;
#endif
    (void)dtype, (void)level;
    return NULL;
}

int64_t direct_rows(int64_t format, int64_t level)
{
    /* On a Zen 5 core, by products of 1,024 and 2,816 values of K. AMX multiplies 16 rows in the
       time that AVX512-BF16 takes for one; that figure is an estimate. */
    if (level == AMX)
        return 6;
    return format == INT4 ? 64 : 32;
}
