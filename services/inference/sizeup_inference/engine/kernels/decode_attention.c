/* Attention of one query token per sequence over a contiguous run of float32 keys and values.

   PyTorch has no kernel for this shape: the overhead of a call per sequence and layer exceeds the
   time to read the keys. This one takes the whole batch in one call, reads every key and value once,
   in memory order, and accumulates in float32.

   Plain C ABI, loaded by ctypes. OpenMP is torch's own runtime: both link to libgomp.so.1. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define CLONES
#endif

/* scores[g * length + t] = scale * dot(query head g, key t). */
CLONES
static void score(const float *query, const float *keys, float *scores, int64_t length,
                  int64_t kv_heads, int64_t group, int64_t stride, int64_t head_dim, float scale)
{
    for (int64_t t = 0; t < length; t++)
        for (int64_t kv = 0; kv < kv_heads; kv++) {
            const float *key = keys + t * stride + kv * head_dim;
            for (int64_t g = 0; g < group; g++) {
                const float *q = query + (kv * group + g) * head_dim;
                float sum = 0.0f;
                for (int64_t d = 0; d < head_dim; d++)
                    sum += q[d] * key[d];
                scores[(kv * group + g) * length + t] = sum * scale;
            }
        }
}

/* Softmax of each head's scores, in place. */
CLONES
static void softmax(float *scores, int64_t heads, int64_t length)
{
    for (int64_t h = 0; h < heads; h++) {
        float *row = scores + h * length, top = row[0], sum = 0.0f;
        for (int64_t t = 1; t < length; t++)
            top = row[t] > top ? row[t] : top;
        for (int64_t t = 0; t < length; t++) {
            row[t] = expf(row[t] - top);
            sum += row[t];
        }
        for (int64_t t = 0; t < length; t++)
            row[t] /= sum;
    }
}

/* output head = sum over t of weight * value t. */
CLONES
static void mix(const float *weights, const float *values, float *output, int64_t length,
                int64_t kv_heads, int64_t group, int64_t stride, int64_t head_dim)
{
    for (int64_t i = 0; i < kv_heads * group * head_dim; i++)
        output[i] = 0.0f;
    for (int64_t t = 0; t < length; t++)
        for (int64_t kv = 0; kv < kv_heads; kv++) {
            const float *value = values + t * stride + kv * head_dim;
            for (int64_t g = 0; g < group; g++) {
                const float weight = weights[(kv * group + g) * length + t];
                float *out = output + (kv * group + g) * head_dim;
                for (int64_t d = 0; d < head_dim; d++)
                    out[d] += weight * value[d];
            }
        }
}

/* query, output: [sequences, heads, head_dim]; keys, values: [slots, kv_heads, head_dim];
   sequence s reads slots first_slots[s] .. first_slots[s] + lengths[s] - 1 (at least one).
   kv_heads is split into `parts` per sequence, so that a small batch still uses every thread.
   Returns 0, or 1 when the scores cannot be allocated. */
int sizeup_decode_attention(const float *query, const float *keys, const float *values,
                            float *output, const int64_t *first_slots, const int64_t *lengths,
                            int64_t sequences, int64_t heads, int64_t kv_heads, int64_t head_dim,
                            float scale, int64_t parts)
{
    const int64_t group = heads / kv_heads, stride = kv_heads * head_dim;
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(| : failed)
    for (int64_t task = 0; task < sequences * parts; task++) {
        const int64_t s = task / parts, part = task % parts;
        const int64_t kv_first = part * kv_heads / parts;
        const int64_t kv_count = (part + 1) * kv_heads / parts - kv_first;
        const int64_t row = (s * heads + kv_first * group) * head_dim;
        const int64_t slot = first_slots[s] * stride + kv_first * head_dim;
        float *scores = malloc(sizeof(float) * (size_t)(kv_count * group * lengths[s]));
        if (!scores) {
            failed = 1;
            continue;
        }
        score(query + row, keys + slot, scores, lengths[s], kv_count, group, stride, head_dim,
              scale);
        softmax(scores, kv_count * group, lengths[s]);
        mix(scores, values + slot, output + row, lengths[s], kv_count, group, stride, head_dim);
        free(scores);
    }
    return failed;
}
