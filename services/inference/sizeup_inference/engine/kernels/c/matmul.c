#include "matmul.h"

#include <string.h>

#ifdef X86_KERNELS

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- AVX512-BF16: one instruction multiplies pairs of 16 columns with a broadcast pair. ---- */

/* The sums of WIDE panels and up to HIGH rows fill the registers. All rows pass over a piece of
   some CHUNK values of K (32 kB of weights) before the next piece, which is fetched meanwhile:
   otherwise the first rows would wait for all of the weights and the others for none. */
enum { WIDE = 4, HIGH = 6, CHUNK = 256, LINE = 4 * PANEL / 2 };

/* How the K of a group of panels is cut: `cuts` pieces of each block, or `together` blocks. */
typedef struct {
    int64_t blocks, depth, cuts, together, count;
} Cutting;

/* `depth` values of each of `count` blocks. */
typedef struct {
    const void *const *weights; /* of the first block */
    int64_t block, count, from, depth;
} Piece;

INLINE Piece piece_at(const void *const *group, const Cutting *cutting, int64_t index)
{
    const int64_t block = index / cutting->cuts * cutting->together;
    const int64_t part = index % cutting->cuts, pairs = cutting->depth / 2;
    const int64_t from = pairs * part / cutting->cuts * 2;
    return (Piece){group + block, block, MIN(cutting->together, cutting->blocks - block), from,
                   pairs * (part + 1) / cutting->cuts * 2 - from};
}

INLINE const char *piece_weights(const Piece *piece, const Cutting *cutting, int64_t panel,
                                 int64_t block)
{
    return (const char *)piece->weights[panel * cutting->blocks + MIN(block, piece->count - 1)] +
           piece->from * LINE;
}

/* Add the products of `rows` rows to c, and fetch part `pass` of `passes` of the next piece. */
TARGET_BF16 INLINE void bf16_block(const int rows, const int panels, const uint16_t *a, int64_t lda,
                                   const Cutting *cutting, const Piece *piece, const Piece *next,
                                   int64_t pass, int64_t passes, float *c, int64_t ldc)
{
    enum { FRACTION = 256 };
    const int64_t depth = piece->depth, fetch_step = LINE * FRACTION / passes;
    const int add = piece->block + piece->from > 0;
    __m512 sums[HIGH][WIDE];
    UNROLL(6)
    for (int r = 0; r < rows; r++)
        UNROLL(4)
    for (int p = 0; p < panels; p++)
        sums[r][p] = add ? _mm512_loadu_ps(c + r * ldc + p * PANEL) : _mm512_setzero_ps();
    for (int64_t j = 0; j < piece->count; j++, a += cutting->depth) {
        const char *b[WIDE], *ahead[WIDE];
        UNROLL(4)
        for (int p = 0; p < panels; p++) {
            b[p] = piece_weights(piece, cutting, p, j);
            ahead[p] = piece_weights(next, cutting, p, j) + pass * depth * fetch_step / FRACTION;
        }
        for (int64_t k = 0; k < depth; k += 2) {
            __m512bh pairs[WIDE];
            const int64_t fetch = (int64_t)((uint64_t)(k * fetch_step) / FRACTION);
            UNROLL(4)
            for (int p = 0; p < panels; p++) {
                _mm_prefetch(ahead[p] + fetch, _MM_HINT_T0);
                pairs[p] = (__m512bh)_mm512_loadu_si512(b[p] + k * LINE);
            }
            UNROLL(6)
            for (int r = 0; r < rows; r++) {
                int32_t pair;
                memcpy(&pair, a + r * lda + k, sizeof(pair));
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

/* All rows over one piece, in passes of nearly equal heights. */
TARGET_BF16 static void bf16_piece(const uint16_t *a, int64_t lda, int64_t rows, int wide,
                                   const Cutting *cutting, const Piece *piece, const Piece *next,
                                   float *c, int64_t ldc)
{
    const int64_t passes = (rows + HIGH - 1) / HIGH;
    for (int64_t pass = 0, height; pass < passes; pass++) {
        height = rows / (passes - pass);
#define BLOCK(height, width)                                                                       \
    bf16_block(height, width, a, lda, cutting, piece, next, pass, passes, c, ldc)
#define CASE(height)                                                                               \
    case height:                                                                                   \
        wide ? BLOCK(height, WIDE) : BLOCK(height, 1);                                             \
        break
        switch (height) {
            CASE(1);
            CASE(2);
            CASE(3);
            CASE(4);
            CASE(5);
            CASE(6);
        }
#undef CASE
#undef BLOCK
        rows -= height, a += height * lda, c += height * ldc;
    }
}

TARGET_BF16
static void avx512_bf16(const void *a, int64_t lda, int64_t rows, const void *const *weights,
                        int64_t panels, int64_t blocks, int64_t depth, float *c, int64_t ldc)
{
    const int64_t cuts = (depth + CHUNK - 1) / CHUNK, together = MAX(1, CHUNK / depth);
    const Cutting cutting = {blocks, depth, cuts, together,
                             (blocks + together - 1) / together * cuts};
    for (int64_t p = 0, width; p < panels; p += width) {
        const int wide = panels - p >= WIDE;
        width = wide ? WIDE : 1;
        const void *const *group = weights + p * blocks;
        Piece piece = piece_at(group, &cutting, 0);
        for (int64_t i = 0; i < cutting.count; i++) {
            Piece next = piece_at(group, &cutting, (i + 1) % cutting.count);
            if (i + 1 == cutting.count && p + width + WIDE <= panels)
                next.weights += width * blocks;
            else if (i + 1 == cutting.count) /* the next task of a linear layer lies behind this */
                next.from += width * depth;
            bf16_piece((const uint16_t *)a + piece.block * depth + piece.from, lda, rows, wide,
                       &cutting, &piece, &next, c + p * PANEL, ldc);
            piece = next;
        }
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

int64_t sizeup_processor_level(void)
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
