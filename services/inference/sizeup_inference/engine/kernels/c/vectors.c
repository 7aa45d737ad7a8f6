/* The instructions that every processor of an architecture has, and the choice of a table. */

#if defined(__aarch64__)
#define LANES 4
#else
#define LANES 8 /* two registers of SSE: wider vectors are split through memory */
#endif
#define TABLE vectors_baseline
#include "lanes.h"

const Vectors *select_vectors(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return &vectors_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &vectors_avx2;
#endif
    return &vectors_baseline;
}
