/* Files that came back in another encoding (import.h). Their sound has another hash than what is
 * missing, but the same fingerprint, if that was made while the file was there. The file that was
 * added is the missing one from then on: its own track goes, and the missing file's row takes its
 * place, as a file that changed. The walk that follows makes it another version of the track, which
 * keeps its id and all that people did with it; if that walk is cut off, the next one does so.
 *
 * Only what this very run has added is looked at, so nobody has done anything with it yet; and of
 * that only what is about as long as a missing file, since a print takes some tenths of a second.
 * Runs on the import's thread.
 */
#include "service/ingest/import/import.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "service/ingest/prints/print.h"
#include "service/ingest/prints/printing.h"

#include <string.h>

enum { AT_ONCE = 16 };

struct rejoin {
    struct import_run *run;
    struct printing *printing;
    struct call call; /* its arena is a file's */
    int64_t after_id;
    struct print_wanted *rows;
    unsigned count;
    const struct print_wanted *added;
    struct file_row row, missing;
    int64_t album_id;
    bool found;
    int64_t joined, were_present;
};

static int list_work(struct db_session *session, void *argument)
{
    struct rejoin *rejoin = argument;
    return print_returned_list(session, rejoin->run->arena, &rejoin->run->library, rejoin->after_id,
                               PRINT_DURATION_APART_MS, AT_ONCE, &rejoin->rows, &rejoin->count);
}

static int album_of(struct db_session *session, struct rejoin *rejoin, int64_t track_id,
                    int64_t *ret_album_id)
{
    CLEANUP_JSON json_t *object = NULL;
    int64_t revision = 0;
    return catalog_track_answer(session, &rejoin->call, track_id, &object, &revision, ret_album_id);
}

/* The missing file that it is: of those with its sound the one of its album, else the first. */
static int choose_work(struct db_session *session, void *argument)
{
    struct rejoin *rejoin = argument;
    struct arena *arena = rejoin->call.arena;
    unsigned count = 0;
    const struct print_row *same = printing_same(rejoin->printing, &count);
    int64_t album_id = 0;
    rejoin->found = false;
    int error = file_get(session, arena, rejoin->added->file_id, &rejoin->row);
    error =
        error != 0 ? error : album_of(session, rejoin, rejoin->added->track_id, &rejoin->album_id);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        struct file_row row;
        error = file_missing_of(session, arena, same[i].track_id, rejoin->row.owner_user_id,
                                rejoin->row.shelf_id, &row);
        error = error != 0 ? error : album_of(session, rejoin, row.track_id, &album_id);
        if (error == 0 && (!rejoin->found || album_id == rejoin->album_id)) {
            rejoin->missing = row;
            rejoin->found = true;
        }
        error = error == ERR_NOT_FOUND ? 0 : error;
        if (rejoin->found && album_id == rejoin->album_id) {
            break;
        }
    }
    return error == ERR_NOT_FOUND ? 0 : error;
}

/* Both are as they were when they were chosen. */
static int check(struct db_session *session, struct rejoin *rejoin)
{
    struct file_row row, missing;
    int error = file_get(session, rejoin->call.arena, rejoin->row.id, &row);
    error =
        error != 0 ? error : file_get(session, rejoin->call.arena, rejoin->missing.id, &missing);
    bool same = error == 0 && row.track_id == rejoin->added->track_id &&
                strcmp(row.state, "present") == 0 && strcmp(missing.state, "missing") == 0 &&
                missing.track_id == rejoin->missing.track_id;
    return error != 0 ? error : same ? 0 : ERR_NOT_FOUND;
}

static int join_work(struct db_session *session, void *argument)
{
    struct rejoin *rejoin = argument;
    struct file_row row = rejoin->missing;
    row.library_id = rejoin->row.library_id;
    row.folder_id = rejoin->row.folder_id;
    row.name = rejoin->row.name;
    row.bytes = row.mtime_ns = 0; /* so it has changed */
    problem_reset(&rejoin->call.problem);
    int error = check(session, rejoin);
    error = error != 0 ? error : file_delete(session, rejoin->row.id);
    error =
        error != 0 ? error : catalog_track_forsake(session, &rejoin->call, rejoin->added->track_id);
    return error != 0 ? error : file_update(session, &row, clock_wall_ms());
}

static int find_like(struct rejoin *rejoin)
{
    int error = printing_keep(rejoin->printing, rejoin->added);
    return error == ERR_CONFLICT ? printing_look(rejoin->printing, rejoin->added) : error;
}

static int join(struct rejoin *rejoin)
{
    struct catalog *catalog = rejoin->run->ingest->config.catalog;
    int error = db_write(rejoin->run->ingest->config.db, join_work, rejoin);
    if (error == 0) {
        rejoin->joined++;
        rejoin->were_present += import_was_present(rejoin->run, &rejoin->missing);
        catalog_track_forget(catalog, rejoin->added->track_id);
        catalog_album_forget(catalog, rejoin->album_id);
    }
    return error == ERR_NOT_FOUND ? 0 : error;
}

/* What can't be decoded or had is no other file for that. */
static int rejoin_one(struct rejoin *rejoin)
{
    arena_reset(rejoin->call.arena);
    rejoin->found = false;
    int error = find_like(rejoin);
    if (error == 0) {
        error = db_read(rejoin->run->ingest->config.db, choose_work, rejoin);
    } else if (error != ERR_CANCELLED && error != ERR_NO_MEMORY && error != ERR_UNAVAILABLE) {
        error = 0;
    }
    return error == 0 && rejoin->found ? join(rejoin) : error;
}

static int rejoin_all(struct rejoin *rejoin)
{
    int error = 0;
    do {
        error = db_read(rejoin->run->ingest->config.db, list_work, rejoin);
        for (unsigned i = 0; error == 0 && i < rejoin->count; i++) {
            rejoin->added = &rejoin->rows[i];
            rejoin->after_id = rejoin->added->file_id;
            error = rejoin_one(rejoin);
            error = error != 0 ? error : import_tick(rejoin->run);
        }
    } while (error == 0 && rejoin->count == AT_ONCE);
    return error;
}

int import_rejoin(struct import_run *run, int64_t *ret_joined)
{
    struct rejoin rejoin = {
        .run = run,
        .printing = printing_new(run->ingest),
        .call = {.arena = arena_new(0), .actor.roles = ROLE_SYSTEM},
        .after_id = run->row.id, /* ids grow */
    };
    int error =
        rejoin.printing != NULL && rejoin.call.arena != NULL ? rejoin_all(&rejoin) : ERR_NO_MEMORY;
    run->progress.added -= rejoin.joined;
    run->progress.moved += rejoin.joined;
    run->progress.missing -= rejoin.were_present;
    printing_free(rejoin.printing);
    arena_free(rejoin.call.arena);
    *ret_joined = rejoin.joined;
    return error;
}
