/* A decoder of the Llama family (Llama, Qwen2, Qwen3) over packed weights and a packed KV pool: a
   step of any number of sequences, prefills and decodes together, in one call. Every product,
   residual and norm accumulates in float32; between them activations are in the dtype of the
   weights.

   Plain C ABI, loaded by ctypes: library.py mirrors the structures, whose fields are 8 bytes each.
 */

#ifndef SIZEUP_DECODER_H
#define SIZEUP_DECODER_H

#include "threads.h"

typedef struct {
    const float *input_norm, *post_norm;  /* [hidden] */
    const float *q_norm, *k_norm;         /* [head_dim], or NULL */
    const float *qkv_bias;                /* [(heads + 2 * kv_heads) * head_dim], or NULL */
    const void *qkv, *o, *gate_up, *down; /* packed; panels of gate and up alternate */
    void *keys, *values;                  /* this layer's pool */
    int64_t window;                       /* 0: every token attends to all before it */
} Layer;

typedef struct {
    int64_t dtype, level;
    int64_t format, head_format; /* of the layers' weights, of head and embedding: the dtype, or see
                                    quantized.h */
    int64_t hidden, intermediate, heads, kv_heads, head_dim, vocab, layer_count, page_size;
    double epsilon, scale, rope_scale;
    const float *inverse_frequencies; /* [head_dim / 2] */
    const float *final_norm;          /* [hidden] */
    const void *head;                 /* packed [vocab, hidden], the last panel filled with zeros */
    const void *embedding; /* [vocab, hidden], packed if it is quantized; or NULL: rows are
                              taken from `head` */
    const Layer *layers;
} Model;

typedef struct {
    int64_t rows, spans, samples;
    const int64_t *ids;                             /* [rows] */
    const int64_t *lengths, *contexts, *first_page; /* [spans]: see Span; first index in `pages` */
    const int64_t *pages;                           /* block tables one after another */
    const int64_t *sample_rows;                     /* [samples] */
    const int64_t *logits_rows;                     /* [samples]: row of `logits` to fill, or -1 */
    const uint32_t *const *masks; /* [samples]: bits of the tokens that may be best, or NULL */
    float *logits;                /* [.., vocab] */
    int64_t *best; /* [samples]: first token of the largest logit; -1 if one is NaN or Inf, or none
                      may be */
    float *hidden; /* [rows, hidden] last hidden states, or NULL */
} Step;

enum { OK = 0, NO_MEMORY = 1, BAD_TOKEN = 2 };

#endif
