/* service/ingest/sweep: what nobody came back for goes, and nothing else. */
#include "../catalog/support.h"

#include "backend/blob/blob.h"
#include "base/clock.h"
#include "base/error.h"
#include "service/ingest/ingest_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { LATER_US = 20 * 1000, ACROSS_MS = 5 };

static struct ingest *open_ingest(struct world *world, int64_t life_ms, int64_t orphan_grace_ms)
{
    struct problem problem = {0};
    struct ingest *ingest = NULL;
    const struct ingest_config config = {.db = world->db,
                                         .bus = world->bus,
                                         .blobs = world->blobs,
                                         .catalog = world->catalog,
                                         .objects_url = "http://localhost/s3",
                                         .upload_life_ms = life_ms,
                                         .orphan_grace_ms = orphan_grace_ms};
    assert_int_equal(ingest_open(&config, &ingest, &problem), 0);
    return ingest;
}

static void put_object(struct world *world, const char *bucket, const char *key)
{
    const struct blob_meta meta = {0};
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    assert_int_equal(blob_put_open(world->blobs, bucket, key, &meta, &writer), 0);
    assert_int_equal(blob_put_write(writer, "bytes", 5), 0);
    assert_int_equal(blob_put_commit(writer, false, &stat), 0);
}

static bool has_object(struct world *world, const char *bucket, const char *key)
{
    struct blob_stat stat;
    int error = blob_stat(world->blobs, bucket, key, &stat);
    assert_true(error == 0 || error == ERR_NOT_FOUND);
    return error == 0;
}

static struct ingest_swept sweep(struct ingest *ingest)
{
    struct ingest_swept swept;
    assert_int_equal(ingest_sweep(ingest, &swept), 0);
    return swept;
}

struct state_step {
    struct world *world;
    int64_t id;
    const char *state;
};

static int read_state(struct db_session *session, void *argument)
{
    struct state_step *step = argument;
    struct call *call = &step->world->call;
    struct upload_row row = {0};
    int error = upload_get(session, call->arena, step->id, call->actor.user_id, &row);
    step->state = row.state;
    return error;
}

static const char *state_of(struct world *world, int64_t id)
{
    struct state_step step = {.world = world, .id = id};
    world_read(world, read_state, &step);
    return step.state;
}

static int use(struct db_session *session, void *argument)
{
    const struct state_step *step = argument;
    return upload_set_state(session, step->id, "used", 1);
}

static int no_part(void *argument, const struct blob_part *part)
{
    (void)argument;
    (void)part;
    return 0;
}

static void an_abandoned_upload_goes(void **state)
{
    struct world *world = *state;
    struct ingest *ingest = open_ingest(world, ACROSS_MS, 0);
    const struct upload_wish single = {.filename = "a.flac", .bytes = 5};
    const struct upload_wish parts = {.filename = "b.flac", .bytes = 5, .parts = true};
    struct upload_row put, cut, used;
    assert_int_equal(upload_begin(ingest, &world->call, &single, &put), 0);
    assert_int_equal(upload_begin(ingest, &world->call, &parts, &cut), 0);
    assert_int_equal(upload_begin(ingest, &world->call, &single, &used), 0);
    put_object(world, BLOB_UPLOADS, put.object_key);
    world_write(world, use, &(struct state_step){.id = used.id});
    (void)usleep(LATER_US);
    assert_int_equal(sweep(ingest).uploads, 2);
    assert_string_equal(state_of(world, put.id), "aborted");
    assert_string_equal(state_of(world, cut.id), "aborted");
    assert_string_equal(state_of(world, used.id), "used");
    assert_false(has_object(world, BLOB_UPLOADS, put.object_key));
    assert_int_equal(blob_multipart_list(world->blobs, BLOB_UPLOADS, cut.object_key,
                                         cut.multipart_id, 0, 10, no_part, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(sweep(ingest).uploads, 0);
    ingest_close(ingest);
}

static int keep_answer(struct db_session *session, void *argument)
{
    struct world *world = argument;
    struct idempotency once = {.key = "k", .user_id = 1, .now_ms = clock_wall_ms()};
    int error = idempotency_begin(session, &world->call, &once);
    return error != 0 || once.replayed ? ERR_EXISTS
                                       : idempotency_finish(session, &once, 204, 0, NULL);
}

static int count_answers(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows, "SELECT COUNT(*) FROM idempotency", DB_NO_BIND);
    if (error != 0 || (error = db_next(rows)) < 0) {
        return error;
    }
    *(int64_t *)argument = db_get_int(rows, 0);
    return 0;
}

static int find_ended(struct db_session *session, void *argument)
{
    struct state_step *step = argument;
    struct call *call = &step->world->call;
    struct upload_row row;
    return upload_get(session, call->arena, step->id, call->actor.user_id, &row);
}

static void what_is_long_over_is_forgotten(void **state)
{
    static const int64_t day_ms = 24 * 3600 * 1000;
    struct world *world = *state;
    struct ingest *ingest = open_ingest(world, ACROSS_MS, 0);
    const struct upload_wish wish = {.filename = "a.flac", .bytes = 5};
    struct upload_row row;
    assert_int_equal(upload_begin(ingest, &world->call, &wish, &row), 0);
    struct state_step step = {.world = world, .id = row.id};
    world_write(world, use, &step);
    world_write(world, keep_answer, world);
    int64_t answers = 0;
    world_read(world, count_answers, &answers);
    assert_int_equal(answers, 1);
    clock_wall_skew_ms(29 * day_ms);
    (void)sweep(ingest);
    world_read(world, find_ended, &step);
    world_read(world, count_answers, &answers);
    assert_int_equal(answers, 0); /* kept for a day */
    clock_wall_skew_ms(2 * day_ms);
    (void)sweep(ingest);
    assert_int_equal(db_read(world->db, find_ended, &step), ERR_NOT_FOUND);
    clock_wall_skew_ms(-31 * day_ms);
    ingest_close(ingest);
}

static void an_upload_in_its_day_stays(void **state)
{
    struct world *world = *state;
    struct ingest *ingest = open_ingest(world, 0, ACROSS_MS);
    const struct upload_wish wish = {.filename = "a.flac", .bytes = 5};
    struct upload_row row;
    assert_int_equal(upload_begin(ingest, &world->call, &wish, &row), 0);
    assert_int_equal(row.expires_at - row.created_at, 24 * 3600 * 1000);
    put_object(world, BLOB_UPLOADS, row.object_key);
    (void)usleep(LATER_US);
    assert_int_equal(sweep(ingest).uploads, 0);
    assert_string_equal(state_of(world, row.id), "open");
    assert_true(has_object(world, BLOB_UPLOADS, row.object_key));
    ingest_close(ingest);
}

static void what_no_row_names_goes(void **state)
{
    struct world *world = *state;
    struct ingest *young = open_ingest(world, 0, 0), *ingest = open_ingest(world, 0, ACROSS_MS);
    char named[64];
    int64_t track_id = world_add_track(world, "One");
    (void)snprintf(named, sizeof named, "m/%" PRId64 "/1/original.flac", track_id);
    const char *const orphans[] = {"m/77/1/original.flac", "art/77/64.jpg", "stray"};
    put_object(world, BLOB_MEDIA, named);
    put_object(world, BLOB_UPLOADS, "1/77.flac");
    for (unsigned i = 0; i < 3; i++) {
        put_object(world, BLOB_MEDIA, orphans[i]);
    }
    (void)usleep(LATER_US);
    assert_int_equal(sweep(young).objects, 0); /* a row might still come */
    assert_int_equal(sweep(ingest).objects, 4);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(has_object(world, BLOB_MEDIA, orphans[i]));
    }
    assert_false(has_object(world, BLOB_UPLOADS, "1/77.flac"));
    assert_true(has_object(world, BLOB_MEDIA, named));
    ingest_close(young);
    ingest_close(ingest);
}

static int end_grace(struct db_session *session, void *argument)
{
    (void)argument;
    int changed = db_exec(session, "UPDATE cleanup SET due_at = $1", DB_BIND(db_int(1)));
    return changed < 0 ? changed : 0;
}

static void a_replaced_file_goes_after_its_grace(void **state)
{
    struct world *world = *state;
    struct ingest *ingest = open_ingest(world, 0, ACROSS_MS);
    char first[64], second[64];
    int64_t track_id = world_add_track(world, "One");
    (void)snprintf(first, sizeof first, "m/%" PRId64 "/1/original.flac", track_id);
    put_object(world, BLOB_MEDIA, first);
    int version = world_replace(world, track_id); /* nothing played yet: it takes over at once */
    (void)snprintf(second, sizeof second, "m/%" PRId64 "/%d/original.flac", track_id, version);
    put_object(world, BLOB_MEDIA, second);
    (void)usleep(LATER_US);
    assert_int_equal(sweep(ingest).objects, 0); /* who listens now hears it to its end */
    assert_true(has_object(world, BLOB_MEDIA, first));
    world_write(world, end_grace, NULL);
    assert_int_equal(sweep(ingest).objects, 1);
    assert_false(has_object(world, BLOB_MEDIA, first));
    assert_true(has_object(world, BLOB_MEDIA, second));
    assert_int_equal(sweep(ingest).objects, 0);
    ingest_close(ingest);
}

static struct ingest_swept sweep_all(struct ingest *ingest, bool accept_lost)
{
    struct ingest_swept swept;
    assert_int_equal(ingest_sweep_all(ingest, accept_lost, &swept), 0);
    return swept;
}

static int make_anew(struct db_session *session, void *argument)
{
    (void)argument;
    int changed = db_exec(session, "UPDATE db_migration SET applied_at = $1",
                          DB_BIND(db_int(clock_wall_ms())));
    return changed < 0 ? changed : 0;
}

static void what_is_older_than_the_catalog_stays(void **state)
{
    struct world *world = *state;
    struct ingest *ingest = open_ingest(world, 0, ACROSS_MS);
    put_object(world, BLOB_MEDIA, "m/77/1/original.flac");
    put_object(world, BLOB_MEDIA, "art/77/64.jpg");
    put_object(world, BLOB_UPLOADS, "1/77.flac");
    (void)usleep(LATER_US);
    world_write(world, make_anew, NULL);
    (void)usleep(LATER_US);
    put_object(world, BLOB_MEDIA, "m/78/1/original.flac");
    (void)usleep(LATER_US);
    for (unsigned i = 0; i < 2; i++) {
        struct ingest_swept swept = i == 0 ? sweep(ingest) : sweep_all(ingest, false);
        assert_int_equal(swept.objects, i == 0 ? 1 : 0);
        assert_int_equal(swept.older, 3);
        assert_int_equal(swept.held, 0);
    }
    assert_true(has_object(world, BLOB_MEDIA, "m/77/1/original.flac"));
    assert_true(has_object(world, BLOB_UPLOADS, "1/77.flac"));
    assert_false(has_object(world, BLOB_MEDIA, "m/78/1/original.flac"));
    struct ingest_swept swept = sweep_all(ingest, true); /* a person said so */
    assert_int_equal(swept.objects, 3);
    assert_int_equal(swept.older, 0);
    ingest_close(ingest);
}

static void put_row(struct world *world, const char *before, unsigned count)
{
    char key[96];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(key, sizeof key, "%s%04u", before, i);
        put_object(world, BLOB_MEDIA, key);
    }
}

static void what_stands_in_a_row_is_held(void **state)
{
    enum { NAMED = ORPHANS_AT_ONCE - ORPHANS_IN_A_ROW / 2, ROW = ORPHANS_AT_ONCE + 50 };
    struct world *world = *state;
    struct ingest *ingest = open_ingest(world, 0, ACROSS_MS);
    char named[64];
    int64_t track_id = world_add_track(world, "One");
    (void)snprintf(named, sizeof named, "m/%" PRId64 "/1/", track_id);
    put_row(world, named, NAMED); /* the row begins near a portion's end, and fills one */
    put_row(world, "m/99/1/", ROW);
    (void)usleep(LATER_US);
    for (unsigned i = 0; i < 3; i++) { /* it is not eaten up from its ends either */
        struct ingest_swept swept = sweep_all(ingest, false);
        assert_int_equal(swept.objects, 0);
        assert_int_equal(swept.held, ROW);
        assert_int_equal(swept.older, 0);
    }
    unsigned held = 0;
    for (unsigned i = 0; i < 3; i++) { /* in portions, too */
        struct ingest_swept swept = sweep(ingest);
        assert_int_equal(swept.objects, 0);
        held += swept.held;
    }
    assert_int_equal(held, ROW);
    put_object(world, BLOB_UPLOADS, "1/77.flac");
    (void)usleep(LATER_US);
    assert_int_equal(sweep_all(ingest, true).objects, ROW + 1); /* the whole store in one go */
    assert_int_equal(sweep_all(ingest, true).objects, 0);
    (void)snprintf(named, sizeof named, "m/%" PRId64 "/1/0000", track_id);
    assert_true(has_object(world, BLOB_MEDIA, named));
    ingest_close(ingest);
}

static void what_stands_here_and_there_goes(void **state)
{
    enum { FEW = ORPHANS_IN_A_ROW };
    struct world *world = *state;
    struct ingest *ingest = open_ingest(world, 0, ACROSS_MS);
    char key[64];
    int64_t track_id = world_add_track(world, "One");
    (void)snprintf(key, sizeof key, "m/%" PRId64 "/0/", track_id);
    put_row(world, key, FEW);
    (void)snprintf(key, sizeof key, "m/%" PRId64 "/2/", track_id);
    put_row(world, key, FEW);
    (void)snprintf(key, sizeof key, "m/%" PRId64 "/1/original.flac", track_id);
    put_object(world, BLOB_MEDIA, key);
    for (int i = 0; i < FEW + 1; i++) {
        (void)snprintf(key, sizeof key, "1/%d.flac", i);
        put_object(world, BLOB_UPLOADS, key); /* of which most may be left ones */
    }
    (void)usleep(LATER_US);
    struct ingest_swept swept = sweep(ingest);
    assert_int_equal(swept.objects, 3 * FEW + 1);
    assert_int_equal(swept.held, 0);
    ingest_close(ingest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_abandoned_upload_goes, world_new, world_free),
        cmocka_unit_test_setup_teardown(an_upload_in_its_day_stays, world_new, world_free),
        cmocka_unit_test_setup_teardown(what_is_long_over_is_forgotten, world_new, world_free),
        cmocka_unit_test_setup_teardown(what_no_row_names_goes, world_new, world_free),
        cmocka_unit_test_setup_teardown(what_is_older_than_the_catalog_stays, world_new,
                                        world_free),
        cmocka_unit_test_setup_teardown(what_stands_in_a_row_is_held, world_new, world_free),
        cmocka_unit_test_setup_teardown(what_stands_here_and_there_goes, world_new, world_free),
        cmocka_unit_test_setup_teardown(a_replaced_file_goes_after_its_grace, world_new,
                                        world_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
