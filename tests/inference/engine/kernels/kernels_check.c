/* Checks of the kernels that need their internal functions, or a sanitizer, to see a fault:
   products of every shape, the thread pool, and random steps of small decoders. Compiled with the
   sources of the kernels by test_kernels_check.py. `kernels_check [LEVEL]` exits with 1 after a
   failed check. */

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "decoder.h"
#include "matmul.h"
#include "quantized.h"
#include "threads.c" /* for the number of the next job */

typedef struct Decoder Decoder;
void *sizeup_allocate(int64_t bytes);
void sizeup_free(void *memory);
void sizeup_pack(Pool *pool, int64_t format, const void *values, const void *scales,
                 int64_t columns, int64_t depth, void *target, int64_t panel_step);
void sizeup_quantize(Pool *pool, int64_t dtype, int64_t format, const void *source, int64_t rows,
                     int64_t depth, void *values, void *scales);
Decoder *sizeup_decoder_create(Pool *pool, const Model *model);
void sizeup_decoder_destroy(Decoder *decoder);
int64_t sizeup_decoder_run(Decoder *decoder, const Step *step);

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: ", __func__, __LINE__);                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ThreadSanitizer makes everything ten times slower, and products have no threads. */
#ifdef __SANITIZE_THREAD__
enum { RACES_ONLY = 1 };
#else
enum { RACES_ONLY = 0 };
#endif

static uint64_t state = 1;

static uint64_t draw(uint64_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

/* In [-1, 1), exact in bfloat16. */
static float draw_value(void)
{
    return (float)draw(256) / 128.0f - 1.0f;
}

static size_t size_of(int64_t dtype)
{
    return dtype == BFLOAT16 ? 2 : 4;
}

static void put(void *array, int64_t dtype, int64_t index, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if (dtype == BFLOAT16)
        ((uint16_t *)array)[index] = (uint16_t)(bits >> 16);
    else
        ((float *)array)[index] = value;
}

static float get(const void *array, int64_t dtype, int64_t index)
{
    if (dtype == FLOAT32)
        return ((const float *)array)[index];
    const uint32_t bits = (uint32_t)((const uint16_t *)array)[index] << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Of exactly this size, so that a sanitizer sees an access beyond it. */
static void *draw_array(int64_t dtype, int64_t count)
{
    void *array = malloc((size_t)count * size_of(dtype));
    for (int64_t i = 0; i < count; i++)
        put(array, dtype, i, draw_value());
    return array;
}

static float *draw_floats(int64_t count)
{
    return draw_array(FLOAT32, count);
}

/* ---- Products ---- */

static Matmul choose_matmul(const Vectors *vectors, int64_t dtype, int64_t level)
{
    const Matmul special = special_matmul(dtype, level);
    return special ? special : dtype == BFLOAT16 ? vectors->matmul_bf16 : vectors->matmul_f32;
}

/* One product of rows at an odd stride, against the sum in double. */
static void check_product(Pool *pool, Matmul matmul, int64_t dtype, int64_t rows, int64_t panels,
                          int64_t blocks, int64_t depth)
{
    const int64_t lda = blocks * depth + (int64_t)draw(9), ldc = panels * PANEL + (int64_t)draw(9);
    const int64_t columns = panels * PANEL - (int64_t)draw(PANEL);
    void *a = draw_array(dtype, (rows - 1) * lda + blocks * depth);
    float *c = draw_floats((rows - 1) * ldc + panels * PANEL);
    const size_t panel_bytes = (size_t)(depth * PANEL) * size_of(dtype);
    void **source = calloc((size_t)blocks, sizeof(void *));
    void **packed = calloc((size_t)blocks, sizeof(void *));
    const void **weights = calloc((size_t)(panels * blocks), sizeof(void *));
    for (int64_t j = 0; j < blocks; j++) {
        source[j] = draw_array(dtype, columns * depth);
        packed[j] = sizeup_allocate((int64_t)panel_bytes * panels);
        sizeup_pack(pool, dtype, source[j], NULL, columns, depth, packed[j], 1);
        for (int64_t p = 0; p < panels; p++)
            weights[p * blocks + j] = (char *)packed[j] + (size_t)p * panel_bytes;
    }
    matmul(a, lda, rows, weights, panels, blocks, depth, c, ldc);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t n = 0; n < panels * PANEL; n++) {
            double expected = 0, scale = 1;
            for (int64_t k = 0; n < columns && k < blocks * depth; k++) {
                const double term = (double)get(a, dtype, r * lda + k) *
                                    get(source[k / depth], dtype, n * depth + k % depth);
                expected += term, scale += fabs(term);
            }
            CHECK(fabs(c[r * ldc + n] - expected) < 1e-6 * scale,
                  "%ld rows, %ld panels, %ld blocks of %ld, dtype %ld: %g at %ld, %ld, expected %g",
                  (long)rows, (long)panels, (long)blocks, (long)depth, (long)dtype,
                  (double)c[r * ldc + n], (long)r, (long)n, expected);
        }
    for (int64_t j = 0; j < blocks; j++) {
        free(source[j]);
        sizeup_free(packed[j]);
    }
    free(source), free(packed), free(weights), free(a), free(c);
}

static void check_products(Pool *pool, const Vectors *vectors, int64_t level)
{
    for (int64_t dtype = FLOAT32; dtype <= BFLOAT16; dtype++) {
        const Matmul matmul = choose_matmul(vectors, dtype, level);
        for (int64_t rows = 1; rows <= 70; rows++)
            check_product(pool, matmul, dtype, rows, 1 + (int64_t)draw(9), 1 + (int64_t)draw(3),
                          32 * (1 + (int64_t)draw(3)));
        for (int64_t panels = 1; panels <= 9; panels++)
            for (int64_t rows = 1; rows <= 33; rows += 16)
                check_product(pool, matmul, dtype, rows, panels, 1, 32);
        /* Depths that kernels cut, evenly and not, and blocks that they take together. */
        for (int64_t rows = 1; rows <= 19; rows += 3) {
            check_product(pool, matmul, dtype, rows, 9, 1, 32 * (8 + (int64_t)draw(20)));
            check_product(pool, matmul, dtype, rows, 9, 2, 32 * (8 + (int64_t)draw(3)));
            check_product(pool, matmul, dtype, rows, 9, 1 + (int64_t)draw(18), 32);
        }
    }
}

/* ---- Quantized products ---- */

/* Quantize and pack a matrix; the result is freed with sizeup_free. */
static void *pack_quantized(Pool *pool, int64_t dtype, int64_t format, const void *source,
                            int64_t columns, int64_t depth, void *packed)
{
    const int64_t bits = format == INT4 ? 4 : 8;
    void *values = malloc((size_t)(columns * depth * bits / 8));
    void *scales = malloc((size_t)(columns * depth / GROUP * 2));
    sizeup_quantize(pool, dtype, format, source, columns, depth, values, scales);
    sizeup_pack(pool, format, values, scales, columns, depth, packed, 1);
    free(values), free(scales);
    return packed;
}

/* The columns of a packed matrix, in float32: near the source, within the step of the format. */
static float *unpacked(const void *packed, int64_t format, const void *source, int64_t dtype,
                       int64_t columns, int64_t depth)
{
    float *result = malloc((size_t)(columns * depth) * 4);
    for (int64_t n = 0; n < columns; n++) {
        float *column = result + n * depth;
        load_quantized_column(format, (const char *)packed + n / PANEL * panel_bytes(format, depth),
                              n % PANEL, depth, column);
        for (int64_t g = 0; g < depth; g += GROUP) {
            float largest = 0;
            for (int64_t k = g; k < g + GROUP; k++)
                largest = fmaxf(largest, fabsf(get(source, dtype, n * depth + k)));
            /* int4 may clip the largest value by an eighth. */
            const float step = format == INT4 ? largest / 6 : largest / 127;
            for (int64_t k = g; k < g + GROUP; k++)
                CHECK(fabsf(column[k] - get(source, dtype, n * depth + k)) <= step,
                      "format %ld: %g of %g at %ld, %ld", (long)format, (double)column[k],
                      (double)get(source, dtype, n * depth + k), (long)n, (long)k);
        }
    }
    return result;
}

/* One product against the sum in double of the dequantized weights. */
static void check_quantized_product(Pool *pool, const QuantizedKernels *kernels, int64_t rows,
                                    int64_t panels, int64_t depth)
{
    const int64_t dtype = kernels->dtype, format = kernels->format;
    const int64_t lda = depth + (int64_t)draw(9), ldc = panels * PANEL + (int64_t)draw(9);
    const int64_t columns = panels * PANEL - (int64_t)draw(PANEL);
    void *a = draw_array(dtype, (rows - 1) * lda + depth);
    float *c = draw_floats((rows - 1) * ldc + panels * PANEL);
    void *source = draw_array(dtype, columns * depth);
    void *packed = sizeup_allocate(panels * panel_bytes(format, depth));
    pack_quantized(pool, dtype, format, source, columns, depth, packed);
    float *plain = unpacked(packed, format, source, dtype, columns, depth);
    const void **weights = calloc((size_t)panels, sizeof(void *));
    for (int64_t p = 0; p < panels; p++)
        weights[p] = (char *)packed + p * panel_bytes(format, depth);
    void *scratch = sizeup_allocate(quantized_scratch(dtype, rows, panels));
    multiply_quantized(kernels, a, lda, rows, weights, panels, depth, c, ldc, scratch);
    /* Weights that are unpacked are rounded to the dtype. */
    const double tolerance = dtype == BFLOAT16 ? 1.0 / 256 : 1e-6;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t n = 0; n < panels * PANEL; n++) {
            double expected = 0, scale = 1e-6;
            for (int64_t k = 0; n < columns && k < depth; k++) {
                const double term = (double)get(a, dtype, r * lda + k) * plain[n * depth + k];
                expected += term, scale += fabs(term);
            }
            CHECK(fabs(c[r * ldc + n] - expected) < tolerance * scale,
                  "%ld rows, %ld panels, depth %ld, format %ld: %g at %ld, %ld, expected %g",
                  (long)rows, (long)panels, (long)depth, (long)format, (double)c[r * ldc + n],
                  (long)r, (long)n, expected);
        }
    sizeup_free(packed), sizeup_free(scratch);
    free(a), free(c), free(source), free(plain), free(weights);
}

static void check_quantized_products(Pool *pool, const Vectors *vectors, int64_t level)
{
    for (int64_t format = INT8; format <= INT4; format++)
        for (int64_t dtype = FLOAT32; dtype <= BFLOAT16; dtype++) {
            const QuantizedKernels kernels = {vectors, choose_matmul(vectors, dtype, level), dtype,
                                              level, format};
            for (int64_t rows = 1; rows <= 70; rows += rows < 9 ? 1 : 7)
                check_quantized_product(pool, &kernels, rows, 1 + (int64_t)draw(4),
                                        GROUP * (1 + (int64_t)draw(3)));
            /* Depths around the pieces that are unpacked at once. */
            for (int64_t depth = PIECE - GROUP; depth <= 2 * PIECE + GROUP; depth += GROUP)
                check_quantized_product(pool, &kernels, 1 + (int64_t)draw(70), 4, depth);
        }
}

/* ---- Threads ---- */

/* Jobs before their number wraps: a process that is busy for days gets there. */
enum { BEFORE_WRAP = 300 };

typedef struct {
    atomic_int *claims;
    int64_t *plain; /* written by each task: a lost barrier is a data race */
} Claims;

static void claim(void *context, int64_t index, int64_t thread)
{
    const Claims *claims = context;
    (void)thread;
    atomic_fetch_add(claims->claims + index, 1);
    claims->plain[index]++;
}

static void check_threads(int64_t threads)
{
    enum { MOST = 300, JOBS = 600 };
    Pool *pool = sizeup_pool_create(threads);
    CHECK(pool_threads(pool) == threads, "%ld threads", (long)pool_threads(pool));
    atomic_store(&pool->ranges[0].ticket, (uint64_t)(UINT32_MAX - 2 * BEFORE_WRAP + 1) << 32);
    Claims claims = {calloc(MOST, sizeof(atomic_int)), calloc(MOST, sizeof(int64_t))};
    int64_t expected[MOST] = {0};
    for (int job = 0; job < JOBS; job++) {
        const int64_t count = (int64_t)draw(job % 100 ? 5 : MOST);
        pool_run(pool, claim, &claims, count);
        for (int64_t i = 0; i < count; i++)
            expected[i]++;
        for (int64_t i = 0; i < MOST; i++)
            CHECK(claims.plain[i] == expected[i] && claims.claims[i] == expected[i],
                  "task %ld ran %ld times, not %ld", (long)i, (long)claims.plain[i],
                  (long)expected[i]);
    }
    sizeup_pool_destroy(pool);
    free(claims.claims), free(claims.plain);
}

/* ---- Steps ---- */

enum { SEQUENCES = 5, PAGES = 24, MOST_TOKENS = 130, MOST_PAGES = 5 };

typedef struct {
    int64_t tokens, pages[MOST_PAGES];
} Sequence;

typedef struct {
    Pool *threads;
    Model model;
    Decoder *decoder;
    void *owned[64];
    int count;
} Subject;

static void *own(Subject *subject, void *memory)
{
    subject->owned[subject->count++] = memory;
    return memory;
}

static const void *draw_packed(Subject *s, int64_t format, int64_t columns, int64_t depth)
{
    const int64_t panels = (columns + PANEL - 1) / PANEL, dtype = s->model.dtype;
    void *source = draw_array(dtype, columns * depth);
    void *packed = own(s, malloc((size_t)(panels * panel_bytes(format, depth))));
    if (format > BFLOAT16)
        pack_quantized(s->threads, dtype, format, source, columns, depth, packed);
    else
        sizeup_pack(s->threads, dtype, source, NULL, columns, depth, packed, 1);
    free(source);
    return packed;
}

static void draw_layer(Subject *s, Layer *layer, int64_t index)
{
    const Model *m = &s->model;
    const int64_t queries = m->heads * m->head_dim, keys = m->kv_heads * m->head_dim;
    const int64_t pool = PAGES * m->page_size * keys;
    layer->input_norm = own(s, draw_floats(m->hidden));
    layer->post_norm = own(s, draw_floats(m->hidden));
    layer->q_norm = index ? own(s, draw_floats(m->head_dim)) : NULL;
    layer->k_norm = index ? own(s, draw_floats(m->head_dim)) : NULL;
    layer->qkv_bias = index ? NULL : own(s, draw_floats(queries + 2 * keys));
    layer->qkv = draw_packed(s, m->format, queries + 2 * keys, m->hidden);
    layer->o = draw_packed(s, m->format, m->hidden, queries);
    layer->gate_up = draw_packed(s, m->format, 2 * m->intermediate, m->hidden);
    layer->down = draw_packed(s, m->format, m->hidden, m->intermediate);
    layer->keys = own(s, draw_array(m->dtype, pool));
    layer->values = own(s, draw_array(m->dtype, pool));
    memset(layer->keys, 0xff, (size_t)pool * size_of(m->dtype)); /* NaN */
    memset(layer->values, 0xff, (size_t)pool * size_of(m->dtype));
    layer->window = index ? 40 : 0;
}

/* The same weights for the same seed, whatever the level and the threads. */
static void create(Subject *s, int64_t dtype, int64_t format, int64_t level, int64_t threads,
                   int tied)
{
    state = 42;
    s->count = 0;
    s->threads = sizeup_pool_create(threads);
    s->model = (Model){.dtype = dtype, .level = level, .hidden = 64, .intermediate = 96};
    Model *m = &s->model;
    m->format = format, m->head_format = format == INT4 ? INT8 : format;
    m->heads = 4, m->kv_heads = 2, m->head_dim = 32, m->vocab = 97, m->page_size = 32;
    m->layer_count = 2, m->epsilon = 1e-6, m->scale = 0.2, m->rope_scale = 1;
    m->inverse_frequencies = own(s, draw_floats(m->head_dim / 2));
    m->final_norm = own(s, draw_floats(m->hidden));
    m->head = draw_packed(s, m->head_format, m->vocab, m->hidden);
    if (!tied)
        m->embedding = m->head_format > BFLOAT16
                           ? draw_packed(s, m->head_format, m->vocab, m->hidden)
                           : own(s, draw_array(dtype, m->vocab * m->hidden));
    Layer *layers = own(s, calloc((size_t)m->layer_count, sizeof(Layer)));
    for (int64_t i = 0; i < m->layer_count; i++)
        draw_layer(s, layers + i, i);
    m->layers = layers;
    s->decoder = sizeup_decoder_create(s->threads, m);
}

static void destroy(Subject *s)
{
    sizeup_decoder_destroy(s->decoder);
    sizeup_pool_destroy(s->threads);
    while (s->count)
        free(s->owned[--s->count]);
}

/* Give every sequence pages of its own, in no order. */
static void place(Sequence *sequences)
{
    int64_t free_pages[PAGES] = {0};
    for (int64_t i = 0; i < PAGES; i++) {
        const int64_t other = (int64_t)draw((uint64_t)i + 1);
        free_pages[i] = free_pages[other];
        free_pages[other] = i;
    }
    int64_t next = 0;
    for (int s = 0; s < SEQUENCES; s++) {
        sequences[s].tokens = 0;
        for (int64_t p = 0; p < MOST_PAGES - (s == 0); p++)
            sequences[s].pages[p] = free_pages[next++];
    }
}

/* Random bits, of which one for a token of the vocabulary is 1. */
static uint32_t *draw_mask(int64_t words, int64_t vocab)
{
    uint32_t *mask = malloc((size_t)words * 4);
    for (int64_t i = 0; i < words; i++)
        mask[i] = draw(2) ? 0 : (uint32_t)draw(1ull << 32);
    const int64_t token = (int64_t)draw((uint64_t)vocab);
    mask[token / 32] |= 1u << token % 32;
    return mask;
}

static int is_allowed(const uint32_t *mask, int64_t token)
{
    return !mask || mask[token / 32] >> token % 32 & 1;
}

/* A step of random chunks of some sequences; writes the logits of their last tokens, and returns
   the number of sequences. Arrays have exactly their size. */
static int64_t run_step(Subject *subject, Sequence *sequences, float *logits)
{
    int64_t lengths[SEQUENCES], contexts[SEQUENCES], first_page[SEQUENCES], samples[SEQUENCES];
    int64_t logits_rows[SEQUENCES], pages[SEQUENCES * MOST_PAGES], spans = 0, rows = 0, used = 0;
    const int64_t most = draw(2) ? 1 : 50;
    for (int s = 0; s < SEQUENCES; s++) {
        const int64_t room = MOST_TOKENS - 32 * (s == 0) - sequences[s].tokens;
        if (!room || !draw(4))
            continue;
        const int64_t length = 1 + (int64_t)draw((uint64_t)(room < most ? room : most));
        sequences[s].tokens += length;
        first_page[spans] = used;
        for (int64_t p = 0; p * subject->model.page_size < sequences[s].tokens; p++)
            pages[used++] = sequences[s].pages[p];
        rows += length;
        lengths[spans] = length, contexts[spans] = sequences[s].tokens;
        logits_rows[spans] = spans % 3 ? spans : -1;
        samples[spans++] = rows - 1;
    }
    int64_t *ids = malloc((size_t)(rows + 1) * 8), best[SEQUENCES];
    for (int64_t i = 0; i < rows; i++)
        ids[i] = (int64_t)draw((uint64_t)subject->model.vocab);
    float *hidden = draw(2) ? NULL : draw_floats(rows * subject->model.hidden);
    const int64_t words = (subject->model.vocab + 31) / 32;
    const uint32_t *masks[SEQUENCES];
    for (int64_t s = 0; s < spans; s++)
        masks[s] = draw(2) ? NULL : draw_mask(words, subject->model.vocab);
    const Step step = {rows,  spans,   spans,       ids,   lengths, contexts, first_page,
                       pages, samples, logits_rows, masks, logits,  best,     hidden};
    if (spans) {
        CHECK(sizeup_decoder_run(subject->decoder, &step) == OK, "no memory");
        for (int64_t s = 0; s < spans; s++) {
            CHECK(best[s] >= 0 && best[s] < subject->model.vocab, "best token %ld", (long)best[s]);
            if (logits_rows[s] < 0)
                continue;
            const float *row = logits + s * subject->model.vocab;
            CHECK(is_allowed(masks[s], best[s]), "token %ld is masked", (long)best[s]);
            for (int64_t i = 0; i < subject->model.vocab; i++)
                CHECK(!is_allowed(masks[s], i) || row[i] < row[best[s]] ||
                          (row[i] == row[best[s]] && i >= best[s]),
                      "token %ld is better than %ld", (long)i, (long)best[s]);
        }
    }
    for (int64_t s = 0; s < spans; s++)
        free((void *)masks[s]);
    free(ids), free(hidden);
    return spans;
}

/* Equal steps with one thread and with several give equal logits. */
static void check_steps(int64_t dtype, int64_t format, int64_t level, int tied)
{
    enum { STEPS = 20, THREADS = 4 };
    Subject one, many;
    create(&one, dtype, format, level, 1, tied);
    create(&many, dtype, format, level, THREADS, tied);
    const int64_t count = SEQUENCES * one.model.vocab;
    float *expected = calloc((size_t)count, 4), *actual = calloc((size_t)count, 4);
    for (uint64_t round = 0; round < 3; round++) {
        Sequence sequences[SEQUENCES], same[SEQUENCES];
        state = 7 + round;
        place(sequences);
        memcpy(same, sequences, sizeof(same));
        for (int step = 0; step < STEPS; step++) {
            const uint64_t seed = state;
            run_step(&one, sequences, expected);
            state = seed;
            run_step(&many, same, actual);
            CHECK(!memcmp(expected, actual, (size_t)count * 4), "step %d depends on threads", step);
        }
    }
    free(expected), free(actual);
    destroy(&one), destroy(&many);
}

static void check_all_products(int64_t level)
{
    Pool *pool = sizeup_pool_create(3);
    /* Special instructions do not depend on the others. */
    const int64_t sets = sizeup_instruction_sets();
    for (int64_t set = level == PORTABLE ? 0 : sets - 1; set < sets; set++) {
        check_products(pool, vectors_of(set), level);
        check_quantized_products(pool, vectors_of(set), level);
    }
    sizeup_pool_destroy(pool);
}

int main(int argc, char **argv)
{
    const int64_t best = sizeup_processor_level(), level = argc > 1 ? atoi(argv[1]) : best;
    CHECK(level <= best, "this processor has no level %ld", (long)level);
    if (!RACES_ONLY)
        check_all_products(level);
    for (int64_t threads = 1; threads <= 5; threads++)
        check_threads(threads);
    for (int tied = 0; tied < 2; tied++)
        for (int64_t format = BFLOAT16; format <= INT4; format++)
            check_steps(BFLOAT16, format, level, tied);
    check_steps(FLOAT32, FLOAT32, level, 0);
    check_steps(FLOAT32, INT4, level, 1);
    return 0;
}
