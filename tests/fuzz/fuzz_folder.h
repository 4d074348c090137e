/* A folder of a target's own, in memory where there is such a place, gone when the run ends. */
#pragma once

#include "fuzz.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char fuzz_folder[] = "/dev/shm/fuzz-XXXXXX";

static inline int fuzz_remove_entry(const char *path, const struct stat *status, int kind,
                                    struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void fuzz_folder_remove(void)
{
    (void)nftw(fuzz_folder, fuzz_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void fuzz_folder_make(void)
{
    FUZZ_CHECK(mkdtemp(fuzz_folder) != NULL);
    FUZZ_CHECK(atexit(fuzz_folder_remove) == 0);
}
