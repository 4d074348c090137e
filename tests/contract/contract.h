/* What the contract suites share: a folder of one's own, gone at the end, and the URL under test.
 * TUTTI_TEST_DB_URL names another engine's database; without it each test has a fresh SQLite file.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct place {
    char folder[64];
    char url[128];
};

static inline int place_make(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/tutti-contract-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    const char *url = getenv("TUTTI_TEST_DB_URL");
    if (url != NULL) {
        (void)snprintf(place->url, sizeof place->url, "%s", url);
    } else {
        (void)snprintf(place->url, sizeof place->url, "sqlite:%s/test.db", place->folder);
    }
    *state = place;
    return 0;
}

static inline int place_remove(void **state)
{
    struct place *place = *state;
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", place->folder);
    int r = system(command);
    free(place);
    return r;
}

static inline void pause_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)
