/* Attention over a packed KV pool.

   A layer's pool is [pages][kv_heads][head_dim * page_size] elements, keys and values separately.
   The keys of a page and head are a packed matrix whose columns are tokens, the values one whose
   columns are the dimensions of the head: both products of attention read them as they are. */

#ifndef SIZEUP_ATTENTION_H
#define SIZEUP_ATTENTION_H

#include "matmul.h"
#include "vectors.h"

typedef struct {
    int64_t dtype, heads, kv_heads, head_dim, page_size;
    float scale;
    int64_t pairs; /* 2 for bfloat16: see matmul.h */
    int64_t size;  /* bytes of an element */
    Matmul matmul;
    const Vectors *vectors;
} Heads;

/* Take cache lines from `next` on: an address, or an offset where only the size is of interest. */
static inline void *take(uintptr_t *next, int64_t bytes)
{
    const uintptr_t taken = *next;
    *next += (uintptr_t)((bytes + 63) / 64 * 64);
    return (void *)taken;
}

/* Store float32 in the dtype of the pool. */
void store_row(const Heads *heads, void *target, const float *source, int64_t count);

/* Consecutive tokens of one sequence: rows row .. row + length - 1 of the batch. */
typedef struct {
    int64_t row, length;
    int64_t context;      /* tokens of the sequence up to and including the last row */
    const int64_t *pages; /* of the sequence, from its first token on */
} Span;

/* Store the key and value of the token at `position`: [kv_heads * head_dim] each, in the dtype. */
void store_kv(const Heads *heads, void *keys, void *values, const int64_t *pages, int64_t position,
              const void *key, const void *value);

/* Zero the values after a span's last token if the step began their page: their weights are zero,
   but what memory held before may be a NaN. */
void clear_tail(const Heads *heads, void *values, const Span *span);

typedef struct {
    const Heads *heads;
    const void *keys, *values;
    int64_t window;    /* keys that a token attends to, its own included; 0: all */
    const void *query; /* [rows, heads * head_dim], in the dtype of the pool */
    void *output;      /* the same shape */
    char *scratch;     /* attention_scratch() bytes for each thread */
} Attention;

int64_t attention_scratch(const Heads *heads);
/* Tasks into which a span is cut. */
int64_t attention_tasks(const Heads *heads, const Span *span);
/* Carry out one task: a block of a span's tokens for one KV head. */
void attend(const Attention *attention, const Span *span, int64_t task, int64_t thread);

#endif
