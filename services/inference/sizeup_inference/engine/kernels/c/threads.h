/* A pool of threads that carry out one job at a time.

   A job is `count` tasks, claimed one by one, so that a thread which the kernel has descheduled
   delays only the task that it holds. Waiting spins for some microseconds, which is the time
   between two jobs of a step, and then sleeps: a core is never kept busy while another process
   could use it. */

#ifndef SIZEUP_THREADS_H
#define SIZEUP_THREADS_H

#include <stdint.h>

typedef struct Pool Pool;
typedef void (*Task)(void *context, int64_t index, int64_t thread);

/* Start threads - 1 threads; the caller of pool_run is the remaining one. NULL: out of resources.
 */
Pool *sizeup_pool_create(int64_t threads);
int64_t pool_threads(const Pool *pool);
/* Carry out tasks 0 .. count - 1 and return when all have ended. One caller at a time.
   A count of at most 2^31 - 1. */
void pool_run(Pool *pool, Task task, void *context, int64_t count);
void sizeup_pool_destroy(Pool *pool);

#endif
