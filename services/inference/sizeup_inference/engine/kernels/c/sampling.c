/* Sampling from one row of float32 logits, in passes over the row that vectorize, without a sort.

   Every filter keeps the most likely tokens, so a filter is a threshold. A bisection finds it: it
   counts, or adds up the probability of, the logits above a trial value. A bound from the largest
   logit of each block first skips the blocks that cannot hold a kept token, which is most of them.

   Plain C ABI, loaded by ctypes; one thread, no state. Correct under IEEE arithmetic only: rows may
   hold NaN and infinities, so this file must not be compiled with -ffast-math. */

#include "sampling_candidates.h"

static const double LOG2_E = 1.4426950408889634;

/* A weight below those that the filters by probability keep. If all smaller weights were as large,
   together they would still be less than the 1 - top_p that is dropped. */
static double least_weight(const Row *row, double total, double top_p, double min_p)
{
    const double least = top_p < 1.0 ? (1.0 - top_p) * total / (double)row->size : 0.0;
    return 0.99 * (min_p > least ? min_p : least); /* 1% for rounding */
}

/* The index where the running sum exceeds target, never one of weight 0; the last of the others if
   rounding puts the target past the end. Subtracts the sum before it from target. */
static int64_t pick(const double *weights, int64_t count, double *target)
{
    int64_t picked = 0;
    double before = 0.0, sum = 0.0;
    for (int64_t i = 0; i < count && sum <= *target; i++) {
        if (weights[i] <= 0.0)
            continue;
        picked = i;
        before = sum;
        sum += weights[i];
    }
    *target -= before;
    return picked;
}

static int64_t pick_in_block(const float *weights, int64_t count, double target)
{
    double addends[BLOCK];
    for (int64_t i = 0; i < count; i++)
        addends[i] = weights[i];
    return pick(addends, count, &target);
}

/* Draw by the weights of the whole row, whose sums by block are known. */
static int64_t draw_from_row(const Row *row, float scale, double target)
{
    float weights[BLOCK];
    const int64_t start = pick(row->sums, row->blocks, &target) * BLOCK;
    const int64_t count = MIN(BLOCK, row->size - start);
    row->passes->weigh(row->logits + start, count, row->largest, scale, weights);
    return start + pick_in_block(weights, count, target);
}

static int64_t draw_from_candidates(const Row *row, const Candidates *c, double uniform)
{
    const int64_t blocks = (c->count + BLOCK - 1) / BLOCK;
    double total = 0.0;
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t count = MIN(BLOCK, c->count - b * BLOCK);
        row->sums[b] = row->passes->sum_of(c->weights + b * BLOCK, count, 0.0f);
        total += row->sums[b];
    }
    double target = uniform * total;
    const int64_t start = pick(row->sums, blocks, &target) * BLOCK;
    const int64_t count = MIN(BLOCK, c->count - start);
    return c->ids[start + pick_in_block(c->weights + start, count, target)];
}

typedef struct {
    double temperature;
    int64_t top_k; /* 0: every token */
    double top_p, min_p, uniform;
} Parameters;

/* Draw from the tokens that the filters keep, which are among the logits >= bound. `total` is the
   sum of all weights, and a weight below `least` is not kept by top_p. */
static int64_t draw_filtered(const Row *row, const Parameters *p, float scale, float bound,
                             double total, float least)
{
    Candidates c;
    if (open_candidates(&c, row, bound))
        return OUT_OF_MEMORY;
    row->passes->weigh(c.logits, c.count, row->largest, scale, c.weights);
    if (p->top_k)
        keep_top_k(&c, row, p->top_k);
    if (p->top_p < 1.0 && p->top_k)
        total = row->passes->sum_of(c.weights, c.count, 0.0f);
    if (p->top_p < 1.0)
        keep_top_p(&c, row, least, p->top_p * total);
    row->passes->drop_below(c.weights, c.count, (float)p->min_p, c.weights);
    const int64_t id = draw_from_candidates(row, &c, p->uniform);
    free(c.ids);
    return id;
}

static int64_t draw(const Row *row, const Parameters *p)
{
    const float scale = (float)(LOG2_E / p->temperature);
    double total = 0.0;
    if (p->top_k)
        return draw_filtered(row, p, scale, bound_of_top_k(row, p->top_k), total, 0.0f);
    if (p->top_p < 1.0 || p->min_p <= 0.0)
        total = row->passes->sum_weights(row->logits, row->size, row->largest, scale, row->sums);
    if (p->top_p >= 1.0 && p->min_p <= 0.0)
        return draw_from_row(row, scale, p->uniform * total);
    const double least = least_weight(row, total, p->top_p, p->min_p);
    const float bound = (float)(row->largest + p->temperature * log(least));
    return draw_filtered(row, p, scale, bound, total, 0.99f * (float)least);
}

/* Divide positive and multiply negative logits of `ids`, each of which occurs once. */
void sizeup_penalize_repetition(float *logits, int64_t size, const int32_t *ids, int64_t count,
                                float penalty)
{
    for (int64_t i = 0; i < count; i++)
        if (ids[i] >= 0 && ids[i] < size) {
            float *logit = logits + ids[i];
            *logit = *logit < 0.0f ? *logit * penalty : *logit / penalty;
        }
}

/* Set the logits whose bit in `mask` is 0 to -inf. */
void sizeup_mask(int64_t instructions, float *logits, int64_t size, const uint32_t *mask)
{
    vectors_of(instructions)->passes->mask(logits, size, mask);
}

/* Return the id of a token. temperature is 0 (the argmax; of equal ones the first) or in
   [1e-30, 1e30]; top_k 0, top_p 1 and min_p 0 keep every token; `uniform`, in [0, 1), is the point
   of the CDF, in the order of ids, whose token is returned. Negative: INVALID_ROW, OUT_OF_MEMORY.
 */
int64_t sizeup_sample(int64_t instructions, const float *logits, int64_t size, double temperature,
                      int64_t top_k, double top_p, double min_p, double uniform)
{
    Row row;
    const Parameters parameters = {temperature, top_k < size ? top_k : 0, top_p, min_p, uniform};
    int64_t result = open_row(&row, instructions, logits, size);
    if (!result)
        result = temperature > 0.0 ? draw(&row, &parameters) : find_largest(&row);
    free(row.sums);
    return result;
}

/* Sort those that are not dropped, most likely first, by insertion: there are few. */
static void sort_by_logit(Candidates *c)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < c->count; i++) {
        const float logit = c->logits[i];
        const int32_t id = c->ids[i];
        if (c->weights[i] <= 0.0f)
            continue;
        int64_t j = kept++;
        for (; j > 0 && c->logits[j - 1] < logit; j--) {
            c->logits[j] = c->logits[j - 1];
            c->ids[j] = c->ids[j - 1];
        }
        c->logits[j] = logit;
        c->ids[j] = id;
    }
    c->count = kept;
}

/* Fill the ids and log-probabilities of the `count` most likely tokens. */
static int64_t fill_top(const Row *row, int64_t count, double log_sum, int32_t *ids,
                        double *logprobs)
{
    Candidates c;
    if (open_candidates(&c, row, bound_of_top_k(row, count)))
        return OUT_OF_MEMORY;
    for (int64_t i = 0; i < c.count; i++)
        c.weights[i] = 1.0f;
    keep_top_k(&c, row, count);
    sort_by_logit(&c);
    for (int64_t i = 0; i < c.count; i++) {
        ids[i] = c.ids[i];
        logprobs[i] = c.logits[i] - log_sum;
    }
    free(c.ids);
    return 0;
}

/* Fill the log-probability of token, and those of the `count` <= size most likely tokens with their
   ids, most likely first, of equal ones by id. Returns 0, INVALID_ROW or OUT_OF_MEMORY. */
int64_t sizeup_logprobs(int64_t instructions, const float *logits, int64_t size, int64_t token,
                        int64_t count, double *chosen, int32_t *ids, double *logprobs)
{
    Row row;
    int64_t result = open_row(&row, instructions, logits, size);
    if (!result) {
        const double log_sum = row.largest + log(row.passes->sum_weights(logits, size, row.largest,
                                                                         (float)LOG2_E, row.sums));
        *chosen = logits[token] - log_sum;
        if (count > 0)
            result = fill_top(&row, count, log_sum, ids, logprobs);
    }
    free(row.sums);
    return result;
}
