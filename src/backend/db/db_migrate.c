/* Migrations (db.h): numbered per component, each applied once, in a transaction of its own, and
 * remembered with the SHA-256 of its text in db_migration (one of the tables that every engine
 * makes when it opens a database). Several processes may start at once: the check is repeated
 * inside the write, so one applies and the others find it done. Called at start.
 */
#include "backend/db/db.h"

#include "backend/db/db_engine.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"

#include <sodium.h>
#include <string.h>

enum { CHECKSUM_SIZE = crypto_hash_sha256_BYTES * 2 + 1 };

static db_migrating *teller;

void db_tell_migrations(db_migrating *tell)
{
    teller = tell;
}

struct step {
    const struct db_migration *migration;
    char checksum[CHECKSUM_SIZE];
    struct problem *problem;
};

static void checksum_of(const char *sql, char out[CHECKSUM_SIZE])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)sql, strlen(sql));
    (void)sodium_bin2hex(out, CHECKSUM_SIZE, hash, sizeof hash);
}

/* 1: applied with this text; 0: not applied; ERR_CORRUPT: applied with another. */
static int is_applied(struct db_session *session, const struct step *step)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT checksum FROM db_migration WHERE component = $1 AND number = $2",
                     DB_BIND(db_text(step->migration->component), db_int(step->migration->number)));
    if (r < 0 || (r = db_next(rows)) <= 0) {
        return r;
    }
    if (strcmp(db_get_text(rows, 0), step->checksum) == 0) {
        return 1;
    }
    return problem_set(
        step->problem, ERR_CORRUPT,
        "Migration %u of %s in the database %s was applied with another text: it was "
        "changed afterwards, and it must not be",
        step->migration->number, step->migration->component, session->db->name);
}

static int apply(struct db_session *session, void *argument)
{
    struct step *step = argument;
    const struct db_migration *migration = step->migration;
    int r = is_applied(session, step);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    r = session->engine->script(session, migration->sql);
    if (r < 0) {
        return problem_set(step->problem, r, "Migration %u of %s in the database %s failed: %s",
                           migration->number, migration->component, session->db->name, db_words());
    }
    return db_exec(session,
                   "INSERT INTO db_migration (component, number, checksum, applied_at)"
                   " VALUES ($1, $2, $3, $4)",
                   DB_BIND(db_text(migration->component), db_int(migration->number),
                           db_text(step->checksum), db_int(clock_wall_ms())));
}

static int check(struct db_session *session, void *argument)
{
    return is_applied(session, argument);
}

struct newest {
    const char *component;
    int64_t number;
};

static int find_newest(struct db_session *session, void *argument)
{
    struct newest *newest = argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT COALESCE(MAX(number), 0) FROM db_migration WHERE component = $1",
                     DB_BIND(db_text(newest->component)));
    if (r < 0 || (r = db_next(rows)) < 0) {
        return r;
    }
    newest->number = db_get_int(rows, 0);
    return 0;
}

/* The highest number of the component among ours. */
static unsigned ours(const struct db_migration *migrations, unsigned count, const char *component)
{
    unsigned highest = 0;
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(migrations[i].component, component) == 0 && migrations[i].number > highest) {
            highest = migrations[i].number;
        }
    }
    return highest;
}

static int refuse_newer(struct db *db, const struct db_migration *migrations, unsigned count,
                        const char *component, struct problem *problem)
{
    struct newest newest = {.component = component};
    int r = db_read(db, find_newest, &newest);
    if (r < 0) {
        return problem_set(problem, r, "Can't read the migrations of the database %s: %s", db->name,
                           db_words());
    }
    unsigned known = ours(migrations, count, component);
    if (newest.number <= known) {
        return 0;
    }
    return problem_set(problem, ERR_VERSION,
                       "The database %s at %s was made by a newer version of Tutti (%s is at step "
                       "%lld, this version knows %u): run that version, or restore an older backup",
                       db->name, db_where(db), component, (long long)newest.number, known);
}

static int apply_alone(struct db *db, struct step *step)
{
    if (teller != NULL) {
        teller(db->name, step->migration);
    }
    int r = db->engine->write_alone != NULL ? db->engine->write_alone(db, apply, step)
                                            : db_write(db, apply, step);
    if (teller != NULL) {
        teller(db->name, NULL);
    }
    return r;
}

/* Goes through the list: applies what is missing, or only counts it. */
static int walk(struct db *db, const struct db_migration *migrations, unsigned count,
                unsigned *ret_pending, struct problem *problem)
{
    struct problem unused = {0};
    problem = problem != NULL ? problem : &unused;
    problem_reset(problem);
    unsigned pending = 0;
    int r = 0;
    for (unsigned i = 0; i < count && r >= 0; i++) {
        struct step step = {.migration = &migrations[i], .problem = problem};
        checksum_of(migrations[i].sql, step.checksum);
        if (i == 0 || strcmp(migrations[i - 1].component, migrations[i].component) != 0) {
            r = refuse_newer(db, migrations, count, migrations[i].component, problem);
        }
        if (r >= 0 && (r = db_read(db, check, &step)) == 0) {
            pending++;
            r = ret_pending == NULL ? apply_alone(db, &step) : 0;
        }
    }
    if (r < 0 && problem->code == 0) {
        return problem_set(problem, r, "Can't migrate the database %s: %s", db->name, db_words());
    }
    if (r >= 0 && ret_pending != NULL) {
        *ret_pending = pending;
    }
    return r < 0 ? r : 0;
}

int db_migrate(struct db *db, const struct db_migration *migrations, unsigned count,
               struct problem *problem)
{
    return walk(db, migrations, count, NULL, problem);
}

int db_migrate_pending(struct db *db, const struct db_migration *migrations, unsigned count,
                       unsigned *ret_pending, struct problem *problem)
{
    return walk(db, migrations, count, ret_pending, problem);
}

int db_born(struct db_session *session, int64_t *ret_born_ms)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, "SELECT MIN(applied_at) FROM db_migration", DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) < 0) {
        return r;
    }
    *ret_born_ms = db_is_null(rows, 0) ? INT64_MAX : db_get_int(rows, 0);
    return 0;
}

static int backdate(struct db_session *session, void *argument)
{
    const int64_t *born_ms = argument;
    int r = db_exec(session,
                    "UPDATE db_migration SET applied_at = $1 WHERE applied_at > $1 AND"
                    " applied_at = (SELECT MIN(applied_at) FROM db_migration)",
                    DB_BIND(db_int(*born_ms)));
    return r < 0 ? r : 0;
}

int db_born_at(struct db *db, int64_t born_ms)
{
    return db_write(db, backdate, &born_ms);
}
