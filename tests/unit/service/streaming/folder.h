/* A folder for one test program, gone at its end. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static char test_folder[] = "/tmp/tutti-streaming-XXXXXX";

static int test_folder_remove_entry(const char *path, const struct stat *status, int type,
                                    struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline int test_folder_make(void)
{
    return mkdtemp(test_folder) == NULL ? -1 : 0;
}

static inline void test_folder_remove(void)
{
    (void)nftw(test_folder, test_folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
