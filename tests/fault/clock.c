/* The wall clock, moved: adds to CLOCK_REALTIME the milliseconds that stand in the file
 * TUTTI_FAULT_CLOCK (a signed 64-bit number that the harness changes while the process runs).
 * CLOCK_MONOTONIC goes on as it is, as it does when an administrator or NTP steps the clock.
 *
 * A wait until a time of the wall clock ends when the moved clock gets there, as the kernel's
 * would: it is waited for in short slices. Which clock a condition variable has is told by its
 * deadline, since no machine has been up for 30 years. Any thread.
 */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { SLICE_NS = 20 * 1000 * 1000, SECOND_NS = 1000 * 1000 * 1000 };
static const time_t WALL_CLOCK_SINCE_S = 1000000000;

typedef int timedwait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
typedef int clockwait(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const _Atomic int64_t *offset_ms; /* NULL: the clock is left alone */
static timedwait *real_timedwait;
static clockwait *real_clockwait;

static void look_up(void)
{
    const char *path = getenv("TUTTI_FAULT_CLOCK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
        offset_ms = page != MAP_FAILED ? page : NULL;
        (void)close(fd);
    }
    /* Converted through memory: ISO C has no cast from void * to a function. */
    *(void **)&real_timedwait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    *(void **)&real_clockwait = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
}

static void add_ns(struct timespec *time, int64_t ns)
{
    int64_t sum = time->tv_nsec + ns % SECOND_NS;
    time->tv_sec += ns / SECOND_NS + (sum >= SECOND_NS) - (sum < 0);
    time->tv_nsec = (sum + SECOND_NS) % SECOND_NS;
}

static bool is_wall(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    (void)pthread_once(&once, look_up);
    if (syscall(SYS_clock_gettime, clock, time) != 0) {
        return -1;
    }
    if (is_wall(clock) && offset_ms != NULL) {
        add_ns(time, atomic_load(offset_ms) * 1000000);
    }
    return 0;
}

bool fault_clock_now(struct timespec *ret_now)
{
    (void)clock_gettime(CLOCK_REALTIME, ret_now);
    return offset_ms != NULL;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

static bool is_over(const struct timespec *until)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec > until->tv_sec ||
           (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

static int wait_by_wall(pthread_cond_t *condition, pthread_mutex_t *mutex,
                        const struct timespec *until)
{
    int result = ETIMEDOUT;
    while (result == ETIMEDOUT && !is_over(until)) {
        struct timespec slice;
        (void)clock_gettime(CLOCK_MONOTONIC, &slice);
        add_ns(&slice, SLICE_NS);
        result = real_clockwait(condition, mutex, CLOCK_MONOTONIC, &slice);
    }
    return result;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    (void)pthread_once(&once, look_up);
    return offset_ms != NULL && until->tv_sec > WALL_CLOCK_SINCE_S
               ? wait_by_wall(condition, mutex, until)
               : real_timedwait(condition, mutex, until);
}

int pthread_cond_clockwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           clockid_t clock, const struct timespec *restrict until)
{
    (void)pthread_once(&once, look_up);
    return offset_ms != NULL && clock == CLOCK_REALTIME
               ? wait_by_wall(condition, mutex, until)
               : real_clockwait(condition, mutex, clock, until);
}
