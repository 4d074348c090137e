/* A long start (starting.h): a thread that looks every two seconds whether a migration runs, or ran
 * since it last looked. What hangs elsewhere gets no more time. */
#include "boot/starting.h"

#include "backend/db/db.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/notify.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

enum { LOOK_EVERY_S = 2, LONGER_S = 90 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool runs, ending;
    bool migrating, migrated;    /* now; since the last look */
    char database[32], what[64]; /* the last one */
} starting = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static void note(const char *database, const struct db_migration *migration)
{
    (void)pthread_mutex_lock(&starting.lock);
    starting.migrating = migration != NULL;
    if (migration != NULL) {
        starting.migrated = true;
        (void)snprintf(starting.database, sizeof starting.database, "%s", database);
        (void)snprintf(starting.what, sizeof starting.what, "%u of %s", migration->number,
                       migration->component);
    }
    (void)pthread_mutex_unlock(&starting.lock);
}

/* Under the lock. */
static void tell(void)
{
    char state[256];
    (void)snprintf(state, sizeof state,
                   "EXTEND_TIMEOUT_USEC=%d000000\n"
                   "STATUS=Bringing the database %s to this version: migration %s",
                   LONGER_S, starting.database, starting.what);
    notify_state(state);
    log_event(LOG_INFO, "database.migrating", log_text("database", starting.database),
              log_text("migration", starting.what));
}

/* Until the next look; false: it ends. Under the lock. */
static bool wait_for_look(void)
{
    const struct timespec until = clock_monotonic_after(LOOK_EVERY_S * 1000);
    int failure = 0;
    while (!starting.ending && failure != ETIMEDOUT) {
        failure = pthread_cond_clockwait(&starting.wake, &starting.lock, CLOCK_MONOTONIC, &until);
    }
    return !starting.ending;
}

static void *look_main(void *argument)
{
    (void)pthread_mutex_lock(&starting.lock);
    while (wait_for_look()) {
        if (starting.migrated) {
            tell();
        }
        starting.migrated = starting.migrating;
    }
    (void)pthread_mutex_unlock(&starting.lock);
    return argument;
}

void starting_begin(void)
{
    db_tell_migrations(note);
    starting.runs = pthread_create(&starting.thread, NULL, look_main, NULL) == 0;
}

void starting_end(void)
{
    db_tell_migrations(NULL);
    (void)pthread_mutex_lock(&starting.lock);
    starting.ending = true;
    (void)pthread_cond_signal(&starting.wake);
    (void)pthread_mutex_unlock(&starting.lock);
    if (starting.runs) {
        (void)pthread_join(starting.thread, NULL);
        starting.runs = false;
    }
}
