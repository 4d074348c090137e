/* Peers of the search over the same catalogue and the same queries (search_bench.h): SQLite's FTS5,
 * ordered by rank (bm25) and by rowid (the place by plays), PostgreSQL's pg_trgm, and OpenSearch
 * behind our own interface. Fails loudly, has no cleanup, as bench/search.c. */
#include "base/problem.h"
#include "search_bench.h"

#include <dirent.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RANKED_QUERIES_OF = 10 };

/* ---- FTS5 ---- */

struct fts5 {
    struct ranked *ranked; /* by rowid - 1 */
    sqlite3_stmt *select;
};

static void run_sql(sqlite3 *db, const char *sql)
{
    need(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

struct ranked {
    uint32_t plays, number;
};

static int by_plays(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    return a->plays > b->plays ? -1 : a->plays < b->plays;
}

/* rowid is the rank by plays, which ORDER BY rowid makes cheap. */
static struct ranked *fts5_build(struct bench *bench, sqlite3 *db)
{
    uint64_t count = bench->model.tracks;
    struct ranked *ranked = malloc(count * sizeof *ranked);
    need(ranked != NULL, "memory");
    struct model_thing thing;
    for (uint64_t i = 0; i < count; i++) {
        model_track(&bench->model, i, &thing);
        ranked[i] = (struct ranked){.plays = thing.plays, .number = (uint32_t)i};
    }
    qsort(ranked, count, sizeof *ranked, by_plays);
    double begun_ms = spent_ms();
    run_sql(db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000");
    run_sql(db,
            "CREATE VIRTUAL TABLE f USING fts5(name, artist, album, content='', prefix='1 2 3', "
            "tokenize='unicode61 remove_diacritics 2')");
    run_sql(db, "BEGIN");
    sqlite3_stmt *insert = NULL;
    need(sqlite3_prepare_v2(db, "INSERT INTO f (rowid, name, artist, album) VALUES (?, ?, ?, ?)",
                            -1, &insert, NULL) == SQLITE_OK,
         "preparing");
    for (uint64_t i = 0; i < count; i++) {
        model_track(&bench->model, ranked[i].number, &thing);
        (void)sqlite3_bind_int64(insert, 1, (sqlite3_int64)i + 1);
        (void)sqlite3_bind_text(insert, 2, thing.title, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(insert, 3, thing.artist, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(insert, 4, thing.album, -1, SQLITE_STATIC);
        need(sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK,
             "inserting");
    }
    (void)sqlite3_finalize(insert);
    run_sql(db, "COMMIT; INSERT INTO f (f) VALUES ('optimize')");
    (void)printf(", \"fts5BuildS\": %.1f", (spent_ms() - begun_ms) / 1000);
    return ranked;
}

/* Every word a prefix, all of them there: "foo"* "bar"*. */
static void fts5_match(const char *text, char *out)
{
    char *at = out;
    bool inside = false;
    for (; *text != '\0'; text++) {
        bool letter = (unsigned char)*text >= 0x80 || strchr(" ()-.", *text) == NULL;
        if (letter != inside) {
            at = stpcpy(at, !letter ? "\"*" : at > out ? " \"" : "\"");
            inside = letter;
        }
        if (letter) {
            *at++ = *text;
        }
    }
    (void)strcpy(at, inside ? "\"*" : "");
}

static double fts5_ask(struct bench *bench, void *peer, const char *text, struct index_hits *hits)
{
    (void)bench;
    const struct fts5 *fts5 = peer;
    char match[16 * MODEL_TEXT];
    fts5_match(text, match);
    double begun_ms = spent_ms();
    hits->count = 0;
    (void)sqlite3_bind_text(fts5->select, 1, match, -1, SQLITE_STATIC);
    while (sqlite3_step(fts5->select) == SQLITE_ROW) {
        int64_t rowid = sqlite3_column_int64(fts5->select, 0);
        hits->list[hits->count++].id = (int64_t)fts5->ranked[rowid - 1].number + 1;
    }
    (void)sqlite3_reset(fts5->select);
    return spent_ms() - begun_ms;
}

static void fts5_type(struct bench *bench, sqlite3 *db, struct fts5 *fts5, const char *name,
                      const char *sql, unsigned queries)
{
    need(sqlite3_prepare_v2(db, sql, -1, &fts5->select, NULL) == SQLITE_OK, sql);
    (void)printf(", ");
    type_at(bench, &(struct engine){.name = name, .ask = fts5_ask, .peer = fts5}, queries);
    (void)sqlite3_finalize(fts5->select);
}

void peer_fts5(struct bench *bench, const char *folder, unsigned queries)
{
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/fts5.db", folder);
    (void)remove(path);
    sqlite3 *db = NULL;
    need(sqlite3_open(path, &db) == SQLITE_OK, path);
    struct fts5 fts5 = {.ranked = fts5_build(bench, db)};
    fts5_type(bench, db, &fts5, "fts5Rank",
              "SELECT rowid FROM f WHERE f MATCH ? ORDER BY rank LIMIT 10",
              queries / RANKED_QUERIES_OF);
    fts5_type(bench, db, &fts5, "fts5Rowid",
              "SELECT rowid FROM f WHERE f MATCH ? ORDER BY rowid LIMIT 10", queries);
    (void)sqlite3_close(db);
    struct stat status;
    need(stat(path, &status) == 0, path);
    (void)printf(", \"fts5Bytes\": %lld", (long long)status.st_size);
    (void)remove(path);
    free(fts5.ranked);
}

/* ---- pg_trgm ---- */

struct trigrams {
    PGconn *connection;
    int pid; /* of the server's process */
};

static PGresult *run_pg(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    need(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN,
         PQerrorMessage(connection));
    return result;
}

/* CPU time of the server's process. */
static double server_ms(const struct trigrams *trigrams)
{
    char path[64], line[128] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/schedstat", trigrams->pid);
    FILE *file = fopen(path, "re");
    need(file != NULL && fgets(line, sizeof line, file) != NULL, path);
    (void)fclose(file);
    return strtod(line, NULL) / 1e6;
}

static void trigrams_build(struct bench *bench, const struct trigrams *trigrams)
{
    PGconn *connection = trigrams->connection;
    double begun_ms = server_ms(trigrams);
    PQclear(run_pg(connection, "CREATE EXTENSION pg_trgm; SET maintenance_work_mem = '512MB';"
                               "SET max_parallel_maintenance_workers = 0;"
                               "SET max_parallel_workers_per_gather = 0; SET statement_timeout = 0;"
                               "CREATE TABLE t (id BIGINT PRIMARY KEY, plays BIGINT, name TEXT)"));
    PQclear(run_pg(connection, "COPY t FROM STDIN"));
    for (uint64_t i = 0; i < bench->model.tracks; i++) {
        struct model_thing thing;
        char row[4 * MODEL_TEXT];
        model_track(&bench->model, i, &thing);
        int length = snprintf(row, sizeof row, "%lld\t%u\t%s %s %s\n", (long long)i + 1,
                              thing.plays, thing.title, thing.artist, thing.album);
        need(PQputCopyData(connection, row, length) == 1, "copying");
    }
    need(PQputCopyEnd(connection, NULL) == 1, "copying");
    PQclear(PQgetResult(connection));
    PQclear(PQgetResult(connection));
    PQclear(run_pg(connection, "CREATE INDEX t_name ON t USING gin (name gin_trgm_ops)"));
    PQclear(run_pg(connection, "VACUUM ANALYZE t"));
    PGresult *size = run_pg(connection, "SELECT pg_total_relation_size('t')");
    (void)printf(", \"trigramsBuildS\": %.1f, \"trigramsBytes\": %s",
                 (server_ms(trigrams) - begun_ms) / 1000, PQgetvalue(size, 0, 0));
    PQclear(size);
}

static double trigrams_ask(struct bench *bench, void *peer, const char *text,
                           struct index_hits *hits)
{
    (void)bench;
    struct trigrams *trigrams = peer;
    double begun_ms = server_ms(trigrams);
    PGresult *result = PQexecPrepared(trigrams->connection, "ask", 1, &text, NULL, NULL, 0);
    need(PQresultStatus(result) == PGRES_TUPLES_OK, PQerrorMessage(trigrams->connection));
    hits->count = (unsigned)PQntuples(result);
    for (unsigned i = 0; i < hits->count; i++) {
        hits->list[i].id = strtoll(PQgetvalue(result, (int)i, 0), NULL, 10);
    }
    PQclear(result);
    return server_ms(trigrams) - begun_ms;
}

void peer_trigrams(struct bench *bench, const char *url, unsigned queries)
{
    enum { TRIGRAM = 3 };
    PGconn *connection = PQconnectdb(url);
    need(PQstatus(connection) == CONNECTION_OK, PQerrorMessage(connection));
    PGresult *pid = run_pg(connection, "SELECT pg_backend_pid()");
    struct trigrams trigrams = {.connection = connection,
                                .pid = (int)strtol(PQgetvalue(pid, 0, 0), NULL, 10)};
    PQclear(pid);
    trigrams_build(bench, &trigrams);
    PGresult *prepared = PQprepare(connection, "ask",
                                   "SELECT id FROM t WHERE $1 <% name ORDER BY "
                                   "word_similarity($1, name) DESC, plays DESC LIMIT 10",
                                   1, NULL);
    need(PQresultStatus(prepared) == PGRES_COMMAND_OK, PQerrorMessage(connection));
    PQclear(prepared);
    (void)printf(", ");
    type_at(bench,
            &(struct engine){
                .name = "trigrams", .ask = trigrams_ask, .peer = &trigrams, .letters_min = TRIGRAM},
            queries);
    PQfinish(connection);
}

/* ---- OpenSearch ---- */

struct shared {
    struct index *index;
    int pid;
};

/* CPU time of all threads that the process has. */
static double process_ms(int pid)
{
    char path[400], line[128];
    double ns = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    need(tasks != NULL, path);
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
        (void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, task->d_name);
        FILE *file = task->d_name[0] != '.' ? fopen(path, "re") : NULL;
        if (file != NULL) {
            ns += fgets(line, sizeof line, file) != NULL ? strtod(line, NULL) : 0;
            (void)fclose(file);
        }
    }
    (void)closedir(tasks);
    return ns / 1e6;
}

static double shared_ask(struct bench *bench, void *peer, const char *text, struct index_hits *hits)
{
    struct shared *shared = peer;
    double begun_ms = process_ms(shared->pid);
    double own_ms = ask_index(bench, shared->index, text, hits);
    return own_ms + process_ms(shared->pid) - begun_ms;
}

static void shared_build(struct bench *bench, const struct shared *shared)
{
    struct index_build *build = NULL;
    struct index_size size;
    struct problem problem = {0};
    double begun_ms = process_ms(shared->pid) + spent_ms();
    need(index_build_begin(shared->index, 1, &build) == 0, "building");
    fill(bench, build);
    need(index_build_end(build, &problem) == 0, problem.detail);
    index_size(shared->index, &size);
    (void)printf(", \"opensearchBuildS\": %.1f, \"opensearchBytes\": %lld, ",
                 (process_ms(shared->pid) + spent_ms() - begun_ms) / 1000, (long long)size.bytes);
}

/* A Java compiles what it runs often: it is not measured before. */
static void warm_up(struct bench *bench, struct shared *shared)
{
    enum { WARM_TRACKS = 200, EVERY = 3 };
    for (uint64_t i = 0; i < WARM_TRACKS; i++) {
        struct model_thing thing;
        struct index_hits hits;
        char text[MODEL_TEXT];
        model_track(&bench->model, i * 7 % bench->model.tracks, &thing);
        for (size_t end = 1; end <= strlen(thing.title) && end < sizeof text; end += EVERY) {
            memcpy(text, thing.title, end);
            text[end] = '\0';
            (void)shared_ask(bench, shared, text, &hits);
        }
    }
}

void peer_opensearch(struct bench *bench, const char *url, int pid, unsigned queries)
{
    struct shared shared = {.pid = pid};
    struct problem problem = {0};
    need(index_open(url, &shared.index, &problem) == 0, problem.detail);
    shared_build(bench, &shared);
    warm_up(bench, &shared);
    type_at(bench, &(struct engine){.name = "opensearch", .ask = shared_ask, .peer = &shared},
            queries);
    index_close(shared.index);
}
