/* `tutti events parked|retry|drop` (command_admin.h): events that a consumer gave up after all its
 * tries, and what a person decides about them. Works with the server running or not.
 */
#include "backend/bus/bus.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "boot/command.h"
#include "boot/command_admin.h"
#include "boot/platform.h"

#include <stdio.h>
#include <time.h>

enum { PARKED_SHOWN_MAX = 1000 };

/* What is done with a parked event; 0 or an error. */
typedef int decision(struct db *db, const struct bus_parked *parked);

static int show(struct db *db, const struct bus_parked *parked)
{
    (void)db;
    char when[32];
    time_t second = (time_t)(parked->parked_ms / 1000);
    struct tm utc;
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&second, &utc));
    (void)printf("%-20lld %-18s %-18s %-24s %-12s %s, %lld tries, %lld wait behind it\n",
                 (long long)parked->event.id, parked->consumer, parked->event.type,
                 parked->event.key, parked->error, when, (long long)parked->tries,
                 (long long)parked->behind);
    return 0;
}

static int retry(struct db *db, const struct bus_parked *parked)
{
    return bus_parked_retry(db, parked->consumer, parked->event.id);
}

static int drop(struct db *db, const struct bus_parked *parked)
{
    return bus_parked_drop(db, parked->consumer, parked->event.id);
}

/* Every parked event of a database, or those of one id. */
static int decide_in(struct db *db, struct arena *arena, int64_t id, decision *decide,
                     unsigned *ret_count)
{
    struct bus_parked *parked = NULL;
    unsigned count = 0;
    int error = bus_parked_list(db, arena, PARKED_SHOWN_MAX, &parked, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        if (id == 0 || parked[i].event.id == id) {
            error = decide(db, &parked[i]);
            *ret_count += 1;
        }
    }
    return error;
}

static int over_all(const struct command_line *line, int64_t id, decision *decide,
                    unsigned *ret_count)
{
    struct errand errand;
    int status = errand_begin(&errand, line);
    if (status != EXIT_DONE) {
        return status;
    }
    struct db *databases[PLATFORM_DATABASES];
    platform_databases(errand.platform, databases);
    int error = 0;
    for (size_t i = 0; error == 0 && i < COUNT_OF(databases); i++) {
        error = decide_in(databases[i], errand.call.arena, id, decide, ret_count);
    }
    return errand_end(&errand, error);
}

int command_events_parked(const struct command_line *line)
{
    unsigned count = 0;
    return over_all(line, 0, show, &count);
}

static int of_one(const struct command_line *line, decision *decide, const char *done)
{
    const char *word = line->words[line->word_count - 1];
    int64_t id;
    if (!id_parse(word, &id)) {
        (void)fprintf(stderr, "tutti: \"%s\" is no event; see tutti events parked\n", word);
        return EXIT_USAGE;
    }
    unsigned count = 0;
    int status = over_all(line, id, decide, &count);
    if (status == EXIT_DONE && count == 0) {
        (void)fprintf(stderr, "tutti: no event %s is parked\n", word);
        return EXIT_WRONG;
    }
    if (status == EXIT_DONE) {
        (void)printf("%s %s\n", done, word);
    }
    return status;
}

int command_events_retry(const struct command_line *line)
{
    return of_one(line, retry, "tries again:");
}

int command_events_drop(const struct command_line *line)
{
    return of_one(line, drop, "dropped:");
}
