#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))),        \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq")
#endif
#define LANES 16
#define TABLE vectors_avx512
#include "lanes.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
