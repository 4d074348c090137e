/* What the contract suites share: a folder of one's own, gone at the end, and the URL under test: a
 * fresh database each, of SQLite, or of the PostgreSQL server that TUTTI_TEST_POSTGRES names
 * (tests/engines/postgres.py starts one).
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct place {
    char folder[64];
    char url[256];
};

/* NULL: SQLite is under test. */
static inline const char *postgres_server(void)
{
    return getenv("TUTTI_TEST_POSTGRES");
}

/* Past a pooler, if one is under test. */
static inline const char *postgres_direct(void)
{
    const char *direct = getenv("TUTTI_TEST_POSTGRES_DIRECT");
    return direct != NULL ? direct : postgres_server();
}

static inline void postgres_do(const char *database, const char *sql)
{
    char url[256];
    (void)snprintf(url, sizeof url, "%s%s", postgres_direct(), database);
    PGconn *server = PQconnectdb(url);
    PGresult *result = PQexec(server, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(server));
    }
    PQclear(result);
    PQfinish(server);
}

/* The URL of a fresh database of that name in the folder, or on the server. */
static inline void fresh_url(const char *folder, const char *name, char url[256])
{
    if (postgres_server() == NULL) {
        (void)snprintf(url, 256, "sqlite:%s/%s.db", folder, name);
        return;
    }
    static unsigned count;
    char database[64], sql[128];
    (void)snprintf(database, sizeof database, "%s_%d_%u", name, (int)getpid(), ++count);
    (void)snprintf(sql, sizeof sql, "CREATE DATABASE %s", database);
    postgres_do("postgres", sql);
    (void)snprintf(url, 256, "%s%s", postgres_server(), database);
}

/* As db_open, with the address past a pooler where there is one. */
static inline int open_place(const char *url, const char *name, struct db **ret_db,
                             struct problem *problem)
{
    char direct[256] = "";
    if (postgres_server() != NULL && strncmp(url, "postgres", 8) == 0) {
        (void)snprintf(direct, sizeof direct, "%s%s", postgres_direct(), strrchr(url, '/') + 1);
    }
    return db_open_with(&(const struct db_config){.url = url, .direct = direct}, name, ret_db,
                        problem);
}

static inline int place_make(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/tutti-contract-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    fresh_url(place->folder, "test", place->url);
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
