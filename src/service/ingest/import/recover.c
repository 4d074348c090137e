/* Tracks whose renditions could not be made although nothing is wrong with their files (import.h):
 * a file was away for a moment, or the server had trouble for days. Nobody is told when that is
 * over, so a walk that has seen such a file gives its track another try. What is a file's own fault
 * stays until the file is another (apply.c). In copy mode the original is in the store, and nothing
 * is tried. Runs on the import's thread. */
#include "service/ingest/import/import.h"

#include "base/error.h"

enum { AT_ONCE = 500 };

struct recover {
    struct import_run *run;
    struct call call; /* its arena is a portion's */
    int64_t after_id;
    struct file_row *rows; /* of the files that were seen */
    unsigned count, listed;
    struct file_row row;
};

int import_try_again(struct db_session *session, struct call *call, struct file_row *row,
                     bool at_once)
{
    const struct catalog_failed failed = {.track_id = row->track_id, .version = row->version};
    int64_t version = 0;
    int error = catalog_track_again(session, call, &failed, at_once, &version);
    error = error != 0 ? error : file_again(session, row->track_id, row->version, version);
    row->version = error == 0 ? version : row->version;
    return error;
}

static int list_work(struct db_session *session, void *argument)
{
    struct recover *recover = argument;
    struct arena *arena = recover->call.arena;
    struct catalog_failed *failed = NULL;
    recover->count = 0;
    int error =
        catalog_failed_list(session, arena, recover->after_id, AT_ONCE, &failed, &recover->listed);
    recover->rows = arena_array(arena, recover->listed + 1, sizeof *recover->rows);
    error = error == 0 && recover->rows == NULL ? ERR_NO_MEMORY : error;
    for (unsigned i = 0; error == 0 && i < recover->listed; i++) {
        struct file_row *row = &recover->rows[recover->count];
        error = file_of_track(session, arena, failed[i].track_id, failed[i].version, row);
        recover->count += error == 0 && import_has_seen(recover->run, row);
        error = error == ERR_NOT_FOUND ? 0 : error;
    }
    recover->after_id = error == 0 && recover->listed > 0 ? failed[recover->listed - 1].track_id
                                                          : recover->after_id;
    return error;
}

static int try_work(struct db_session *session, void *argument)
{
    struct recover *recover = argument;
    struct file_row row = recover->row;
    return import_try_again(session, &recover->call, &row,
                            recover->run->ingest->config.import_ahead);
}

static int try_listed(struct recover *recover)
{
    const struct ingest_config *config = &recover->run->ingest->config;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < recover->count; i++) {
        recover->row = recover->rows[i];
        error = db_write(config->db, try_work, recover);
        if (error == 0) {
            catalog_track_forget(config->catalog, recover->row.track_id);
        }
        error = error == ERR_NOT_FOUND || error == ERR_CONFLICT ? 0 : error;
        error = error != 0 ? error : import_tick(recover->run);
    }
    return error;
}

int import_recover(struct import_run *run)
{
    const struct ingest_config *config = &run->ingest->config;
    struct recover recover = {
        .run = run, .call = {.arena = arena_new(0), .actor.roles = ROLE_SYSTEM}, .listed = AT_ONCE};
    int error = recover.call.arena != NULL ? 0 : ERR_NO_MEMORY;
    while (error == 0 && recover.listed == AT_ONCE && !config->import_copy) {
        arena_reset(recover.call.arena);
        error = db_read(config->db, list_work, &recover);
        error = error != 0 ? error : try_listed(&recover);
    }
    arena_free(recover.call.arena);
    return error;
}
