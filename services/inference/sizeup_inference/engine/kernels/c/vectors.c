/* The instructions that every processor of an architecture has, and the choice of a table. */

#if defined(__aarch64__)
#define LANES 4
#else
#define LANES 8 /* two registers of SSE: wider vectors are split through memory */
#endif
#define TABLE vectors_baseline
#include "lanes.h"

#if defined(__x86_64__)
extern const Vectors vectors_avx2, vectors_avx512;
static const Vectors *const TABLES[] = {&vectors_baseline, &vectors_avx2, &vectors_avx512};
#else
static const Vectors *const TABLES[] = {&vectors_baseline};
#endif

int64_t sizeup_instruction_sets(void)
{
#if defined(__x86_64__)
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return 1 + avx2 + (avx2 && avx512);
#else
    return 1;
#endif
}

const Vectors *vectors_of(int64_t instructions)
{
    return TABLES[instructions];
}
