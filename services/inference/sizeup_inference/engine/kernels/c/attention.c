#include "attention.h"

#include <math.h>
#include <string.h>

/* Keys whose scores are kept at once, and query rows of a task: the scores stay in the L2 cache. */
enum { KEYS = 512, ROWS = 64 };

void store_row(const Heads *heads, void *target, const float *source, int64_t count)
{
    if (heads->dtype == BFLOAT16)
        heads->vectors->round_row(target, source, count);
    else
        memcpy(target, source, (size_t)count * sizeof(float));
}

static char *at(const void *pool, const Heads *heads, int64_t page, int64_t head)
{
    const int64_t bytes = heads->head_dim * heads->page_size * heads->size;
    return (char *)pool + (size_t)((page * heads->kv_heads + head) * bytes);
}

void store_kv(const Heads *heads, void *keys, void *values, const int64_t *pages, int64_t position,
              const void *key, const void *value)
{
    enum { UNIT = 4, ROW = PANEL * UNIT }; /* bytes: packing units are 4 bytes in both dtypes */
    const int64_t dim = heads->head_dim, size = heads->page_size, pairs = heads->pairs;
    const int64_t page = pages[position / size], slot = position % size;
    const size_t element = (size_t)heads->size, bytes = (size_t)dim * element;
    for (int64_t h = 0; h < heads->kv_heads; h++) {
        char *k =
            at(keys, heads, page, h) + (size_t)(slot / PANEL) * bytes * PANEL + slot % PANEL * UNIT;
        const char *from = (const char *)key + (size_t)h * bytes;
        for (size_t i = 0; i < bytes / UNIT; i++)
            memcpy(k + i * ROW, from + i * UNIT, UNIT);
        char *v = at(values, heads, page, h) + slot / pairs * ROW + slot % pairs * (int64_t)element;
        from = (const char *)value + (size_t)h * bytes;
        for (int64_t p = 0; p < dim / PANEL; p++, v += (size_t)(size * PANEL) * element)
            for (int64_t i = 0; i < PANEL; i++, from += element)
                memcpy(v + i * UNIT, from, element);
    }
}

void clear_tail(const Heads *heads, void *values, const Span *span)
{
    const int64_t size = heads->page_size, used = (span->context - 1) % size + 1;
    const int64_t page = (span->context - 1) / size, bytes = heads->size * PANEL;
    if (page * size < span->context - span->length)
        return;
    const int64_t begun = used % heads->pairs, clear = used + begun; /* half of a pair is used */
    char *v = at(values, heads, span->pages[page], 0);               /* the panels of all heads */
    for (int64_t p = 0; p < heads->kv_heads * heads->head_dim / PANEL; p++, v += size * bytes) {
        for (int64_t i = 0; begun && i < PANEL; i++)
            memset(v + (used - 1) * bytes + (2 * i + 1) * heads->size, 0, (size_t)heads->size);
        memset(v + clear * bytes, 0, (size_t)((size - clear) * bytes));
    }
}

/* Query tokens of a task: all heads of a group attend to the same keys. */
static int64_t block_tokens(const Heads *heads)
{
    return MAX(1, ROWS * heads->kv_heads / heads->heads);
}

typedef struct {
    void *query;         /* [rows, head_dim] */
    float *scores;       /* [rows, KEYS] */
    void *weights;       /* the same in the dtype */
    float *sums, *block; /* [rows, head_dim]: of all keys so far, of this block */
    float *top, *total;  /* [rows] */
    const void **key_panels, **value_panels;
} Scratch;

static Scratch lay_out(const Heads *heads, uintptr_t *next)
{
    const int64_t rows = block_tokens(heads) * (heads->heads / heads->kv_heads);
    const int64_t dim = heads->head_dim, pages = KEYS / heads->page_size;
    Scratch s;
    s.query = take(next, rows * dim * heads->size);
    s.scores = take(next, rows * KEYS * 4);
    s.weights = take(next, rows * KEYS * heads->size);
    s.sums = take(next, rows * dim * 4);
    s.block = take(next, rows * dim * 4);
    s.top = take(next, rows * 4);
    s.total = take(next, rows * 4);
    s.key_panels = take(next, KEYS / PANEL * 8);
    s.value_panels = take(next, dim / PANEL * pages * 8);
    return s;
}

int64_t attention_scratch(const Heads *heads)
{
    uintptr_t size = 0;
    lay_out(heads, &size);
    return (int64_t)size;
}

int64_t attention_tasks(const Heads *heads, const Span *span)
{
    const int64_t tokens = block_tokens(heads);
    return heads->kv_heads * ((span->length + tokens - 1) / tokens);
}

/* Softmax of one row over keys first .. last (positions within the block), the running maximum and
   total carried along; keys outside get weight zero. */
static void weigh(const Scratch *s, const Heads *heads, int64_t row, int64_t first, int64_t last,
                  int64_t columns)
{
    float *scores = s->scores + row * KEYS;
    char *weights = (char *)s->weights + (size_t)(row * KEYS) * heads->size;
    const float outside = -INFINITY;
    for (int64_t i = 0; i < MIN(first, columns); i++)
        scores[i] = outside;
    for (int64_t i = MAX(last + 1, 0); i < columns; i++)
        scores[i] = outside;
    const Vectors *vectors = heads->vectors;
    const float top = vectors->largest(scores, columns), before = s->top[row];
    if (top > before || top != top) {
        const float factor = before == -INFINITY ? 0.0f : expf((before - top) * heads->scale);
        vectors->scale_row(s->sums + row * heads->head_dim, factor, heads->head_dim);
        s->total[row] *= factor;
        s->top[row] = top;
    }
    if (s->top[row] == -INFINITY)
        memset(weights, 0, (size_t)(columns * heads->size));
    else
        s->total[row] +=
            vectors->exp_row(weights, heads->dtype, scores, s->top[row], heads->scale, columns);
}

void attend(const Attention *attention, const Span *span, int64_t task, int64_t thread)
{
    const Heads *heads = attention->heads;
    const int64_t group = heads->heads / heads->kv_heads, dim = heads->head_dim;
    const int64_t size = heads->page_size, width = heads->heads * dim;
    const int64_t head = task % heads->kv_heads;
    const int64_t begin = task / heads->kv_heads * block_tokens(heads);
    const int64_t tokens = MIN(block_tokens(heads), span->length - begin), rows = tokens * group;
    const int64_t position = span->context - span->length + begin;
    const int64_t window = attention->window ? attention->window : span->context;
    const size_t element = (size_t)heads->size;
    uintptr_t scratch = (uintptr_t)(attention->scratch + thread * attention_scratch(heads));
    const Scratch s = lay_out(heads, &scratch);

    const int64_t offset = (span->row + begin) * width + head * group * dim;
    for (int64_t i = 0; i < tokens; i++)
        memcpy((char *)s.query + (size_t)(i * group * dim) * element,
               (const char *)attention->query + (size_t)(offset + i * width) * element,
               (size_t)(group * dim) * element);
    memset(s.sums, 0, (size_t)(rows * dim) * sizeof(float));
    for (int64_t r = 0; r < rows; r++) {
        s.top[r] = -INFINITY;
        s.total[r] = 0.0f;
    }

    const int64_t oldest = MAX(0, position - window + 1) / size * size;
    for (int64_t from = oldest; from < position + tokens; from += KEYS / size * size) {
        const int64_t keys = MIN(KEYS / size * size, position + tokens - from);
        const int64_t pages = (keys + size - 1) / size, columns = pages * size;
        for (int64_t g = 0; g < pages; g++) {
            const int64_t page = span->pages[from / size + g];
            const char *k = at(attention->keys, heads, page, head);
            const char *v = at(attention->values, heads, page, head);
            for (int64_t p = 0; p < size / PANEL; p++)
                s.key_panels[g * (size / PANEL) + p] = k + (size_t)(p * dim * PANEL) * element;
            for (int64_t p = 0; p < dim / PANEL; p++)
                s.value_panels[p * pages + g] = v + (size_t)(p * size * PANEL) * element;
        }
        heads->matmul(s.query, dim, rows, s.key_panels, columns / PANEL, 1, dim, s.scores, KEYS);
        for (int64_t r = 0; r < rows; r++) {
            const int64_t own = position + r / group - from;
            weigh(&s, heads, r, own - window + 1, own, columns);
        }
        heads->matmul(s.weights, KEYS, rows, s.value_panels, dim / PANEL, pages, size, s.block,
                      dim);
        for (int64_t r = 0; r < rows; r++)
            heads->vectors->add_row(s.sums + r * dim, s.block + r * dim, dim);
    }
    for (int64_t r = 0; r < rows; r++) {
        float *sums = s.sums + r * dim;
        heads->vectors->scale_row(sums, 1.0f / s.total[r], dim);
        store_row(heads,
                  (char *)attention->output +
                      (size_t)(offset + r / group * width + r % group * dim) * element,
                  sums, dim);
    }
}
