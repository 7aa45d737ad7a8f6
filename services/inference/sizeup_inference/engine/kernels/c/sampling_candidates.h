/* The logits of a row that a filter may keep, and the filters. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sampling_passes.h"
#include "vectors.h"

enum { INVALID_ROW = -1, OUT_OF_MEMORY = -2 };

enum { STEPS_PER_COLLECTION = 4 }; /* of a bisection: 1/16 of the range is left */

typedef struct {
    const Passes *passes;
    const float *logits;
    int64_t size, blocks;
    float largest;
    double *sums;          /* [blocks], of weights */
    float *maxima, *spare; /* [blocks, WIDTH] */
} Row;

typedef struct {
    int64_t count;
    int32_t *ids; /* ascending */
    float *logits, *spare;
    float *weights; /* 0 for those that a filter has dropped */
} Candidates;

typedef struct {
    const float *values;
    int64_t count;
    float least, most; /* bounds of the values */
    int weighted;      /* whether a value counts as itself or as 1 */
    float *spare;      /* [count + WIDTH] */
} Ranking;

/* Integers in the order of the floats that they encode; value_of is the inverse. */
static int32_t key_of(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits ^ ((bits >> 31) & INT32_MAX);
}

static float value_of(int32_t key)
{
    const int32_t bits = key ^ ((key >> 31) & INT32_MAX);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The largest float whose measure, the number or the sum of the values that are at least as large,
   is at least target; or one with no other value from there up to it. */
static float threshold(const Passes *passes, const Ranking *r, double target)
{
    Measure *const measure = r->weighted ? passes->sum_of : passes->number_of;
    const float *values = r->values;
    int64_t count = r->count, low = key_of(r->least), high = (int64_t)key_of(r->most) + 1;
    double above = 0.0; /* the measure of the values that are above the range */
    double at_low = measure(values, count, r->least), at_high = 0.0;
    for (int step = 1; high - low > 1; step++) {
        const double smallest = r->weighted ? value_of((int32_t)low) : 1.0;
        if (at_low - at_high < 1.5 * smallest)
            break; /* a single value lies between */
        const int64_t middle = low + (high - low) / 2;
        const double reached = above + measure(values, count, value_of((int32_t)middle));
        if (reached >= target) {
            low = middle;
            at_low = reached;
        } else {
            high = middle;
            at_high = reached;
        }
        if (step % STEPS_PER_COLLECTION == 0) {
            count = passes->collect_between(values, count, value_of((int32_t)low),
                                            value_of((int32_t)high), r->spare);
            values = r->spare;
            above = at_high;
        }
    }
    return value_of((int32_t)low);
}

/* Keep the largest values, one for each of c, until their measure reaches target; of equal ones
   those of the lowest ids. */
static void keep_largest(Candidates *c, const Passes *passes, const Ranking *r, double target)
{
    Measure *const measure = r->weighted ? passes->sum_of : passes->number_of;
    const float limit = threshold(passes, r, target);
    double reached = measure(r->values, r->count, value_of(key_of(limit) + 1));
    const double unit = r->weighted ? limit : 1.0;
    const double tied = measure(r->values, r->count, limit) - reached;
    const int surplus = reached + tied - unit >= target;
    for (int64_t i = 0; surplus && i < r->count; i++) {
        if (r->values[i] != limit)
            continue;
        if (reached >= target)
            c->weights[i] = 0.0f;
        reached += unit;
    }
    passes->drop_below(r->values, r->count, limit, c->weights);
}

/* Return INVALID_ROW if a logit is NaN or +inf, or if all are -inf. The caller frees `sums`. */
static int open_row(Row *row, int64_t instructions, const float *logits, int64_t size)
{
    row->passes = vectors_of(instructions)->passes;
    row->logits = logits;
    row->size = size;
    row->blocks = (size + BLOCK - 1) / BLOCK;
    row->sums = malloc((size_t)row->blocks * (sizeof(double) + 2 * WIDTH * sizeof(float)) +
                       WIDTH * sizeof(float));
    if (!row->sums)
        return OUT_OF_MEMORY;
    row->maxima = (float *)(row->sums + row->blocks);
    row->spare = row->maxima + row->blocks * WIDTH;
    row->largest = row->passes->find_maxima(logits, size, row->maxima);
    return isfinite(row->largest) ? 0 : INVALID_ROW;
}

static int reaches(const Row *row, int64_t block, float bound)
{
    int any = 0;
    for (int64_t i = block * WIDTH; i < (block + 1) * WIDTH; i++)
        any |= row->maxima[i] >= bound;
    return any;
}

static int64_t find_largest(const Row *row)
{
    int64_t block = 0;
    while (!reaches(row, block, row->largest))
        block++;
    int64_t i = block * BLOCK;
    while (row->logits[i] != row->largest)
        i++;
    return i;
}

/* Collect the logits >= bound. The caller frees `ids`. */
static int open_candidates(Candidates *c, const Row *row, float bound)
{
    int64_t capacity = WIDTH;
    for (int64_t b = 0; b < row->blocks; b++)
        capacity += reaches(row, b, bound) ? BLOCK : 0;
    c->ids = malloc((size_t)capacity * (sizeof(int32_t) + 3 * sizeof(float)));
    if (!c->ids)
        return OUT_OF_MEMORY;
    c->logits = (float *)(c->ids + capacity);
    c->weights = c->logits + capacity;
    c->spare = c->weights + capacity;
    c->count = 0;
    for (int64_t b = 0; b < row->blocks; b++) {
        const int64_t first = b * BLOCK;
        if (reaches(row, b, bound))
            c->count +=
                row->passes->collect(row->logits + first, first, MIN(BLOCK, row->size - first),
                                     bound, c->ids + c->count, c->logits + c->count);
    }
    return 0;
}

/* A logit such that at least k are as large: the k-th largest maximum. */
static float bound_of_top_k(const Row *row, int64_t k)
{
    const int64_t count = row->blocks * WIDTH;
    const Ranking maxima = {row->maxima, count, -INFINITY, row->largest, 0, row->spare};
    return k <= count ? threshold(row->passes, &maxima, (double)k) : -INFINITY;
}

static void keep_top_k(Candidates *c, const Row *row, int64_t k)
{
    const Ranking logits = {c->logits, c->count, -INFINITY, row->largest, 0, c->spare};
    if (c->count > k)
        keep_largest(c, row->passes, &logits, (double)k);
}

static void keep_top_p(Candidates *c, const Row *row, float least, double mass)
{
    const Ranking weights = {c->weights, c->count, least, 1.0f, 1, c->spare};
    keep_largest(c, row->passes, &weights, mass);
}
