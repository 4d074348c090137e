/* Fingerprints in the background (prints.h). A pass takes file after file of those without a print
 * (printing.h). Between files it rests, so that its share of a core is bounded. A pass that was
 * killed goes on with the next.
 *
 * On the timer's thread of ingest, at the top of its stack, so it logs.
 */
#include "service/ingest/prints/prints.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "service/ingest/prints/printing.h"

enum { AT_ONCE = 16, REST_MS_MAX = 10000, PASS_MS_MAX = 60000 };

/* As long as the share wants; false: the role ends. */
static bool rest(struct ingest *ingest, int64_t worked_ms)
{
    int64_t share = (int64_t)ingest->config.import_prints_percent;
    int64_t rest_ms = worked_ms * (100 - share) / share;
    rest_ms = rest_ms < REST_MS_MAX ? rest_ms : REST_MS_MAX;
    return ingest_wait(ingest, rest_ms);
}

struct pass {
    struct ingest *ingest;
    struct printing *printing;
    struct arena *arena;
    int64_t after_id;
    struct print_wanted *rows;
    unsigned count, made, alike;
    bool whole; /* it came to the end */
};

static int list_work(struct db_session *session, void *argument)
{
    struct pass *pass = argument;
    return print_wanted_list(session, pass->arena, pass->after_id, clock_wall_ms() - PRINT_STALE_MS,
                             AT_ONCE, &pass->rows, &pass->count);
}

static int prune_work(struct db_session *session, void *argument)
{
    (void)argument;
    return print_prune(session);
}

static int print_one(struct pass *pass, const struct print_wanted *wanted)
{
    unsigned alike = 0;
    int error = printing_keep(pass->printing, wanted);
    (void)printing_same(pass->printing, &alike);
    pass->made += error == 0;
    pass->alike += error == 0 && alike > 0;
    return error;
}

/* The files of one list. What goes wrong with one does not end the pass. */
static int print_some(struct pass *pass)
{
    for (unsigned i = 0; i < pass->count; i++) {
        int64_t began_ms = clock_monotonic_ms();
        int error = print_one(pass, &pass->rows[i]);
        pass->after_id = pass->rows[i].file_id;
        if (error == ERR_CANCELLED || !rest(pass->ingest, clock_monotonic_ms() - began_ms)) {
            return ERR_CANCELLED;
        }
        if (error == ERR_NO_MEMORY || error == ERR_UNAVAILABLE) {
            return error;
        }
    }
    return 0;
}

static int run_pass(struct pass *pass)
{
    struct db *db = pass->ingest->config.db;
    int64_t until_ms = clock_monotonic_ms() + PASS_MS_MAX;
    int error = 0;
    while (error == 0 && !pass->whole && clock_monotonic_ms() < until_ms) {
        arena_reset(pass->arena);
        error = db_read(db, list_work, pass);
        error = error != 0 ? error : print_some(pass);
        pass->whole = pass->count < AT_ONCE;
    }
    return error != 0 || !pass->whole ? error : db_write(db, prune_work, NULL);
}

static int go_through(struct ingest *ingest, bool *ret_whole)
{
    struct pass pass = {.ingest = ingest, .printing = printing_new(ingest), .arena = arena_new(0)};
    int error = pass.printing != NULL && pass.arena != NULL ? run_pass(&pass) : ERR_NO_MEMORY;
    if (pass.made > 0) {
        log_event(LOG_INFO, "import.prints", log_number("made", pass.made),
                  log_number("alike", pass.alike));
    }
    printing_free(pass.printing);
    arena_free(pass.arena);
    *ret_whole = pass.whole;
    return error;
}

static int mark_work(struct db_session *session, void *argument)
{
    return print_runs_mark(session, argument);
}

void prints_tick(struct ingest *ingest, struct prints *prints)
{
    int64_t mark = 0;
    if (ingest->config.import_prints_percent <= 0 || ingest->media_path[0] == '\0' ||
        db_read(ingest->config.db, mark_work, &mark) != 0) {
        return;
    }
    bool quiet = mark == prints->told;
    prints->told = mark;
    if (!quiet || mark == prints->done) {
        return;
    }
    bool whole = false;
    int error = go_through(ingest, &whole);
    prints->done = whole || error != 0 ? mark : prints->done;
    if (error != 0 && error != ERR_CANCELLED) {
        log_event(LOG_WARNING, "import.prints_failed", log_text("error", error_name(error)));
    }
}
