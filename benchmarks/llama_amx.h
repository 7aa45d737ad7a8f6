/* Included first in every file of llama.cpp by `make llama-venv`.

   GCC 12 declares that _tile_loadconfig reads 8 of the 64 bytes of a tile configuration and removes
   the stores to the others, so that the first AMX instruction of llama.cpp's q8_0 and q4_0 kernels
   raises SIGILL. */

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define _tile_loadconfig(config)                                                                   \
    __asm__ volatile("ldtilecfg %0" : : "m"(*(const char (*)[64])(config)))
#endif
