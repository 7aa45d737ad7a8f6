/* CLONES: the compiler makes versions of a function for several processors and picks one at load, by
   their features ("arch=haswell" would match that very processor only). INLINE lets a helper follow
   into each version. */

#ifndef SIZEUP_TARGETS_H
#define SIZEUP_TARGETS_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__linux__) && __GNUC__ >= 12 && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

#define INLINE static inline __attribute__((always_inline))

#define PRAGMA(text) _Pragma(#text)
#define UNROLL(times) PRAGMA(GCC unroll times)

/* A vector of the width that compilers keep in registers: wider ones are split through memory. */
#if defined(__aarch64__)
enum { LANES = 4 };
#else
enum { LANES = 8 };
#endif
typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
/* Memory that is aligned to its elements only. */
typedef float UnalignedLanes __attribute__((vector_size(4 * LANES), aligned(4)));

#endif
