/* Ownership helpers: scope-bound cleanup and explicit hand-over, after systemd's habits. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void mem_free_p(void *pointer)
{
    free(*(void **)pointer);
}

static inline void mem_close_p(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

/* char *text CLEANUP_FREE = …;  int fd CLEANUP_CLOSE = …; */
#define CLEANUP_FREE  CLEANUP(mem_free_p)
#define CLEANUP_CLOSE CLEANUP(mem_close_p)

/* Ownership leaves a function only by these. */
#define TAKE_PTR(pointer)                                                                          \
    __extension__({                                                                                \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })
#define TAKE_FD(fd)                                                                                \
    __extension__({                                                                                \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
