/* PostgreSQL behind db.h: opening and closing. The design is told where its parts are:
 * db_postgres.h lists them.
 *
 * A process has for each database a pool for work, opened as needed, and one session past any
 * pooler (db_postgres_direct.c), which has a thread. SQL is the same text as for SQLite; so that it
 * means the same, the database must sort text by bytes and be UTF-8, which is looked at when it is
 * opened.
 */
#include "backend/db/db_postgres.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECTIONS = 8,
    STATEMENT_MS = 30000,
    LOCK_MS = 5000,
    WAIT_MS = 10000,
    LAG_MS = 5000,
    IDENTITY_SIZE = 96,
    CLOCK_SLACK_MS = 60 * 1000, /* tokens are taken from clocks that are that far ahead */
};

static unsigned or_else(unsigned number, unsigned otherwise)
{
    return number != 0 ? number : otherwise;
}

static void postgres_close(struct db *base)
{
    struct postgres_db *db = (struct postgres_db *)base;
    postgres_replicas_close(db);
    postgres_direct_end(db);
    postgres_pool_done(&db->primary);
    (void)pthread_mutex_destroy(&db->direct.lock);
    db_base_done(base);
    free(db);
}

/* Advice for what people get wrong, by what the server says of it. */
static const char *advice(const char *words)
{
    static const struct {
        const char *words, *advice;
    } known[] = {
        {"password authentication failed", "; the user or the password in the URL is wrong"},
        {"no password supplied", "; the URL needs a password"},
        {"permission denied for database", "; the user must be let in (GRANT CONNECT ON DATABASE … "
                                           "TO …), or own the database"},
        {"too many connections", "; raise that limit there, or lower database.connections"},
        {"remaining connection slots", "; raise max_connections there, lower database.connections, "
                                       "or put PgBouncer in front"},
        {"role \"", "; make the user there: CREATE USER … PASSWORD …"},
        {"database \"", "; make it: CREATE DATABASE … OWNER … TEMPLATE template0 ENCODING 'UTF8' "
                        "LOCALE 'C.UTF-8'"},
        {"Connection refused", "; is PostgreSQL running there?"},
        {"permission denied for schema", "; the user must own the database (ALTER DATABASE … OWNER "
                                         "TO …)"},
        {"session is read-only", "; this is a replica, and the primary is needed"},
        {"no pg_hba.conf entry", "; pg_hba.conf of the server must let this host and user in"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        bool quotes = strchr(known[i].words, '"') != NULL; /* something that may be missing */
        if (strstr(words, known[i].words) != NULL &&
            (!quotes || strstr(words, "\" does not exist") != NULL)) {
            return known[i].advice;
        }
    }
    return "";
}

static int cannot_open(const struct postgres_db *db, const char *shown, int r,
                       struct problem *problem)
{
    char words[DB_WORDS_MAX];
    (void)snprintf(words, sizeof words, "%s", db_words());
    r = r == POSTGRES_LOST || r == POSTGRES_AGAIN ? ERR_UNAVAILABLE : r;
    return problem_set(problem, r, "Can't open the database %s at %s: %s%s", db->base.name, shown,
                       words[0] != '\0' ? words : error_title(r), advice(words));
}

static int make_tables(struct db_session *session, void *argument)
{
    (void)argument;
    return postgres_script(session, db_migrations[0].sql);
}

static int has_tables(struct db_session *session, void *argument)
{
    bool *found = argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()"
                     " AND tablename IN ('db_migration', 'db_position')",
                     DB_NO_BIND);
    r = r < 0 ? r : db_next(rows);
    *found = r > 0 && db_get_int(rows, 0) == 2;
    return r < 0 ? r : 0;
}

static int own_tables(struct postgres_db *db)
{
    bool found = false;
    int r = db_read(&db->base, has_tables, &found);
    return r < 0 || found ? r : postgres_write_alone(&db->base, make_tables, NULL);
}

struct setting {
    char encoding[32], order[64], position[32];
    int64_t base;
};

static int read_setting(struct db_session *session, void *argument)
{
    struct setting *setting = argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT pg_encoding_to_char(encoding), CASE datlocprovider WHEN 'c' THEN"
                     " datcollate WHEN 'b' THEN 'C' ELSE 'ICU' END, pg_current_wal_flush_lsn(),"
                     " COALESCE((SELECT position FROM db_position WHERE id = 2), 0)"
                     " FROM pg_database WHERE datname = current_database()",
                     DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) != 1) {
        return r < 0 ? r : ERR_INTERNAL;
    }
    (void)snprintf(setting->encoding, sizeof setting->encoding, "%s", db_get_text(rows, 0));
    (void)snprintf(setting->order, sizeof setting->order, "%s", db_get_text(rows, 1));
    (void)snprintf(setting->position, sizeof setting->position, "%s", db_get_text(rows, 2));
    setting->base = db_get_int(rows, 3);
    return 0;
}

/* Lists and searches of a prefix compare text as SQLite does: by bytes. */
static int check_setting(struct postgres_db *db)
{
    struct setting setting = {.base = 0};
    int r = db_read(&db->base, read_setting, &setting);
    if (r < 0) {
        return r;
    }
    static const char *const by_bytes[] = {"C", "POSIX", "C.UTF-8", "C.utf8"};
    bool good = false;
    for (size_t i = 0; i < sizeof by_bytes / sizeof by_bytes[0]; i++) {
        good = good || strcmp(setting.order, by_bytes[i]) == 0;
    }
    if (!good || strcmp(setting.encoding, "UTF8") != 0) {
        char words[DB_WORDS_MAX];
        (void)snprintf(words, sizeof words,
                       "it is %s and sorts by %s; make it with TEMPLATE template0 ENCODING 'UTF8' "
                       "LOCALE 'C.UTF-8'",
                       setting.encoding, setting.order);
        db_words_set(words);
        return ERR_INVALID;
    }
    db->place_base = setting.base;
    (void)db_position_raise(&db->base, (int64_t)postgres_position_parse(setting.position));
    return 0;
}

static int read_identity(struct db_session *session, void *argument)
{
    char *identity = argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, POSTGRES_IDENTITY_SQL, DB_NO_BIND);
    r = r < 0 ? r : db_next(rows);
    (void)snprintf(identity, IDENTITY_SIZE, "%s", r > 0 ? db_get_text(rows, 0) : "");
    return r < 0 ? r : 0;
}

/* Locks and notifications of one database are no use to another. */
static int check_direct(struct postgres_db *db, struct problem *problem)
{
    char ours[IDENTITY_SIZE] = "", direct[IDENTITY_SIZE] = "";
    int r = postgres_direct_identity(db, direct, sizeof direct);
    if (r < 0) {
        return cannot_open(db, db->direct.address.shown, r, problem);
    }
    if ((r = db_read(&db->base, read_identity, ours)) < 0) {
        return cannot_open(db, db->primary.address.shown, r, problem);
    }
    return strcmp(ours, direct) == 0
               ? 0
               : problem_set(problem, ERR_INVALID,
                             "database.%s_direct is %s, which is another database than %s; it must "
                             "be the same past PgBouncer",
                             db->base.name, db->direct.address.shown, db->primary.address.shown);
}

static int start(struct postgres_db *db, const struct db_config *config, struct problem *problem)
{
    const char *direct =
        config->direct != NULL && config->direct[0] != '\0' ? config->direct : config->url;
    unsigned connections = or_else(config->connections_max, CONNECTIONS);
    int r =
        postgres_pool_init(&db->primary, config->url, db->base.name, connections, true, problem);
    if (r < 0 || (r = postgres_address_parse(direct, db->base.name, true, &db->direct.address,
                                             problem)) < 0) {
        return r;
    }
    if ((r = postgres_direct_start(db)) < 0) {
        return cannot_open(db, db->direct.address.shown, r, problem);
    }
    if (direct != config->url && (r = check_direct(db, problem)) < 0) {
        return r;
    }
    if ((r = own_tables(db)) < 0 || (r = check_setting(db)) < 0) {
        return cannot_open(db, db->primary.address.shown, r, problem);
    }
    return postgres_replicas_open(db, config->replicas, connections, problem);
}

static int postgres_open(const struct db_config *config, const char *name, struct db **ret_db,
                         struct problem *problem)
{
    struct postgres_db *db = calloc(1, sizeof *db);
    if (db == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't open the database %s: out of memory",
                           name);
    }
    db_words_set(NULL);
    char labels[DB_NAME_MAX + 16];
    (void)snprintf(labels, sizeof labels, "database=\"%s\"", name);
    db_base_init(&db->base, &db_engine_postgres, name);
    db->repeats =
        metric_get(METRIC_COUNTER, "tutti_db_repeats_total",
                   "Writes that were undone by others or a lost connection and run again", labels);
    (void)pthread_mutex_init(&db->direct.lock, NULL);
    db->direct.wake_fd = -1;
    db->direct.tried_ms = INT64_MIN / 2;
    db->statement_ms = or_else(config->statement_ms, STATEMENT_MS);
    db->lock_ms = or_else(config->lock_ms, LOCK_MS);
    db->wait_ms = or_else(config->wait_ms, WAIT_MS);
    db->lag_ms = or_else(config->lag_ms, LAG_MS);
    int r = start(db, config, problem);
    if (r < 0) {
        postgres_close(&db->base);
        return r;
    }
    *ret_db = &db->base;
    return 0;
}

static int probe(struct db_session *session, void *argument)
{
    int64_t *server_ms = argument;
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT position, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
                     " FROM db_position WHERE id = 1",
                     DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) != 1) {
        return r < 0 ? r : ERR_INTERNAL;
    }
    *server_ms = db_get_int(rows, 1);
    return 0;
}

static bool is_off(int64_t ms)
{
    return llabs(ms) > CLOCK_SLACK_MS;
}

static void keep_clock(struct postgres_db *db, int64_t off_ms)
{
    int64_t before_ms = atomic_exchange(&db->clock_off_ms, off_ms);
    if (is_off(off_ms) != is_off(before_ms)) {
        log_event(is_off(off_ms) ? LOG_WARNING : LOG_INFO,
                  is_off(off_ms) ? "db.clock.off" : "db.clock.right",
                  log_text("database", db->primary.address.shown), log_number("aheadMs", off_ms));
    }
}

/* What went wrong, in words that say what would be right. */
static void advise(void)
{
    char words[DB_WORDS_MAX];
    (void)snprintf(words, sizeof words, "%s%s", db_words(), advice(db_words()));
    db_words_set(words);
}

static int postgres_ping(struct db *base)
{
    struct db_view *before = db_view_enter(NULL); /* of the primary */
    int64_t server_ms = 0, asked_ms = clock_wall_ms();
    int r = postgres_read(base, probe, &server_ms);
    (void)db_view_enter(before);
    if (r < 0) {
        advise();
        return r;
    }
    /* It was told between the question and its answer. */
    int64_t told_ms = clock_wall_ms();
    keep_clock((struct postgres_db *)base, asked_ms > server_ms  ? asked_ms - server_ms
                                           : told_ms < server_ms ? told_ms - server_ms
                                                                 : 0);
    return 0;
}

static bool postgres_clock_is_off(struct db *base, struct problem *problem)
{
    struct postgres_db *db = (struct postgres_db *)base;
    int64_t off_ms = atomic_load(&db->clock_off_ms);
    if (is_off(off_ms)) {
        (void)problem_set(problem, ERR_UNAVAILABLE,
                          "our clock is %lld s %s that of %s, and what we sign runs out by it; set "
                          "both by NTP",
                          llabs(off_ms) / 1000, off_ms < 0 ? "behind" : "ahead of",
                          db->primary.address.shown);
    }
    return is_off(off_ms);
}

static const char *postgres_where(const struct db *base)
{
    return ((const struct postgres_db *)base)->primary.address.shown;
}

#define ENGINE(scheme_)                                                                            \
    {                                                                                              \
        .scheme = (scheme_), .open = postgres_open, .close = postgres_close,                       \
        .read = postgres_read, .write = postgres_write, .write_alone = postgres_write_alone,       \
        .exec = postgres_exec, .query = postgres_query, .script = postgres_script,                 \
        .next = postgres_next, .rows_done = postgres_rows_done, .is_null = postgres_is_null,       \
        .get_int = postgres_get_int, .get_real = postgres_get_real, .get_text = postgres_get_text, \
        .get_blob = postgres_get_blob, .place_next = postgres_place_next,                          \
        .place_settled = postgres_place_settled, .place_raise = postgres_place_raise,              \
        .alive_mark = postgres_alive_mark, .is_alive = postgres_is_alive,                          \
        .in_use = postgres_in_use, .snapshot_take = postgres_snapshot_take,                        \
        .snapshot_copy = postgres_snapshot_copy, .snapshot_free = postgres_snapshot_free,          \
        .snapshot_transfer = postgres_snapshot_transfer, .hold = postgres_hold,                    \
        .put_aside = postgres_put_aside, .check = postgres_check, .ping = postgres_ping,           \
        .where = postgres_where, .is_degraded = postgres_is_degraded,                              \
        .clock_is_off = postgres_clock_is_off, .check_url = postgres_address_check,                \
    }

/* libpq takes both. */
const struct db_engine db_engine_postgres = ENGINE("postgresql");
const struct db_engine db_engine_postgres_short = ENGINE("postgres");
