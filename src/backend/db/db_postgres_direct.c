/* PostgreSQL's direct session (db_postgres.h): one connection past any pooler, for what lives
 * longer than a transaction, and the thread that watches over it.
 *
 *   marks     who lives: an advisory lock a mark. The server lets it go with the session.
 *   commits   of other processes come as notifications. A process tells of its own at most every
 *             TELL_MS, after they were committed: NOTIFY inside of the writes would let only one of
 *             them commit at a time, since it holds a lock of the whole server. What a killed
 *             process did not tell is found by a look every LOOK_MS.
 *   settling  a commit is read by who goes through places only when all earlier transactions have
 *             ended (db.h). If some had not, the watcher looks every SETTLE_MS until they have, and
 *             wakes the listeners once more.
 *   outcome   of a transaction whose COMMIT was not answered (db_postgres_work.c).
 *
 * When the session breaks it is made anew and the marks are taken again. After a cut in the network
 * the server may keep the dead session, and its locks, for long: what it refuses is asked for every
 * LOOK_MS until it is ours. All processes lose their marks when a server ends, so for GRACE_MS
 * after that nobody is called dead.
 */
#include "backend/db/db_postgres.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    TELL_MS = 10,
    SETTLE_MS = 10,
    LOOK_MS = 1000,
    RECONNECT_MS = 500,
    GRACE_MS = 5000,
    OUTCOME_MS = 5000,
    STACK_BYTES = 128 * 1024,
};

static const char channel_listen[] = "LISTEN tutti_commit";

static int ask(struct postgres_direct *direct, const char *sql, const char *value, char *out,
               size_t size)
{
    if (direct->handle == NULL) {
        db_words_set("the server is away");
        return POSTGRES_LOST;
    }
    const char *const values[] = {value};
    int r = postgres_ask(direct->handle, sql, values, value != NULL ? 1 : 0, out, size);
    if (r == POSTGRES_LOST) {
        PQfinish(TAKE_PTR(direct->handle));
    }
    return r;
}

int postgres_direct_identity(struct postgres_db *db, char *out, size_t size)
{
    (void)pthread_mutex_lock(&db->direct.lock);
    int r = ask(&db->direct, POSTGRES_IDENTITY_SQL, NULL, out, size);
    (void)pthread_mutex_unlock(&db->direct.lock);
    return r;
}

static int ask_number(struct postgres_direct *direct, const char *sql, int64_t number, char *out,
                      size_t size)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    return ask(direct, sql, text, out, size);
}

static int lock_mark(struct postgres_direct *direct, int64_t mark)
{
    char taken[8] = "";
    int r = ask_number(direct, "SELECT pg_try_advisory_lock($1)", mark, taken, sizeof taken);
    return r < 0 ? r : taken[0] == 't' ? 0 : ERR_EXISTS;
}

/* Those that this session does not hold. Who else has one is our own dead session: marks are random
 * numbers. */
static int take_marks(struct postgres_direct *direct)
{
    int r = 0;
    for (unsigned i = 0; i < direct->mark_count && r != POSTGRES_LOST; i++) {
        struct postgres_mark *mark = &direct->marks[i];
        if (!mark->held) {
            r = lock_mark(direct, mark->number);
            mark->held = r == 0;
        }
    }
    return r == POSTGRES_LOST ? r : 0;
}

/* Under the lock. */
static int connect_session(struct postgres_db *db)
{
    struct postgres_direct *direct = &db->direct;
    bool pooled = false;
    direct->tried_ms = clock_monotonic_ms();
    int r = postgres_connect(db, &direct->address, &direct->handle, &pooled);
    if (r >= 0 && pooled) {
        db_words_set("a pooler stands between, and sessions are needed; say an address past it "
                     "(database.…_direct)");
        PQfinish(TAKE_PTR(direct->handle));
        return ERR_INVALID;
    }
    if (r < 0 ||
        (r = ask(direct, "SET idle_in_transaction_session_timeout = 0", NULL, NULL, 0)) < 0 ||
        (r = ask(direct, channel_listen, NULL, NULL, 0)) < 0) {
        return r;
    }
    direct->generation++;
    direct->connected_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < direct->mark_count; i++) {
        direct->marks[i].held = false;
    }
    return take_marks(direct);
}

/* ---- The watcher ---- */

/* What others told. True: something. */
static bool take_news(struct postgres_db *db)
{
    struct postgres_direct *direct = &db->direct;
    bool news = false;
    if (direct->handle == NULL) {
        return false;
    }
    if (PQconsumeInput(direct->handle) != 1) {
        PQfinish(TAKE_PTR(direct->handle));
        return true; /* what came meanwhile is not known */
    }
    PGnotify *notify;
    while ((notify = PQnotifies(direct->handle)) != NULL) {
        if (notify->be_pid != PQbackendPID(direct->handle)) {
            (void)db_position_raise(&db->base, (int64_t)strtoull(notify->extra, NULL, 16));
            news = true;
        }
        PQfreemem(notify);
    }
    return news;
}

static void tell(struct postgres_db *db)
{
    char position[24];
    (void)snprintf(position, sizeof position, "%" PRIx64, (uint64_t)db_position(&db->base));
    (void)ask(&db->direct, "SELECT pg_notify('tutti_commit', $1)", position, NULL, 0);
    db->direct.told_ms = clock_monotonic_ms();
}

/* True when all transactions up to the one that was handed over have ended. */
static bool has_settled(struct postgres_direct *direct)
{
    int64_t waiting = atomic_load(&direct->unsettled);
    char oldest[24] = "";
    if (waiting == 0 || ask(direct, "SELECT pg_snapshot_xmin(pg_current_snapshot())", NULL, oldest,
                            sizeof oldest) < 0) {
        return false;
    }
    return strtoll(oldest, NULL, 10) > waiting &&
           atomic_compare_exchange_strong(&direct->unsettled, &waiting, 0);
}

/* Whether transactions began or ended since the last look. */
static bool has_moved(struct postgres_direct *direct)
{
    char now[sizeof direct->seen] = "";
    direct->looked_ms = clock_monotonic_ms();
    if (ask(direct,
            "SELECT pg_snapshot_xmin(pg_current_snapshot()) || ':' ||"
            " pg_snapshot_xmax(pg_current_snapshot())",
            NULL, now, sizeof now) < 0) {
        return false;
    }
    bool moved = strcmp(now, direct->seen) != 0;
    memcpy(direct->seen, now, sizeof now);
    return moved;
}

/* One turn under the lock. True: the listeners are to be woken. */
static bool turn(struct postgres_db *db)
{
    struct postgres_direct *direct = &db->direct;
    int64_t now_ms = clock_monotonic_ms();
    bool wake = false;
    if (direct->handle == NULL && now_ms - direct->tried_ms >= RECONNECT_MS) {
        wake = connect_session(db) == 0;
    }
    wake = take_news(db) || wake;
    bool settled = has_settled(direct);
    if ((atomic_load(&direct->committed) || settled) && now_ms - direct->told_ms >= TELL_MS) {
        atomic_store(&direct->committed, false);
        tell(db);
    } else if (settled) {
        atomic_store(&direct->committed, true);
    }
    if (now_ms - direct->looked_ms >= LOOK_MS) {
        (void)take_marks(direct);
        wake = has_moved(direct) || wake;
        postgres_pool_trim(&db->primary);
    }
    return wake || settled;
}

/* How long nothing needs to be done unless somebody says so. */
static int sleep_ms(const struct postgres_direct *direct)
{
    if (direct->handle == NULL) {
        return RECONNECT_MS;
    }
    return atomic_load(&direct->committed)        ? TELL_MS
           : atomic_load(&direct->unsettled) != 0 ? SETTLE_MS
                                                  : LOOK_MS;
}

static void *watcher_main(void *argument)
{
    struct postgres_db *db = argument;
    struct postgres_direct *direct = &db->direct;
    while (!atomic_load(&direct->ending)) {
        (void)pthread_mutex_lock(&direct->lock);
        struct pollfd fds[] = {
            {.fd = direct->wake_fd, .events = POLLIN},
            {.fd = direct->handle != NULL ? PQsocket(direct->handle) : -1, .events = POLLIN},
        };
        int ms = sleep_ms(direct);
        (void)pthread_mutex_unlock(&direct->lock);
        (void)poll(fds, COUNT_OF(fds), ms);
        uint64_t count;
        (void)!read(direct->wake_fd, &count, sizeof count);
        (void)pthread_mutex_lock(&direct->lock);
        bool wake = turn(db);
        (void)pthread_mutex_unlock(&direct->lock);
        if (wake) {
            db_wake_listeners(&db->base);
        }
    }
    return NULL;
}

static void wake_watcher(struct postgres_direct *direct)
{
    uint64_t one = 1;
    (void)!write(direct->wake_fd, &one, sizeof one);
}

void postgres_direct_committed(struct postgres_db *db, int64_t unsettled)
{
    struct postgres_direct *direct = &db->direct;
    int64_t waiting = atomic_load(&direct->unsettled);
    while (waiting < unsettled &&
           !atomic_compare_exchange_weak(&direct->unsettled, &waiting, unsettled)) {
    }
    if (!atomic_exchange(&direct->committed, true)) {
        wake_watcher(direct);
    }
}

/* ---- Life ---- */

int postgres_direct_start(struct postgres_db *db)
{
    struct postgres_direct *direct = &db->direct;
    (void)pthread_mutex_lock(&direct->lock);
    int r = connect_session(db);
    (void)pthread_mutex_unlock(&direct->lock);
    if (r < 0) {
        return r;
    }
    direct->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (direct->wake_fd < 0) {
        return ERR_UNAVAILABLE;
    }
    direct->looked_ms = clock_monotonic_ms();
    (void)has_moved(direct);
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    direct->running = pthread_create(&direct->thread, &attributes, watcher_main, db) == 0;
    (void)pthread_attr_destroy(&attributes);
    return direct->running ? 0 : ERR_UNAVAILABLE;
}

void postgres_direct_end(struct postgres_db *db)
{
    struct postgres_direct *direct = &db->direct;
    if (direct->running) {
        atomic_store(&direct->ending, true);
        wake_watcher(direct);
        (void)pthread_join(direct->thread, NULL);
    }
    if (atomic_load(&direct->committed) && direct->handle != NULL) {
        tell(db); /* the last commits */
    }
    /* Who asks right after the end hears of it, though the server ends the session by and by. */
    (void)ask(direct, "SELECT pg_advisory_unlock_all()", NULL, NULL, 0);
    if (direct->handle != NULL) {
        PQfinish(direct->handle);
    }
    mem_close_p(&direct->wake_fd);
    postgres_address_done(&direct->address);
}

/* ---- Outcomes ---- */

unsigned postgres_direct_generation(struct postgres_db *db)
{
    return atomic_load(&db->direct.generation);
}

int postgres_direct_outcome(struct postgres_db *db, unsigned generation, int64_t transaction)
{
    struct postgres_direct *direct = &db->direct;
    int64_t until_ms = clock_monotonic_ms() + OUTCOME_MS;
    int outcome = ERR_UNAVAILABLE;
    for (unsigned tries = 0; clock_monotonic_ms() < until_ms; tries++) {
        char status[24] = "";
        (void)pthread_mutex_lock(&direct->lock);
        int r = direct->generation == generation
                    ? ask_number(direct, "SELECT pg_xact_status(CAST($1 AS xid8))", transaction,
                                 status, sizeof status)
                    : POSTGRES_LOST;
        (void)pthread_mutex_unlock(&direct->lock);
        outcome = r < 0                              ? ERR_UNAVAILABLE
                  : strcmp(status, "committed") == 0 ? 1
                  : strcmp(status, "aborted") == 0   ? 0
                                                     : ERR_UNAVAILABLE;
        if (r < 0 || outcome >= 0) {
            break;
        }
        postgres_pause(tries + 3); /* still under way */
    }
    return outcome;
}

/* ---- Who lives ---- */

int postgres_alive_mark(struct db *base, int64_t mark)
{
    struct postgres_direct *direct = &((struct postgres_db *)base)->direct;
    (void)pthread_mutex_lock(&direct->lock);
    int r = direct->mark_count < POSTGRES_MARKS_MAX ? lock_mark(direct, mark) : ERR_BUSY;
    if (r == 0) {
        direct->marks[direct->mark_count++] = (struct postgres_mark){.number = mark, .held = true};
    }
    (void)pthread_mutex_unlock(&direct->lock);
    return r == POSTGRES_LOST || r == POSTGRES_AGAIN ? ERR_UNAVAILABLE : r;
}

bool postgres_is_alive(struct db *base, int64_t mark)
{
    struct postgres_direct *direct = &((struct postgres_db *)base)->direct;
    char found[8] = "";
    (void)pthread_mutex_lock(&direct->lock);
    bool young = direct->generation > 1 && clock_monotonic_ms() - direct->connected_ms < GRACE_MS;
    int r = ask_number(direct,
                       "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"
                       " AND granted AND objsubid = 1"
                       " AND database = (SELECT oid FROM pg_database"
                       "  WHERE datname = current_database())"
                       " AND CAST(classid AS BIGINT) = CAST($1 AS BIGINT) >> 32"
                       " AND CAST(objid AS BIGINT) = CAST($1 AS BIGINT) & 4294967295)",
                       mark, found, sizeof found);
    (void)pthread_mutex_unlock(&direct->lock);
    return young || r < 0 || found[0] == 't';
}

bool postgres_in_use(const char *url)
{
    struct postgres_db db = {.statement_ms = 5000, .lock_ms = 5000};
    PGconn *handle = NULL;
    bool pooled = false;
    char found[8] = "";
    if (postgres_address_parse(url, "", true, &db.direct.address, NULL) < 0) {
        return false;
    }
    if (postgres_connect(&db, &db.direct.address, &handle, &pooled) == 0) {
        (void)postgres_ask(handle,
                           "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"
                           " AND granted AND objsubid = 1 AND database ="
                           " (SELECT oid FROM pg_database WHERE datname = current_database()))",
                           NULL, 0, found, sizeof found);
        PQfinish(handle);
    }
    postgres_address_done(&db.direct.address);
    return found[0] == 't';
}
