/* Events as they come from a broker: lines of "TYPE PAYLOAD", one behind the other, to the
 * consumers of the catalogue and of the history, each in a write of its
 * own database, with a track that is being made. Whatever a payload holds, it is applied or refused
 * as what it is (a broken event); told a second time it changes nothing more; and what the tables
 * then say is still something that can be: known states, no number below none.
 *
 * Covers: src/service/catalog/catalog_events.c src/service/catalog/media.c
 * src/service/library/plays/plays_events.c
 * src/service/library/plays/plays_totals.c src/service/library/plays/plays.c */
#include "boot/schemas.h"
#include "fuzz_folder.h"

#include "service/catalog/catalog_events.c" /* NOLINT(bugprone-suspicious-include) */

#include "service/library/plays/plays_events.c" /* NOLINT(bugprone-suspicious-include) */

enum { EVENTS_MAX = 24 };

#define TRACK "1"

/* What there is: an artist's album with one track, whose first file is being worked at. */
static const char *const rows[] = {
    "INSERT INTO artist (id, owner_user_id, name, name_key, bio, revision, created_at, updated_at) "
    "VALUES (1, 1, 'A', 'a', '', 1, 1, 1)",
    "INSERT INTO album (id, artist_id, title, title_key, type, status, release_date, genres, "
    "track_count, duration_ms, working, revision, created_at, updated_at) "
    "VALUES (1, 1, 'B', 'b', 'album', 'published', '', '[]', 1, 0, 0, 1, 1, 1)",
    "INSERT INTO track (id, album_id, artist_id, title, title_key, track_number, disc_number, "
    "explicit, isrc, has_lyrics, published, status, failure_code, failure_reason, version, "
    "pending_version, version_last, working, duration_ms, revision, created_at, updated_at) "
    "VALUES (" TRACK ", 1, 1, 'C', 'c', 1, 1, 0, '', 0, 1, 'processing', '', '', 1, 2, 2, 1, 0, 1, "
    "1, 1)",
    "INSERT INTO track_version (track_id, version, owner_user_id, source_key, source_bytes, "
    "filename, codec, rate, channels, lossless, samples, duration_ms, expected, done, summary, "
    "playable, complete, created_at) "
    "VALUES (" TRACK ", 1, 1, 'm/1/1/a', 9, 'a', '', 0, 0, 0, 0, 0, 0, 0, '[]', 0, 0, 1)",
    "INSERT INTO track_version (track_id, version, owner_user_id, source_key, source_bytes, "
    "filename, codec, rate, channels, lossless, samples, duration_ms, expected, done, summary, "
    "playable, complete, created_at) "
    "VALUES (" TRACK ", 2, 1, 'm/1/2/a', 9, 'a', '', 0, 0, 0, 0, 0, 0, 0, '[]', 0, 0, 1)",
    "INSERT INTO art (id, owner_kind, owner_id, status, mime, object_key, bytes, width, height, "
    "reason, created_at) VALUES (1, 'album', 1, 'processing', 'image/png', 'art/1', 9, 0, 0, '', "
    "1)",
};

/* What never holds of any row. */
static const char *const never[] = {
    "SELECT count(*) FROM track WHERE status NOT IN ('processing', 'ready', 'failed')",
    "SELECT count(*) FROM track WHERE duration_ms < 0 OR version < 0 OR version > version_last",
    "SELECT count(*) FROM track WHERE status = 'ready' AND failure_code <> ''",
    "SELECT count(*) FROM album WHERE duration_ms < 0 OR track_count < 0 OR working < 0",
    "SELECT count(*) FROM track_version WHERE done < 0 OR expected < 0 OR rate < 0 OR "
    "channels < 0 OR samples < 0 OR duration_ms < 0",
    "SELECT count(*) FROM track_version WHERE histogram IS NOT NULL AND length(histogram) = 0",
    "SELECT count(*) FROM art WHERE status NOT IN ('processing', 'ready', 'failed') OR width < 0 "
    "OR height < 0",
};

static struct db *catalog_db, *activity_db;

static void open_databases(void)
{
    char url[96];
    (void)snprintf(url, sizeof url, "sqlite:%s/catalog.db", fuzz_folder);
    FUZZ_CHECK(db_open(url, "catalog", &catalog_db, NULL) == 0);
    FUZZ_CHECK(schemas_migrate(catalog_db, PLACE_CATALOG, NULL) == 0);
    (void)snprintf(url, sizeof url, "sqlite:%s/activity.db", fuzz_folder);
    FUZZ_CHECK(db_open(url, "activity", &activity_db, NULL) == 0);
    FUZZ_CHECK(schemas_migrate(activity_db, PLACE_ACTIVITY, NULL) == 0);
}

static int insert_rows(struct db_session *session, void *argument)
{
    (void)argument;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        FUZZ_CHECK(db_exec(session, rows[i], DB_NO_BIND) == 1);
    }
    return 0;
}

static void close_databases(void)
{
    db_close(catalog_db);
    db_close(activity_db);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    fuzz_folder_make();
    open_databases();
    FUZZ_CHECK(db_write(catalog_db, insert_rows, NULL) == 0);
    FUZZ_CHECK(atexit(close_databases) == 0);
    return 0;
}

static int64_t count_of(struct db_session *session, const char *sql)
{
    DB_ROWS found = NULL;
    FUZZ_CHECK(db_query(session, &found, sql, DB_NO_BIND) == 0 && db_next(found) == 1);
    return db_get_int(found, 0);
}

/* Events of the input, as the bus gives them. */
struct events {
    struct event list[EVENTS_MAX];
    unsigned count;
};

static bool is_plays(const char *type)
{
    return strcmp(type, "play.recorded") == 0;
}

/* A broken event is parked, or, where its subject is gone, passed over; nothing else may be said
 * of it. */
static int take(struct db_session *session, const struct event *event)
{
    static struct media_run run;
    int error = 0;
    run.count = 0;
    if (is_plays(event->type)) {
        error = keep_play(session, NULL, event);
    } else {
        error = handle_media(session, &run, event);
        FUZZ_CHECK(run.count <= NAMES_OF_ONE);
    }
    FUZZ_CHECK(error == 0 || error == ERR_CORRUPT);
    return error;
}

/* What a second telling must not change. */
static int64_t state_of(struct db_session *session, const char *type)
{
    return is_plays(type)
               ? count_of(session, "SELECT coalesce(sum(plays), 0) FROM play_tally")
               : count_of(session, "SELECT coalesce(sum(done), 0) * 100 + (SELECT count(*) FROM "
                                   "rendition) FROM track_version");
}

static int take_all(struct db_session *session, void *argument)
{
    const struct events *events = argument;
    for (unsigned i = 0; i < events->count; i++) {
        const struct event *event = &events->list[i];
        if (take(session, event) != 0) {
            return ERR_CORRUPT; /* its transaction ends so */
        }
        int64_t state = state_of(session, event->type);
        FUZZ_CHECK(take(session, event) == 0 && state_of(session, event->type) == state);
    }
    bool plays = events->count > 0 && is_plays(events->list[0].type);
    for (size_t i = 0; !plays && i < COUNT_OF(never); i++) {
        FUZZ_CHECK(count_of(session, never[i]) == 0);
    }
    return ERR_CANCELLED; /* as it was, for the next input */
}

/* Of one database, that of the first. */
static void read_events(char *text, struct events *events)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL && events->count < EVENTS_MAX;
         line = strtok_r(NULL, "\n", &save)) {
        char *space = strchr(line, ' ');
        if (space == NULL) {
            continue;
        }
        *space = '\0';
        if (events->count > 0 && is_plays(line) != is_plays(events->list[0].type)) {
            continue;
        }
        events->list[events->count] = (struct event){.id = 1 + events->count,
                                                     .type = line,
                                                     .key = "track:" TRACK,
                                                     .payload = space + 1,
                                                     .created_ms = 1790000000000};
        events->count++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct events events = {.count = 0};
    read_events(text, &events);
    bool plays = events.count > 0 && is_plays(events.list[0].type);
    int error = db_write(plays ? activity_db : catalog_db, take_all, &events);
    FUZZ_CHECK(error == ERR_CANCELLED || error == ERR_CORRUPT);
    free(text);
    return 0;
}
