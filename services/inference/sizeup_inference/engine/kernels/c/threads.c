#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ __volatile__("yield")
#else
#define RELAX() ((void)0)
#endif

/* A pause lasts 40 to 140 cycles: some 20 microseconds, a few times what waking a thread costs. */
#define SPINS 400

/* Every thread has a range of the tasks, in order, and takes from the others' when its own is
   empty: what lies together in memory is read by one thread, as far as they are equally fast. A
   range's ticket holds the number of the job in its upper half and the next task in its lower half,
   so that one compare-and-swap claims a task of that job and of no later one. */
#define JOB(ticket)   ((uint32_t)((ticket) >> 32))
#define INDEX(ticket) ((int64_t)((ticket) & 0xffffffffu))
#define CLOSED        0xffffffffu

typedef struct {
    Pool *pool;
    int64_t index;
    pthread_t thread;
} Worker;

typedef struct {
    _Atomic uint64_t ticket;
    char pad[56]; /* alone in its cache line */
} Range;

struct Pool {
    Range *ranges; /* of each thread; the first is opened last and announces the job */
    _Atomic int64_t done;
    _Atomic int64_t count;
    _Atomic(Task) task;
    _Atomic(void *) context;
    _Atomic int sleepers;
    _Atomic int caller_sleeps;
    _Atomic int stopping;
    pthread_mutex_t mutex;
    pthread_cond_t work, finished;
    int64_t threads;
    Worker *workers;
};

static int64_t range_start(const Pool *pool, int64_t count, int64_t range)
{
    return count * range / pool->threads;
}

static void count_done(Pool *pool, int64_t count)
{
    if (atomic_fetch_add(&pool->done, 1) + 1 == count && atomic_load(&pool->caller_sleeps)) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_signal(&pool->finished);
        pthread_mutex_unlock(&pool->mutex);
    }
}

/* Claim and carry out tasks of one range until none of the job is left. */
static void work_on_range(Pool *pool, uint32_t job, int64_t range, int64_t thread)
{
    _Atomic uint64_t *const open = &pool->ranges[range].ticket;
    for (;;) {
        uint64_t ticket = atomic_load(open);
        /* Acquired: a thread that reads a later job's fields also sees that its ticket has closed.
         */
        Task task = atomic_load_explicit(&pool->task, memory_order_acquire);
        void *context = atomic_load_explicit(&pool->context, memory_order_acquire);
        const int64_t count = atomic_load_explicit(&pool->count, memory_order_acquire);
        if (JOB(ticket) != job || INDEX(ticket) >= range_start(pool, count, range + 1))
            return;
        if (!atomic_compare_exchange_weak(open, &ticket, ticket + 1))
            continue;
        task(context, INDEX(ticket), thread);
        count_done(pool, count);
    }
}

/* The caller comes here after opening every range, so no task stays behind. */
static void work_on(Pool *pool, uint32_t job, int64_t thread)
{
    for (int64_t i = 0; i < pool->threads; i++)
        work_on_range(pool, job, (thread + i) % pool->threads, thread);
}

/* Return the number of an open job other than `last`; 0 when the pool stops. */
static uint32_t await_job(Pool *pool, uint32_t last)
{
    for (int i = 0; i < SPINS; i++) {
        const uint64_t ticket = atomic_load(&pool->ranges[0].ticket);
        if (JOB(ticket) != last && INDEX(ticket) != CLOSED)
            return JOB(ticket);
        RELAX();
    }
    uint64_t ticket;
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (ticket = atomic_load(&pool->ranges[0].ticket),
           !atomic_load(&pool->stopping) && (JOB(ticket) == last || INDEX(ticket) == CLOSED))
        pthread_cond_wait(&pool->work, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
    return atomic_load(&pool->stopping) ? 0 : JOB(ticket);
}

static void *serve(void *argument)
{
    Worker *self = argument;
    uint32_t job = 0;
    while ((job = await_job(self->pool, job)))
        work_on(self->pool, job, self->index);
    return NULL;
}

void pool_run(Pool *pool, Task task, void *context, int64_t count)
{
    if (pool->threads == 1 || count <= 1) {
        for (int64_t i = 0; i < count; i++)
            task(context, i, 0);
        return;
    }
    /* A thread that still looks for tasks of the last job must not claim one with these fields. */
    uint32_t job = JOB(atomic_load(&pool->ranges[0].ticket)) + 2;
    if (!job) /* the number that ends the threads, after 2^31 jobs */
        job = 2;
    for (int64_t range = 0; range < pool->threads; range++)
        atomic_store(&pool->ranges[range].ticket, (uint64_t)(job - 1) << 32 | CLOSED);
    atomic_store(&pool->done, 0);
    atomic_store(&pool->caller_sleeps, 0);
    atomic_store_explicit(&pool->task, task, memory_order_release);
    atomic_store_explicit(&pool->context, context, memory_order_release);
    atomic_store_explicit(&pool->count, count, memory_order_release);
    for (int64_t range = pool->threads - 1; range >= 0; range--)
        atomic_store(&pool->ranges[range].ticket,
                     (uint64_t)job << 32 | (uint64_t)range_start(pool, count, range));
    if (atomic_load(&pool->sleepers)) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->mutex);
    }
    work_on(pool, job, 0);
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&pool->done) == count)
            return;
        RELAX();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, 1);
    while (atomic_load(&pool->done) != count)
        pthread_cond_wait(&pool->finished, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

Pool *sizeup_pool_create(int64_t threads)
{
    Pool *pool = calloc(1, sizeof(Pool));
    if (!pool)
        return NULL;
    pool->workers = calloc((size_t)threads, sizeof(Worker));
    void *ranges = NULL;
    if (!pool->workers || posix_memalign(&ranges, 64, (size_t)threads * sizeof(Range))) {
        free(pool->workers);
        free(pool);
        return NULL;
    }
    pool->ranges = memset(ranges, 0, (size_t)threads * sizeof(Range));
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (pool->threads = 1; pool->threads < threads; pool->threads++) {
        Worker *worker = &pool->workers[pool->threads];
        worker->pool = pool;
        worker->index = pool->threads;
        if (pthread_create(&worker->thread, NULL, serve, worker)) {
            sizeup_pool_destroy(pool);
            return NULL;
        }
    }
    return pool;
}

int64_t pool_threads(const Pool *pool)
{
    return pool->threads;
}

void sizeup_pool_destroy(Pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->stopping, 1);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (int64_t i = 1; i < pool->threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->finished);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->ranges);
    free(pool->workers);
    free(pool);
}
