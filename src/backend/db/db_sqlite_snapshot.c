/* Snapshots of a SQLite database (db.h): a connection of its own with an open read transaction. In
 * WAL mode it sees one moment for as long as it lasts, and the copy never starts over; only the log
 * can't be started over meanwhile, so it grows, and the writer, who tries that now and then, waits
 * for some ms each time. Checking is here too. Used by one thread at a time.
 */
#include "backend/db/db_sqlite.h"

#include "backend/folder.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGES_AT_ONCE = 256 };

struct sqlite_snapshot {
    struct db_snapshot base;
    struct sqlite_db *db;
    struct sqlite_connection connection;
};

static int run(sqlite3 *handle, const char *sql)
{
    int code = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : sqlite_error(handle, code);
}

void sqlite_snapshot_free(struct db_snapshot *base)
{
    struct sqlite_snapshot *snapshot = (struct sqlite_snapshot *)base;
    sqlite_disconnect(&snapshot->connection);
    free(snapshot);
}

int sqlite_snapshot_take(struct db *base, struct db_snapshot **ret_snapshot,
                         struct problem *problem)
{
    struct sqlite_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL) {
        return ERR_NO_MEMORY;
    }
    snapshot->base.engine = &db_engine_sqlite;
    snapshot->db = (struct sqlite_db *)base;
    db_words_set(NULL);
    int r = sqlite_connect(snapshot->db, false, &snapshot->connection);
    if (r >= 0) { /* the transaction's moment is that of its first read */
        r = run(snapshot->connection.handle, "BEGIN; SELECT position FROM db_position");
    }
    if (r < 0) {
        sqlite_snapshot_free(&snapshot->base);
        return problem_set(problem, r, "Can't read the database %s: %s", base->name,
                           db_words()[0] != '\0' ? db_words() : error_title(r));
    }
    *ret_snapshot = &snapshot->base;
    return 0;
}

static int64_t page_bytes(sqlite3 *handle)
{
    sqlite3_stmt *statement = NULL;
    int64_t bytes = 0;
    if (sqlite3_prepare_v2(handle, "PRAGMA page_size", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        bytes = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return bytes;
}

static int copy_pages(sqlite3 *from, sqlite3 *to, const struct db_progress *progress)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup == NULL) {
        return sqlite_error(to, sqlite3_extended_errcode(to));
    }
    int64_t page = progress != NULL ? page_bytes(from) : 0;
    int code;
    do {
        code = sqlite3_backup_step(backup, PAGES_AT_ONCE);
        if (progress != NULL) {
            int all = sqlite3_backup_pagecount(backup);
            progress->show(progress->argument, (all - sqlite3_backup_remaining(backup)) * page,
                           all * page);
        }
    } while (code == SQLITE_OK);
    int finished = sqlite3_backup_finish(backup);
    if (code != SQLITE_DONE) {
        return sqlite_error(to, finished != SQLITE_OK ? finished : code);
    }
    return run(to, "PRAGMA journal_mode=DELETE"); /* one file, without a log beside it */
}

static int copy_into(struct sqlite_snapshot *snapshot, const char *path,
                     const struct db_progress *progress)
{
    sqlite3 *to = NULL;
    int code = sqlite3_open_v2(
        path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    int r = code == SQLITE_OK ? copy_pages(snapshot->connection.handle, to, progress)
                              : sqlite_error(to, code);
    (void)sqlite3_close(to);
    return r;
}

int sqlite_snapshot_copy(struct db_snapshot *base, const char *path,
                         const struct db_progress *progress, struct problem *problem)
{
    struct sqlite_snapshot *snapshot = (struct sqlite_snapshot *)base;
    char *temporary CLEANUP_FREE = NULL;
    if (asprintf(&temporary, "%s.part", path) < 0) {
        temporary = NULL;
        return ERR_NO_MEMORY;
    }
    (void)unlink(temporary);
    db_words_set(NULL);
    int r = sqlite_create_file(temporary);
    if (r >= 0) {
        r = copy_into(snapshot, temporary, progress);
    }
    if (r >= 0 && rename(temporary, path) != 0) {
        r = error_from_errno(errno);
    }
    if (r >= 0) {
        r = folder_sync_of(path);
    }
    if (r < 0) {
        (void)unlink(temporary);
        return problem_set(problem, r, "Can't copy the database %s to %s: %s",
                           snapshot->db->base.name, path,
                           db_words()[0] != '\0' ? db_words() : error_title(r));
    }
    return 0;
}

/* The first line of what PRAGMA quick_check finds; "ok" where it finds nothing. */
static int first_finding(sqlite3 *handle, char *out, size_t size)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, "PRAGMA quick_check(1)", -1, &statement, NULL);
    code = code == SQLITE_OK ? sqlite3_step(statement) : code;
    if (code == SQLITE_ROW) {
        (void)snprintf(out, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    int r = code == SQLITE_ROW ? 0 : sqlite_error(handle, code);
    (void)sqlite3_finalize(statement);
    return r;
}

int sqlite_check(struct db *base, struct problem *problem)
{
    struct sqlite_connection connection = {.handle = NULL};
    char finding[DB_WORDS_MAX] = "";
    db_words_set(NULL);
    int r = sqlite_connect((struct sqlite_db *)base, false, &connection);
    r = r >= 0 ? first_finding(connection.handle, finding, sizeof finding) : r;
    sqlite_disconnect(&connection);
    if (r < 0) {
        return problem_set(problem, r, "The database %s can't be gone through: %s", base->name,
                           db_words()[0] != '\0' ? db_words() : error_title(r));
    }
    return strcmp(finding, "ok") == 0
               ? 0
               : problem_set(problem, ERR_CORRUPT, "The database %s is damaged: %s", base->name,
                             finding);
}
