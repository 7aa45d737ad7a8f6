/* Vectorized passes over float32 arrays, and the choice of an instruction set at run time. */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    MAX_INSTRUCTION_SETS = 3,
    LANES = 16,
    BLOCK = 256,  /* its maxima are one for each lane: bounds for top_k up to 1/16 of the row */
    CHUNK = 4096, /* values that a lane sums in float32 before it is added in float64 */
};

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef uint32_t Ints __attribute__((vector_size(4 * LANES)));

typedef double Measure(const float *values, int64_t count, float least);

typedef struct {
    float (*find_maxima)(const float *values, int64_t count, float *maxima);
    void (*weigh)(const float *logits, int64_t count, float largest, float scale, float *weights);
    double (*sum_weights)(const float *logits, int64_t count, float largest, float scale,
                          double *sums);
    void (*mask)(float *logits, int64_t count, const uint32_t *words);
    Measure *number_of, *sum_of;
    void (*drop_below)(const float *values, int64_t count, float least, float *weights);
    int64_t (*collect)(const float *values, int64_t first, int64_t count, float least, int32_t *ids,
                       float *collected);
    int64_t (*collect_between)(const float *values, int64_t count, float least, float limit,
                               float *collected);
} Passes;

#define PASS(name) name##_portable
#define TARGET
#define AVX512 0
#include "sampling_simd.h"

#if defined(__x86_64__)
#define PASS(name) name##_avx2
#define TARGET     __attribute__((target("avx2,fma")))
#define AVX512     0
#include "sampling_simd.h"
#define PASS(name) name##_avx512
#define TARGET     __attribute__((target("avx512f")))
#define AVX512     1
#include "sampling_simd.h"
#endif

/* What this processor can run, the fastest last; returns the number. */
static int64_t supported_passes(const Passes *supported[])
{
    int64_t count = 0;
    supported[count++] = &passes_portable;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        supported[count++] = &passes_avx2;
    if (__builtin_cpu_supports("avx512f"))
        supported[count++] = &passes_avx512;
#endif
    return count;
}
