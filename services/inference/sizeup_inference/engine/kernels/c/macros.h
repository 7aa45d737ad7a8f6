/* What several sources need of the compiler. */

#ifndef SIZEUP_MACROS_H
#define SIZEUP_MACROS_H

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define INLINE        static inline __attribute__((always_inline))
#define PRAGMA(text)  _Pragma(#text)
#define UNROLL(times) PRAGMA(GCC unroll times)

/* Where the compiler has AVX512-BF16 and AMX. */
#if defined(__x86_64__) && defined(__linux__) && (__GNUC__ >= 11 || __clang_major__ >= 12)
#define X86_KERNELS 1
#define TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#endif

#endif
