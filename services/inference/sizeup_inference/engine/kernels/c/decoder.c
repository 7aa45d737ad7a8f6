#include "decoder.h"
#include <float.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "quantized.h"

#if defined(__linux__)
#include <malloc.h>
#include <sys/mman.h>
#endif

/* A task of a product: four panels by up to 128 rows. Its weights (64 kB for 512 values of K) stay
   in the L2 cache while its rows pass; its sums fill 32 kB. */
enum { TASK_PANELS = 4, TASK_ROWS = 128, TASK_COLUMNS = TASK_PANELS * PANEL };

/* Rows below which norms and rotations are cheaper on one thread than shared out. */
enum { FEW_ROWS = 4 };

typedef struct {
    float value;
    int32_t token; /* -1: a logit is NaN or Inf */
} Best;

typedef struct {
    Pool *pool;
    Model model;
    Heads heads;
    int64_t capacity; /* rows */
    void *memory;
    float *x;          /* residual stream [rows, hidden] */
    float *qkv;        /* [rows, (heads + 2 * kv_heads) * head_dim] */
    void *a, *b;       /* [rows, width] in the dtype */
    int64_t width;     /* of a and b */
    float *angles;     /* cosines, then sines: [rows, head_dim] */
    float *task_sums;  /* [threads, TASK_ROWS, TASK_COLUMNS] */
    char *unpacked;    /* [threads, quantized_scratch] */
    float *row_buffer; /* [threads, width] */
    char *attention;   /* [threads, attention_scratch] */
    Best *best;        /* [threads, rows] */
    Span *spans;       /* [rows] */
    int64_t *span_of;  /* [rows] */
    int64_t *tasks;    /* [rows + 1]: first attention task of each span */
} Decoder;

/* ---- Memory ---- */

/* Large pages, where the system grants them: weights are read from end to end in every step. */
void *sizeup_allocate(int64_t bytes)
{
    enum { HUGE_PAGE = 2 << 20 };
    void *memory = NULL;
    if (posix_memalign(&memory, bytes < HUGE_PAGE ? 64 : HUGE_PAGE, (size_t)MAX(bytes, 64)))
        return NULL;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (bytes >= HUGE_PAGE)
        madvise(memory, (size_t)bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

void sizeup_free(void *memory)
{
    free(memory);
}

/* Return freed memory to the system, so that weights are not in memory twice: the matrices that
   packing has replaced are pieces of the heap, which would be kept. */
void sizeup_trim(void)
{
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

/* Bytes in which a thread unpacks quantized weights. */
static int64_t unpacked_bytes(const Decoder *d)
{
    const int is_quantized = MAX(d->model.format, d->model.head_format) > BFLOAT16;
    return is_quantized ? quantized_scratch(d->heads.dtype, TASK_ROWS, TASK_PANELS) : 0;
}

static void lay_out(Decoder *d, int64_t rows, uintptr_t *next)
{
    const Model *m = &d->model;
    const int64_t threads = pool_threads(d->pool), size = d->heads.size;
    d->x = take(next, rows * m->hidden * 4);
    d->qkv = take(next, rows * (m->heads + 2 * m->kv_heads) * m->head_dim * 4);
    d->a = take(next, rows * d->width * size);
    d->b = take(next, rows * d->width * size);
    d->angles = take(next, rows * m->head_dim * 4);
    d->task_sums = take(next, threads * TASK_ROWS * TASK_COLUMNS * 4);
    d->unpacked = take(next, threads * unpacked_bytes(d));
    d->row_buffer = take(next, threads * d->width * 4);
    d->attention = take(next, threads * attention_scratch(&d->heads));
    d->best = take(next, threads * rows * (int64_t)sizeof(Best));
    d->spans = take(next, rows * (int64_t)sizeof(Span));
    d->span_of = take(next, rows * 8);
    d->tasks = take(next, (rows + 1) * 8);
}

/* Grow the buffers to `rows`; their content is of one step only. */
static int reserve(Decoder *d, int64_t rows)
{
    if (rows <= d->capacity)
        return OK;
    Decoder measured = *d;
    uintptr_t size = 0;
    lay_out(&measured, rows, &size);
    void *memory = NULL;
    if (posix_memalign(&memory, 64, size))
        return NO_MEMORY;
    free(d->memory);
    d->memory = memory;
    uintptr_t next = (uintptr_t)memory;
    lay_out(d, rows, &next);
    d->capacity = rows;
    return OK;
}

/* Row `row` of a or b. */
static void *row_of(const Decoder *d, void *activations, int64_t row, int64_t width)
{
    return (char *)activations + (size_t)(row * width * d->heads.size);
}

/* ---- Products ---- */

typedef struct Product Product;
typedef void (*Epilogue)(const Product *product, float *sums, int64_t row, int64_t rows,
                         int64_t panel, int64_t panels, int64_t thread);

struct Product {
    Decoder *decoder;
    const void *weights;
    const void *input; /* [rows, lda] */
    int64_t format, lda, rows, depth, panels;
    Epilogue epilogue;
    const float *bias;
    const Step *step;
};

static void product_task(void *context, int64_t index, int64_t thread)
{
    const Product *p = context;
    const Heads *heads = &p->decoder->heads;
    const int64_t row_blocks = (p->rows + TASK_ROWS - 1) / TASK_ROWS;
    const int64_t panel = index / row_blocks * TASK_PANELS;
    const int64_t row = index % row_blocks * TASK_ROWS;
    const int64_t rows = MIN(TASK_ROWS, p->rows - row),
                  panels = MIN(TASK_PANELS, p->panels - panel);
    const void *weights[TASK_PANELS];
    for (int64_t i = 0; i < panels; i++)
        weights[i] =
            (const char *)p->weights + (size_t)((panel + i) * panel_bytes(p->format, p->depth));
    float *sums = p->decoder->task_sums + thread * TASK_ROWS * TASK_COLUMNS;
    const char *input = (const char *)p->input + (size_t)(row * p->lda * heads->size);
    if (p->format > BFLOAT16)
        multiply_quantized(&(QuantizedKernels){heads->vectors, heads->matmul, heads->dtype,
                                               p->decoder->model.level, p->format},
                           input, p->lda, rows, weights, panels, p->depth, sums, TASK_COLUMNS,
                           p->decoder->unpacked + thread * unpacked_bytes(p->decoder));
    else
        heads->matmul(input, p->lda, rows, weights, panels, 1, p->depth, sums, TASK_COLUMNS);
    p->epilogue(p, sums, row, rows, panel, panels, thread);
}

static void run_product(Product product)
{
    const int64_t row_blocks = (product.rows + TASK_ROWS - 1) / TASK_ROWS;
    const int64_t groups = (product.panels + TASK_PANELS - 1) / TASK_PANELS;
    pool_run(product.decoder->pool, product_task, &product, groups * row_blocks);
}

static void to_qkv(const Product *p, float *sums, int64_t row, int64_t rows, int64_t panel,
                   int64_t panels, int64_t thread)
{
    (void)thread;
    const int64_t count = panels * PANEL, stride = p->panels * PANEL;
    for (int64_t r = 0; r < rows; r++) {
        float *from = sums + r * TASK_COLUMNS;
        if (p->bias)
            p->decoder->heads.vectors->add_row(from, p->bias + panel * PANEL, count);
        memcpy(p->decoder->qkv + (row + r) * stride + panel * PANEL, from, (size_t)count * 4);
    }
}

static void to_residual(const Product *p, float *sums, int64_t row, int64_t rows, int64_t panel,
                        int64_t panels, int64_t thread)
{
    (void)thread;
    const Decoder *d = p->decoder;
    for (int64_t r = 0; r < rows; r++)
        d->heads.vectors->add_row(d->x + (row + r) * d->model.hidden + panel * PANEL,
                                  sums + r * TASK_COLUMNS, panels * PANEL);
}

/* Panels of gate and up alternate, so that a task has both of each column. */
static void to_activation(const Product *p, float *sums, int64_t row, int64_t rows, int64_t panel,
                          int64_t panels, int64_t thread)
{
    (void)thread;
    const Decoder *d = p->decoder;
    float activated[TASK_COLUMNS / 2];
    for (int64_t r = 0; r < rows; r++) {
        d->heads.vectors->silu_times(activated, sums + r * TASK_COLUMNS, panels / 2);
        char *target = row_of(d, d->b, row + r, d->width);
        store_row(&d->heads, target + panel / 2 * PANEL * d->heads.size, activated,
                  panels / 2 * PANEL);
    }
}

static int is_better(Best one, Best other)
{
    return one.value > other.value || (one.value == other.value && one.token < other.token);
}

static void keep_best(const Vectors *vectors, Best *best, const float *logits, int64_t count,
                      int64_t first)
{
    const float top = vectors->largest_finite(logits, count);
    if (isnan(top)) {
        *best = (Best){INFINITY, -1};
    } else if (top >= best->value) {
        int64_t i = 0;
        while (logits[i] != top)
            i++;
        const Best here = {top, (int32_t)(first + i)};
        if (is_better(here, *best))
            *best = here;
    }
}

static void to_logits(const Product *p, float *sums, int64_t row, int64_t rows, int64_t panel,
                      int64_t panels, int64_t thread)
{
    const Decoder *d = p->decoder;
    const int64_t first = panel * PANEL, columns = panels * PANEL;
    const int64_t count = MIN(columns, d->model.vocab - first);
    for (int64_t r = row; r < row + rows; r++, sums += TASK_COLUMNS) {
        if (p->step->masks && p->step->masks[r])
            d->heads.vectors->exclude(sums, p->step->masks[r], first, columns);
        for (int64_t i = count; i < columns; i++)
            sums[i] = sums[0];
        keep_best(d->heads.vectors, d->best + thread * p->rows + r, sums, columns, first);
        const int64_t target = p->step->logits_rows[r];
        if (target >= 0)
            memcpy(p->step->logits + target * d->model.vocab + first, sums, (size_t)count * 4);
    }
}

/* ---- Work on rows ---- */

typedef struct {
    Decoder *decoder;
    const Layer *layer;
    const Step *step;
    const float *norm;
    const int64_t *sources; /* rows of x; NULL: all */
} Rows;

static void for_rows(Decoder *d, Task task, Rows rows, int64_t count)
{
    if (count > FEW_ROWS) {
        pool_run(d->pool, task, &rows, count);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        task(&rows, i, 0);
}

static int64_t position_of(const Decoder *d, int64_t row)
{
    const Span *span = d->spans + d->span_of[row];
    return span->context - span->length + row - span->row;
}

static void load_row(const Heads *heads, float *target, const void *source, int64_t count)
{
    if (heads->dtype == BFLOAT16)
        heads->vectors->widen_row(target, source, count);
    else
        memcpy(target, source, (size_t)count * sizeof(float));
}

/* A row of the embedding, from the packed head where the two are tied: 4 bytes of every 64. */
static void load_embedding(const Decoder *d, float *target, char *buffer, int64_t token)
{
    enum { UNIT = 4, ROW = PANEL * UNIT };
    const Model *m = &d->model;
    const size_t bytes = (size_t)(m->hidden * d->heads.size);
    if (m->head_format > BFLOAT16) {
        const char *packed = m->embedding ? m->embedding : m->head;
        load_quantized_column(m->head_format,
                              packed + token / PANEL * panel_bytes(m->head_format, m->hidden),
                              token % PANEL, m->hidden, target);
        return;
    }
    if (m->embedding) {
        load_row(&d->heads, target, (const char *)m->embedding + (size_t)token * bytes, m->hidden);
        return;
    }
    const char *from =
        (const char *)m->head + (size_t)(token / PANEL) * bytes * PANEL + token % PANEL * UNIT;
    for (size_t i = 0; i < bytes / UNIT; i++)
        memcpy(buffer + i * UNIT, from + i * ROW, UNIT);
    load_row(&d->heads, target, buffer, m->hidden);
}

/* The input of the first layer, and the angles of the row's position for all of them. */
static void start_row(void *context, int64_t row, int64_t thread)
{
    const Rows *rows = context;
    Decoder *d = rows->decoder;
    const Model *m = &d->model;
    const int64_t half = m->head_dim / 2;
    float *cosines = d->angles + row * m->head_dim;
    const float position = (float)position_of(d, row);
    load_embedding(d, d->x + row * m->hidden, (char *)(d->row_buffer + thread * d->width),
                   rows->step->ids[row]);
    for (int64_t i = 0; i < half; i++) {
        const float angle = position * m->inverse_frequencies[i];
        cosines[i] = cosf(angle) * (float)m->rope_scale;
        cosines[half + i] = sinf(angle) * (float)m->rope_scale;
    }
}

/* A row of x, normalized, as the input of the next product. */
static void norm_row(void *context, int64_t row, int64_t thread)
{
    const Rows *rows = context;
    Decoder *d = rows->decoder;
    const int64_t hidden = d->model.hidden, source = rows->sources ? rows->sources[row] : row;
    float *normed = d->row_buffer + thread * d->width;
    d->heads.vectors->rms_norm(normed, d->x + source * hidden, rows->norm, hidden,
                               (float)d->model.epsilon);
    store_row(&d->heads, row_of(d, d->a, row, d->width), normed, hidden);
}

static void prepare_heads(float *heads, int64_t count, const Decoder *d, const float *norm,
                          const float *angles)
{
    const int64_t dim = d->model.head_dim;
    for (int64_t h = 0; h < count; h++, heads += dim) {
        if (norm)
            d->heads.vectors->rms_norm(heads, heads, norm, dim, (float)d->model.epsilon);
        d->heads.vectors->rotate(heads, angles, angles + dim / 2, dim / 2);
    }
}

/* Rotate queries and keys; store keys and values in the pool and the queries in `a`. */
static void rotate_row(void *context, int64_t row, int64_t thread)
{
    const Rows *rows = context;
    const Decoder *d = rows->decoder;
    const Model *m = &d->model;
    const Layer *layer = rows->layer;
    const int64_t queries = m->heads * m->head_dim, keys = m->kv_heads * m->head_dim;
    float *q = d->qkv + row * (queries + 2 * keys), *k = q + queries;
    const float *angles = d->angles + row * m->head_dim;
    prepare_heads(q, m->heads, d, layer->q_norm, angles);
    prepare_heads(k, m->kv_heads, d, layer->k_norm, angles);
    store_row(&d->heads, row_of(d, d->a, row, queries), q, queries);
    char *rounded = (char *)(d->row_buffer + thread * d->width);
    store_row(&d->heads, rounded, k, 2 * keys);
    const Span *span = d->spans + d->span_of[row];
    store_kv(&d->heads, layer->keys, layer->values, span->pages, position_of(d, row), rounded,
             rounded + keys * d->heads.size);
    if (row + 1 == span->row + span->length)
        clear_tail(&d->heads, layer->values, span);
}

/* ---- The step ---- */

static void attention_task(void *context, int64_t index, int64_t thread)
{
    const Rows *rows = context;
    const Decoder *d = rows->decoder;
    const Attention attention = {.heads = &d->heads,
                                 .keys = rows->layer->keys,
                                 .values = rows->layer->values,
                                 .window = rows->layer->window,
                                 .query = d->a,
                                 .output = d->b,
                                 .scratch = d->attention};
    int64_t low = 0, high = rows->step->spans;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        *(d->tasks[middle] <= index ? &low : &high) = middle;
    }
    attend(&attention, d->spans + low, index - d->tasks[low], thread);
}

static int lay_out_spans(Decoder *d, const Step *step)
{
    int64_t row = 0, task = 0;
    for (int64_t s = 0; s < step->spans; s++) {
        Span *span = d->spans + s;
        *span = (Span){row, step->lengths[s], step->contexts[s], step->pages + step->first_page[s]};
        for (int64_t i = 0; i < span->length; i++, row++)
            d->span_of[row] = s;
        d->tasks[s] = task;
        task += attention_tasks(&d->heads, span);
    }
    d->tasks[step->spans] = task;
    for (int64_t i = 0; i < step->rows; i++)
        if (step->ids[i] < 0 || step->ids[i] >= d->model.vocab)
            return BAD_TOKEN;
    return OK;
}

static void run_layer(Decoder *d, const Step *step, const Layer *layer)
{
    const Model *m = &d->model;
    const int64_t queries = m->heads * m->head_dim, keys = m->kv_heads * m->head_dim;
    Product p = {
        .decoder = d, .format = m->format, .rows = step->rows, .input = d->a, .lda = d->width};
    Rows rows = {.decoder = d, .layer = layer, .step = step, .norm = layer->input_norm};

    for_rows(d, norm_row, rows, step->rows);
    p.weights = layer->qkv, p.bias = layer->qkv_bias, p.epilogue = to_qkv;
    p.depth = m->hidden, p.panels = (queries + 2 * keys) / PANEL;
    run_product(p);
    for_rows(d, rotate_row, rows, step->rows);
    pool_run(d->pool, attention_task, &rows, d->tasks[step->spans]);
    p.weights = layer->o, p.bias = NULL, p.epilogue = to_residual;
    p.input = d->b, p.lda = queries, p.depth = queries, p.panels = m->hidden / PANEL;
    run_product(p);

    rows.norm = layer->post_norm;
    for_rows(d, norm_row, rows, step->rows);
    p.weights = layer->gate_up, p.epilogue = to_activation;
    p.input = d->a, p.lda = d->width, p.depth = m->hidden, p.panels = 2 * m->intermediate / PANEL;
    run_product(p);
    p.weights = layer->down, p.epilogue = to_residual;
    p.input = d->b, p.lda = d->width, p.depth = m->intermediate, p.panels = m->hidden / PANEL;
    run_product(p);
}

/* Logits and the best token of `samples` rows of `a`. */
static void run_head(Decoder *d, const Step *step)
{
    const int64_t threads = pool_threads(d->pool), samples = step->samples;
    for (int64_t i = 0; i < threads * samples; i++)
        d->best[i] = (Best){-INFINITY, INT32_MAX};
    run_product((Product){.decoder = d,
                          .weights = d->model.head,
                          .format = d->model.head_format,
                          .input = d->a,
                          .lda = d->width,
                          .rows = samples,
                          .depth = d->model.hidden,
                          .panels = PANELS(d->model.vocab),
                          .epilogue = to_logits,
                          .step = step});
    for (int64_t r = 0; r < samples; r++) {
        Best best = d->best[r];
        for (int64_t t = 1; t < threads; t++) {
            const Best other = d->best[t * samples + r];
            if (is_better(other, best))
                best = other;
        }
        step->best[r] = best.token == INT32_MAX || best.value == -FLT_MAX ? -1 : best.token;
    }
}

static void hidden_row(void *context, int64_t row, int64_t thread)
{
    (void)thread;
    const Rows *rows = context;
    const Decoder *d = rows->decoder;
    const int64_t hidden = d->model.hidden;
    d->heads.vectors->rms_norm(rows->step->hidden + row * hidden, d->x + row * hidden, rows->norm,
                               hidden, (float)d->model.epsilon);
}

int64_t sizeup_decoder_run(Decoder *d, const Step *step)
{
    int64_t failed = reserve(d, MAX(step->rows, step->samples));
    if (failed || (failed = lay_out_spans(d, step)))
        return failed;
    const Rows rows = {
        .decoder = d, .step = step, .norm = d->model.final_norm, .sources = step->sample_rows};
    for_rows(d, start_row, rows, step->rows);
    for (int64_t l = 0; l < d->model.layer_count; l++)
        run_layer(d, step, d->model.layers + l);
    if (step->hidden)
        for_rows(d, hidden_row, rows, step->rows);
    if (step->samples) {
        for_rows(d, norm_row, rows, step->samples);
        run_head(d, step);
    }
    return OK;
}

static void head_row(void *context, int64_t row, int64_t thread)
{
    (void)thread;
    const Rows *rows = context;
    const Decoder *d = rows->decoder;
    store_row(&d->heads, row_of(d, d->a, row, d->width), rows->step->hidden + row * d->model.hidden,
              d->model.hidden);
}

/* Logits of given last hidden states: `hidden` is the input, [samples, hidden]. */
int64_t sizeup_decoder_head(Decoder *d, const Step *step)
{
    const int64_t failed = reserve(d, step->samples);
    if (failed)
        return failed;
    for_rows(d, head_row, (Rows){.decoder = d, .step = step}, step->samples);
    run_head(d, step);
    return OK;
}

/* `model` is copied; its arrays belong to the caller and outlive the decoder. */
Decoder *sizeup_decoder_create(Pool *pool, const Model *model)
{
    Decoder *d = calloc(1, sizeof(Decoder));
    if (!d)
        return NULL;
    d->pool = pool;
    d->model = *model;
    const Vectors *vectors = vectors_of(sizeup_instruction_sets() - 1);
    const Matmul special = special_matmul(model->dtype, model->level);
    const int is_bf16 = model->dtype == BFLOAT16;
    d->heads = (Heads){.dtype = model->dtype,
                       .heads = model->heads,
                       .kv_heads = model->kv_heads,
                       .head_dim = model->head_dim,
                       .page_size = model->page_size,
                       .scale = (float)model->scale,
                       .pairs = is_bf16 ? 2 : 1,
                       .size = is_bf16 ? 2 : 4,
                       .vectors = vectors,
                       .matmul = special   ? special
                                 : is_bf16 ? vectors->matmul_bf16
                                           : vectors->matmul_f32};
    d->width = MAX(MAX(model->hidden, model->intermediate),
                   MAX(model->heads, 2 * model->kv_heads) * model->head_dim);
    return d;
}

void sizeup_decoder_destroy(Decoder *d)
{
    free(d->memory);
    free(d);
}
