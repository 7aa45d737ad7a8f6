#include "matmul.h"

#include <string.h>

#if defined(__x86_64__) && defined(__linux__) && (__GNUC__ >= 11 || __clang_major__ >= 12)
#define X86_KERNELS 1
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define PRAGMA(text)  _Pragma(#text)
#define UNROLL(times) PRAGMA(GCC unroll times)
#define INLINE        static inline __attribute__((always_inline))

/* Panels that the AVX-512 kernel computes together: enough sums in flight to hide an addition. */
#define WIDE 4

#define MIN(a, b) ((a) < (b) ? (a) : (b))

#ifdef X86_KERNELS

/* Weights stream from memory, where the processor's own prefetcher stops at every page: elements to
   fetch ahead. Reads reach 0.9 of the bandwidth with it, 0.7 without. */
enum { AHEAD = 512 };

/* ---- AVX512-BF16: one instruction multiplies pairs of 16 columns with a broadcast pair. ---- */

#define TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

__attribute__((always_inline)) TARGET_BF16 static inline void
bf16_block(const int rows, const int panels, const uint16_t *a, int64_t lda,
           const void *const *weights, int64_t blocks, int64_t depth, float *c, int64_t ldc)
{
    __m512 sums[6][WIDE];
    UNROLL(6)
    for (int r = 0; r < rows; r++)
        UNROLL(4)
    for (int p = 0; p < panels; p++)
        sums[r][p] = _mm512_setzero_ps();
    for (int64_t j = 0; j < blocks; j++) {
        const uint16_t *x = a + j * depth;
        for (int64_t k = 0; k < depth; k += 2) {
            __m512bh pairs[WIDE];
            UNROLL(4)
            for (int p = 0; p < panels; p++) {
                const uint16_t *b = (const uint16_t *)weights[p * blocks + j] + k * PANEL;
                _mm_prefetch(b + AHEAD, _MM_HINT_T0);
                pairs[p] = (__m512bh)_mm512_loadu_si512(b);
            }
            UNROLL(6)
            for (int r = 0; r < rows; r++) {
                int32_t pair;
                memcpy(&pair, x + r * lda + k, sizeof(pair));
                const __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
                UNROLL(4)
                for (int p = 0; p < panels; p++)
                    sums[r][p] = _mm512_dpbf16_ps(sums[r][p], both, pairs[p]);
            }
        }
    }
    UNROLL(6)
    for (int r = 0; r < rows; r++)
        UNROLL(4)
    for (int p = 0; p < panels; p++)
        _mm512_storeu_ps(c + r * ldc + p * PANEL, sums[r][p]);
}

TARGET_BF16
static void avx512_bf16(const void *a, int64_t lda, int64_t rows, const void *const *weights,
                        int64_t panels, int64_t blocks, int64_t depth, float *c, int64_t ldc)
{
    for (int64_t p = 0; p < panels;) {
        const int64_t wide = panels - p >= WIDE ? WIDE : 1;
        for (int64_t r = 0; r < rows;) {
            const uint16_t *x = (const uint16_t *)a + r * lda;
            const void *const *w = weights + p * blocks;
            float *y = c + r * ldc + p * PANEL;
            const int64_t left = rows - r;
#define BLOCK(height, width) bf16_block(height, width, x, lda, w, blocks, depth, y, ldc)
            if (left >= 6) {
                wide == WIDE ? BLOCK(6, WIDE) : BLOCK(6, 1);
                r += 6;
            } else if (left >= 3) {
                wide == WIDE ? BLOCK(3, WIDE) : BLOCK(3, 1);
                r += 3;
            } else {
                wide == WIDE ? BLOCK(1, WIDE) : BLOCK(1, 1);
                r += 1;
            }
#undef BLOCK
        }
        p += wide;
    }
}

/* ---- AMX: tiles of 16 rows by 16 columns. The registers are configured in every call, as torch's
   own library uses them in the same thread. ---- */

#define TARGET_AMX __attribute__((target("amx-tile,amx-bf16,avx512f")))

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} TileConfig;

enum { TILE_ROWS = 16, TILE_BYTES = 64, TILE_DEPTH = 32 };

/* Tiles 0 to 3 hold the sums, 4 and 5 the rows, 6 and 7 the weights. With up to 16 rows tiles 0 to
   3 are four panels; with more, two panels of the upper 16 rows and two of the lower ones. */
TARGET_AMX static void configure(int64_t upper, int64_t lower)
{
    TileConfig config = {.palette = 1};
    for (int i = 0; i < 8; i++)
        config.bytes[i] = TILE_BYTES;
    config.rows[0] = config.rows[1] = config.rows[4] = (uint8_t)upper;
    config.rows[2] = config.rows[3] = config.rows[5] = (uint8_t)(lower ? lower : upper);
    config.rows[6] = config.rows[7] = TILE_ROWS;
    /* GCC 12 takes _tile_loadconfig to read 8 bytes only, and drops the other stores. */
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
}

/* Load a tile of weights and fetch the one that the register is to hold next. */
#define LOAD_WEIGHTS(tile, address, next)                                                          \
    do {                                                                                           \
        const uint16_t *tile_next = (next);                                                        \
        UNROLL(16)                                                                                 \
        for (int line = 0; line < TILE_ROWS; line++)                                               \
            _mm_prefetch(tile_next + line * TILE_DEPTH, _MM_HINT_T0);                              \
        _tile_loadd(tile, address, TILE_BYTES);                                                    \
    } while (0)

/* The tile of a panel after the one at `k` of block `j`: of the same block, of the next, or the
   first of the panel that follows by `stride` panels. */
INLINE const uint16_t *tile_after(const void *const *weights, int64_t j, int64_t k, int64_t blocks,
                                  int64_t depth, int64_t following)
{
    if (k + TILE_DEPTH < depth)
        return (const uint16_t *)weights[j] + (k + TILE_DEPTH) * PANEL;
    return weights[j + 1 < blocks ? j + 1 : following];
}

TARGET_AMX static void amx_one(const uint16_t *a, int64_t lda, const void *const *weights,
                               int64_t panels, int64_t blocks, int64_t depth, float *c, int64_t ldc)
{
    int64_t p = 0;
    for (; p + 4 <= panels; p += 4, weights += 4 * blocks) {
        const int64_t following = p + 8 <= panels ? 4 * blocks : 0;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int64_t j = 0; j < blocks; j++)
            for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
                _tile_loadd(4, a + j * depth + k, (size_t)lda * 2);
#define STEP(sum, tile)                                                                            \
    LOAD_WEIGHTS(tile, (const uint16_t *)weights[sum * blocks + j] + k * PANEL,                    \
                 tile_after(weights + sum * blocks, j, k, blocks, depth, following));              \
    _tile_dpbf16ps(sum, 4, tile)
                STEP(0, 6);
                STEP(1, 7);
                STEP(2, 6);
                STEP(3, 7);
#undef STEP
            }
        _tile_stored(0, c + p * PANEL, (size_t)ldc * 4);
        _tile_stored(1, c + (p + 1) * PANEL, (size_t)ldc * 4);
        _tile_stored(2, c + (p + 2) * PANEL, (size_t)ldc * 4);
        _tile_stored(3, c + (p + 3) * PANEL, (size_t)ldc * 4);
    }
    for (; p < panels; p++, weights += blocks) {
        _tile_zero(0);
        for (int64_t j = 0; j < blocks; j++)
            for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
                _tile_loadd(4, a + j * depth + k, (size_t)lda * 2);
                LOAD_WEIGHTS(6, (const uint16_t *)weights[j] + k * PANEL,
                             tile_after(weights, j, k, blocks, depth, 0));
                _tile_dpbf16ps(0, 4, 6);
            }
        _tile_stored(0, c + p * PANEL, (size_t)ldc * 4);
    }
}

/* Up to 32 rows by one or two panels; `following` is where the next call's first panel is. */
TARGET_AMX static void amx_two(const uint16_t *a, int64_t lda, const void *const *weights,
                               int64_t panels, int64_t blocks, int64_t depth, int64_t following,
                               float *c, int64_t ldc)
{
    const uint16_t *lower = a + TILE_ROWS * lda;
    const void *const *second = weights + (panels > 1 ? blocks : 0);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t j = 0; j < blocks; j++)
        for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
            _tile_loadd(4, a + j * depth + k, (size_t)lda * 2);
            LOAD_WEIGHTS(6, (const uint16_t *)weights[j] + k * PANEL,
                         tile_after(weights, j, k, blocks, depth, following));
            _tile_loadd(5, lower + j * depth + k, (size_t)lda * 2);
            LOAD_WEIGHTS(7, (const uint16_t *)second[j] + k * PANEL,
                         tile_after(second, j, k, blocks, depth, following));
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(3, 5, 7);
        }
    _tile_stored(0, c, (size_t)ldc * 4);
    _tile_stored(2, c + TILE_ROWS * ldc, (size_t)ldc * 4);
    if (panels > 1) {
        _tile_stored(1, c + PANEL, (size_t)ldc * 4);
        _tile_stored(3, c + TILE_ROWS * ldc + PANEL, (size_t)ldc * 4);
    }
}

TARGET_AMX
static void amx_bf16(const void *a, int64_t lda, int64_t rows, const void *const *weights,
                     int64_t panels, int64_t blocks, int64_t depth, float *c, int64_t ldc)
{
    const uint16_t *x = a;
    const int64_t tail = rows % (2 * TILE_ROWS), pairs = rows - tail;
    if (pairs) {
        configure(TILE_ROWS, TILE_ROWS);
        for (int64_t p = 0; p < panels; p += 2)
            for (int64_t r = 0; r < pairs; r += 2 * TILE_ROWS)
                amx_two(x + r * lda, lda, weights + p * blocks, MIN(2, panels - p), blocks, depth,
                        p + 4 <= panels ? 2 * blocks : 0, c + r * ldc + p * PANEL, ldc);
    }
    if (tail > TILE_ROWS) {
        configure(TILE_ROWS, tail - TILE_ROWS);
        for (int64_t p = 0; p < panels; p += 2)
            amx_two(x + pairs * lda, lda, weights + p * blocks, MIN(2, panels - p), blocks, depth,
                    p + 4 <= panels ? 2 * blocks : 0, c + pairs * ldc + p * PANEL, ldc);
    } else if (tail) {
        configure(tail, 0);
        amx_one(x + pairs * lda, lda, weights, panels, blocks, depth, c + pairs * ldc, ldc);
    }
    _tile_release();
}

/* Linux grants the tile registers to a process that asks for them. */
static int request_amx(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    unsigned eax, ebx, ecx, edx;
    __asm__("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(7), "c"(0));
    if (!(edx >> 22 & 1) || !(edx >> 24 & 1)) /* AMX-BF16, AMX-TILE */
        return 0;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

#endif

int64_t processor_level(void)
{
#ifdef X86_KERNELS
    if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl"))
        return PORTABLE;
    return request_amx() ? AMX : AVX512_BF16;
#else
    return PORTABLE;
#endif
}

Matmul special_matmul(int64_t dtype, int64_t level)
{
#ifdef X86_KERNELS
    if (dtype == BFLOAT16 && level == AMX)
        return amx_bf16;
    if (dtype == BFLOAT16 && level == AVX512_BF16)
        return avx512_bf16;
#endif
    (void)dtype, (void)level;
    return NULL;
}
