/* Objects on disk when any call fails (inject.h), plain ones or with --seal sealed: an object is
 * wholly there or wholly not, what was there stays, nothing is left in temporary/, what is told as
 * done is on the disk, and the same can be done afterwards. */
#include "backend/blob/blob.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include "inject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    NEW_BYTES = 3000,
    SURE = INJECT_BIT(INJECT_OPEN),
    SURE_OF_WRITES = SURE | INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_FULL) |
                     INJECT_BIT(INJECT_WRITE) | INJECT_BIT(INJECT_SHORT) | INJECT_BIT(INJECT_SYNC) |
                     INJECT_BIT(INJECT_NAME),
};

static const char kept_key[] = "m/1/kept", new_key[] = "m/22/333/4444444/new";
static char old_text[] = "what was there before", new_text[NEW_BYTES];

static bool sealing;
static struct blob_store *store;
static char upload_id[BLOB_UPLOAD_ID_MAX];
static unsigned runs;

/* ---- The store ---- */

/* With the keys of the store at `owner`. */
static int open_with(const char *path, const char *owner, struct blob_store **ret_store)
{
    char url[128], keys[128];
    (void)snprintf(url, sizeof url, "file:%s", path);
    (void)snprintf(keys, sizeof keys, "%s-keys", owner);
    const struct blob_config config = {.url = url,
                                       .public_url = "http://localhost",
                                       .key_id = "key",
                                       .secret = "secret",
                                       .keys_path = keys,
                                       .seal = sealing};
    struct problem problem = {0};
    return blob_store_open(&config, ret_store, &problem);
}

static int open_at(const char *path, struct blob_store **ret_store)
{
    return open_with(path, path, ret_store);
}

static int put_in(struct blob_store *in, const char *bucket, const char *key, const char *text,
                  size_t length, bool if_none_match)
{
    struct blob_writer *writer = NULL;
    const struct blob_meta meta = {"text/plain", "max-age=5", NULL};
    int r = blob_put_open(in, bucket, key, &meta, &writer);
    if (r < 0) {
        return r;
    }
    r = blob_put_write(writer, text, length);
    if (r < 0) {
        blob_put_abort(writer);
        return r;
    }
    return blob_put_commit(writer, if_none_match, NULL);
}

static int put(const char *bucket, const char *key, const char *text, size_t length,
               bool if_none_match)
{
    return put_in(store, bucket, key, text, length, if_none_match);
}

static bool holds_in(struct blob_store *in, const char *bucket, const char *key, const char *text,
                     size_t length)
{
    struct blob_source source;
    struct blob_reader *reader = NULL;
    struct blob_stat stat;
    char bytes[NEW_BYTES];
    if (blob_open(in, bucket, key, &source, &stat) != 0) {
        return false;
    }
    if (stat.bytes != length || source.sealed != sealing) {
        blob_source_close(&source);
        return false;
    }
    if (blob_reader_new(&source, &reader) != 0) {
        return false;
    }
    size_t had = 0;
    ssize_t got = 1;
    while (had < length && got > 0) {
        got = blob_reader_read(reader, bytes + had, length - had, had);
        had += got > 0 ? (size_t)got : 0;
    }
    blob_reader_free(reader);
    return had == length && memcmp(bytes, text, length) == 0;
}

static bool holds(const char *bucket, const char *key, const char *text, size_t length)
{
    return holds_in(store, bucket, key, text, length);
}

static bool is_missing(const char *bucket, const char *key)
{
    struct blob_stat stat;
    return blob_stat(store, bucket, key, &stat) == ERR_NOT_FOUND;
}

static bool is_old(const char *key)
{
    return holds(BLOB_MEDIA, key, old_text, strlen(old_text));
}

static bool is_new(const char *key)
{
    return holds(BLOB_MEDIA, key, new_text, NEW_BYTES);
}

static unsigned count_entries(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/store/%s", inject_folder(), name);
    DIR *stream = opendir(path);
    assert_non_null(stream);
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(stream);
    return count;
}

/* What holds after any run. What is there is never told as missing: who asks would give it up. */
static void check_rest(int result)
{
    assert_int_not_equal(result, ERR_NOT_FOUND);
    assert_true(is_old(kept_key));
    assert_int_equal(count_entries("temporary"), 0);
    assert_int_equal(blob_ping(store, NULL), 0);
}

static int make_store(void **state)
{
    char path[96];
    if (inject_setup(state) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < NEW_BYTES; i++) {
        new_text[i] = (char)('a' + i % 23);
    }
    (void)snprintf(path, sizeof path, "%s/store", inject_folder());
    if (open_at(path, &store) != 0) {
        return -1;
    }
    return put(BLOB_MEDIA, kept_key, old_text, strlen(old_text), false);
}

static int close_store(void **state)
{
    blob_store_close(store);
    store = NULL;
    return inject_teardown(state);
}

static void remove_new(void)
{
    assert_int_equal(blob_delete(store, BLOB_MEDIA, new_key), 0);
    assert_true(is_missing(BLOB_MEDIA, new_key));
}

static void put_old(void)
{
    assert_int_equal(put(BLOB_MEDIA, new_key, old_text, strlen(old_text), false), 0);
}

/* ---- Opening ---- */

static struct blob_store *opened;

static int run_open(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/opened-%u", inject_folder(), runs);
    opened = NULL;
    return open_at(path, &opened);
}

static void check_open(int result)
{
    if (result < 0) {
        assert_null(opened);
        assert_int_equal(run_open(), 0);
    }
    assert_int_equal(inject_names_unsynced(), 0);
    int64_t created_ms;
    assert_int_equal(blob_bucket_stat(opened, BLOB_MEDIA, &created_ms), 0);
    assert_int_equal(blob_bucket_stat(opened, BLOB_UPLOADS, &created_ms), 0);
    assert_int_equal(put_in(opened, BLOB_MEDIA, "key", new_text, NEW_BYTES, false), 0);
    blob_store_close(opened);
    assert_int_equal(run_open(), 0);
    assert_true(holds_in(opened, BLOB_MEDIA, "key", new_text, NEW_BYTES));
    blob_store_close(opened);
    runs++;
}

static void opening(void **state)
{
    (void)state;
    const struct inject_case what = {.name = "blob_store_open",
                                     .hits = SURE | INJECT_BIT(INJECT_MEMORY) |
                                             INJECT_BIT(INJECT_SYNC) | INJECT_BIT(INJECT_NAME),
                                     .run = run_open,
                                     .check = check_open};
    inject_each(&what, 1);
}

/* ---- Putting ---- */

static int run_put(void)
{
    return put(BLOB_MEDIA, new_key, new_text, NEW_BYTES, false);
}

static int run_put_by_descriptor(void)
{
    struct blob_writer *writer = NULL;
    int r = blob_put_open(store, BLOB_MEDIA, new_key, NULL, &writer);
    if (r < 0) {
        return r;
    }
    int fd = -1;
    r = blob_put_fd(writer, &fd);
    if (r == 0 && pwrite(fd, new_text, NEW_BYTES, 0) != NEW_BYTES) {
        r = ERR_IO;
    }
    if (r < 0) {
        blob_put_abort(writer);
        return r;
    }
    return blob_put_commit(writer, false, NULL);
}

static int run_put_if_none(void)
{
    return put(BLOB_MEDIA, new_key, new_text, NEW_BYTES, true);
}

static char old_etag[BLOB_ETAG_MAX];

static void put_old_and_ask(void)
{
    struct blob_stat stat;
    put_old();
    assert_int_equal(blob_stat(store, BLOB_MEDIA, new_key, &stat), 0);
    memcpy(old_etag, stat.etag, sizeof old_etag);
}

static int run_put_if_match(void)
{
    const struct blob_condition condition = {.if_match = old_etag};
    struct blob_writer *writer = NULL;
    int r = blob_put_open(store, BLOB_MEDIA, new_key, NULL, &writer);
    if (r < 0) {
        return r;
    }
    if ((r = blob_put_write(writer, new_text, NEW_BYTES)) < 0) {
        blob_put_abort(writer);
        return r;
    }
    return blob_put_commit_if(writer, &condition, NULL);
}

static void check_put_new(int result)
{
    assert_true(is_new(new_key) || (result < 0 && is_missing(BLOB_MEDIA, new_key)));
    check_rest(result);
    assert_int_equal(run_put(), 0);
    assert_int_equal(inject_names_unsynced(), 0);
    assert_true(is_new(new_key));
    remove_new();
}

static void check_put_over(int result)
{
    assert_true(is_new(new_key) || (result < 0 && is_old(new_key)));
    check_rest(result);
    assert_int_equal(run_put(), 0);
    assert_int_equal(inject_names_unsynced(), 0);
    assert_true(is_new(new_key));
}

/* Whether a put whose last fsync failed is there nobody can say: then the second says that it is.
 */
static void check_put_if_none(int result)
{
    bool there = is_new(new_key);
    assert_true(there || (result < 0 && is_missing(BLOB_MEDIA, new_key)));
    check_rest(result);
    assert_int_equal(run_put_if_none(), there ? ERR_PRECONDITION : 0);
    assert_true(is_new(new_key));
    remove_new();
}

static void putting(void **state)
{
    (void)state;
    const struct inject_case cases[] = {
        {.name = "put", .hits = SURE_OF_WRITES, .run = run_put, .check = check_put_new},
        {.name = sealing ? NULL : "put through a descriptor", /* tutti-media seals by itself */
         .hits = SURE_OF_WRITES | INJECT_BIT(INJECT_READ),
         .run = run_put_by_descriptor,
         .check = check_put_new},
        {.name = "put over another",
         .hits = SURE_OF_WRITES,
         .prepare = put_old,
         .run = run_put,
         .check = check_put_over},
        {.name = "put if it is still the same",
         .hits = SURE_OF_WRITES,
         .prepare = put_old_and_ask,
         .run = run_put_if_match,
         .check = check_put_over},
        {.name = "put if none",
         .prepare = remove_new,
         .run = run_put_if_none,
         .check = check_put_if_none},
    };
    inject_each(cases, COUNT_OF(cases));
}

/* ---- Copying and deleting ---- */

static void put_source(void)
{
    assert_int_equal(put(BLOB_UPLOADS, "source", new_text, NEW_BYTES, false), 0);
}

static int run_copy(void)
{
    struct blob_stat stat;
    return blob_copy(store, BLOB_UPLOADS, "source", NULL, BLOB_MEDIA, new_key, &stat);
}

static int run_copy_as(void)
{
    const struct blob_meta meta = {.content_type = "audio/ogg"};
    struct blob_stat stat;
    return blob_copy_as(store, BLOB_UPLOADS, "source", NULL, BLOB_MEDIA, new_key, &meta, &stat);
}

/* A file that another process has locked is not linked: its bytes are copied. */
static int run_copy_by_bytes(void)
{
    struct blob_source locked;
    struct blob_stat stat;
    if (blob_open(store, BLOB_UPLOADS, "source", &locked, &stat) != 0) {
        return ERR_IO;
    }
    int r = flock(locked.fd, LOCK_EX | LOCK_NB) == 0 ? run_copy() : ERR_BUSY;
    blob_source_close(&locked);
    return r;
}

static void check_copy(int result)
{
    assert_true(holds(BLOB_UPLOADS, "source", new_text, NEW_BYTES));
    assert_true(is_new(new_key) || (result < 0 && is_missing(BLOB_MEDIA, new_key)));
    check_rest(result);
    assert_int_equal(run_copy(), 0);
    assert_int_equal(inject_names_unsynced(), 0);
    assert_true(is_new(new_key));
    check_rest(0);
    remove_new();
}

static int run_delete(void)
{
    return blob_delete(store, BLOB_MEDIA, new_key);
}

static void check_delete(int result)
{
    assert_true(is_missing(BLOB_MEDIA, new_key) || (result < 0 && is_old(new_key)));
    check_rest(result);
    assert_int_equal(run_delete(), 0);
    assert_true(is_missing(BLOB_MEDIA, new_key));
}

static void copying_and_deleting(void **state)
{
    (void)state;
    const struct inject_case cases[] = {
        {.name = "copy",
         .hits =
             SURE | INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_SYNC) | INJECT_BIT(INJECT_NAME),
         .prepare = put_source,
         .run = run_copy,
         .check = check_copy},
        {.name = "copy by bytes",
         .hits = SURE_OF_WRITES,
         .prepare = put_source,
         .run = run_copy_by_bytes,
         .check = check_copy},
        {.name = "copy with another description",
         .hits = SURE_OF_WRITES,
         .prepare = put_source,
         .run = run_copy_as,
         .check = check_copy},
        {.name = "delete",
         .hits = SURE | INJECT_BIT(INJECT_SYNC),
         .prepare = put_old,
         .run = run_delete,
         .check = check_delete},
    };
    inject_each(cases, COUNT_OF(cases));
}

/* ---- Uploads in parts ---- */

static struct blob_part part;

static int run_create(void)
{
    const struct blob_meta meta = {"audio/flac", NULL, NULL};
    return blob_multipart_create(store, BLOB_MEDIA, new_key, &meta, upload_id);
}

static int run_part(void)
{
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    int r = blob_multipart_put_open(store, BLOB_MEDIA, new_key, upload_id, 1, &writer);
    if (r < 0) {
        return r;
    }
    if ((r = blob_put_write(writer, new_text, NEW_BYTES)) < 0) {
        blob_put_abort(writer);
        return r;
    }
    if ((r = blob_put_commit(writer, false, &stat)) == 0) {
        part = (struct blob_part){.number = 1, .bytes = stat.bytes};
        memcpy(part.etag, stat.etag, sizeof part.etag);
    }
    return r;
}

static int keep_part(void *argument, const struct blob_part *listed)
{
    *(struct blob_part *)argument = *listed;
    return 0;
}

static int run_list_parts(void)
{
    struct blob_part listed = {0};
    int r = blob_multipart_list(store, BLOB_MEDIA, new_key, upload_id, 0, 10, keep_part, &listed);
    return r == 0 && strcmp(listed.etag, part.etag) != 0 ? ERR_CORRUPT : r;
}

static int run_complete(void)
{
    struct blob_stat stat;
    struct problem problem = {0};
    return blob_multipart_complete(store, BLOB_MEDIA, new_key, upload_id, &part, 1, &stat,
                                   &problem);
}

static int run_abort(void)
{
    return blob_multipart_abort(store, BLOB_MEDIA, new_key, upload_id);
}

static unsigned count_uploads(void)
{
    char command[160];
    (void)snprintf(command, sizeof command, "find '%s/store/multipart' -mindepth 2 -maxdepth 2",
                   inject_folder());
    FILE *found = popen(command, "r");
    assert_non_null(found);
    unsigned count = 0;
    for (int byte; (byte = fgetc(found)) != EOF;) {
        count += byte == '\n' ? 1 : 0;
    }
    (void)pclose(found);
    return count;
}

static void sweep_uploads(void)
{
    assert_int_equal(blob_multipart_sweep(store, INT64_MAX), 0);
    assert_int_equal(count_uploads(), 0);
}

static void prepare_upload(void)
{
    assert_int_equal(run_create(), 0);
}

static void prepare_part(void)
{
    prepare_upload();
    assert_int_equal(run_part(), 0);
}

static void check_create(int result)
{
    check_rest(result);
    inject_names_forget(); /* the next has another name */
    assert_int_equal(run_create(), 0);
    assert_int_equal(inject_names_unsynced(), 0);
    assert_int_equal(run_part(), 0);
    assert_int_equal(run_complete(), 0);
    assert_true(is_new(new_key));
    remove_new();
    sweep_uploads(); /* also what failed to begin */
}

static void check_part(int result)
{
    assert_int_equal(result == 0 ? run_list_parts() : 0, 0);
    check_rest(result);
    assert_int_equal(run_part(), 0);
    assert_int_equal(inject_names_unsynced(), 0);
    assert_int_equal(run_list_parts(), 0);
    assert_int_equal(run_complete(), 0);
    assert_true(is_new(new_key));
    remove_new();
    sweep_uploads();
}

static void check_list_parts(int result)
{
    check_rest(result);
    assert_int_equal(run_list_parts(), 0);
    assert_int_equal(run_abort(), 0);
    sweep_uploads();
}

static void check_complete(int result)
{
    assert_true(is_new(new_key) || (result < 0 && is_missing(BLOB_MEDIA, new_key)));
    check_rest(result);
    assert_int_equal(run_complete(), 0);
    assert_int_equal(inject_names_unsynced(), 0);
    assert_true(is_new(new_key));
    remove_new();
    sweep_uploads();
}

/* Told as aborted, it takes no more parts; else it goes on or can be aborted again. */
static void check_abort(int result)
{
    check_rest(result);
    assert_int_equal(run_part() == ERR_NOT_FOUND || result < 0, 1);
    int again = run_abort();
    assert_true(again == ERR_NOT_FOUND || (result < 0 && again == 0));
    assert_int_equal(run_part(), ERR_NOT_FOUND);
    sweep_uploads();
}

static void uploads_in_parts(void **state)
{
    (void)state;
    const struct inject_case cases[] = {
        {.name = "begin an upload",
         .hits = SURE_OF_WRITES,
         .run = run_create,
         .check = check_create},
        {.name = "put a part",
         .hits = SURE_OF_WRITES,
         .prepare = prepare_upload,
         .run = run_part,
         .check = check_part},
        {.name = "list parts",
         .hits = SURE | INJECT_BIT(INJECT_MEMORY),
         .prepare = prepare_part,
         .run = run_list_parts,
         .check = check_list_parts},
        {.name = "complete an upload",
         .hits = SURE_OF_WRITES,
         .prepare = prepare_part,
         .run = run_complete,
         .check = check_complete},
        {.name = "abort an upload",
         .hits = SURE | INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_SYNC),
         .prepare = prepare_part,
         .run = run_abort,
         .check = check_abort},
    };
    inject_each(cases, COUNT_OF(cases));
}

/* ---- Listing and buckets ---- */

static unsigned listed;

static int count_key(void *argument, const char *key, const struct blob_stat *stat)
{
    (void)argument;
    listed += stat->bytes > 0 && key[0] == 'l' ? 1 : 0;
    return 0;
}

static int run_list(void)
{
    listed = 0;
    return blob_list(store, BLOB_MEDIA, "list/", "", 100, count_key, NULL);
}

static void check_list(int result)
{
    assert_true(result < 0 || listed == 5);
    assert_int_equal(run_list(), 0);
    assert_int_equal(listed, 5);
}

static void listing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "list/%u/object", i);
        assert_int_equal(put(BLOB_MEDIA, key, new_text, 10, false), 0);
    }
    const struct inject_case what = {.name = "list",
                                     .hits =
                                         SURE | INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_READ),
                                     .run = run_list,
                                     .check = check_list};
    inject_each(&what, 1);
}

static char bucket[32];

static void name_bucket(void)
{
    (void)snprintf(bucket, sizeof bucket, "bucket-%u", runs++);
}

static int run_bucket(void)
{
    return blob_bucket_create(store, bucket);
}

static void check_bucket(int result)
{
    assert_int_equal(run_bucket(), result < 0 ? 0 : ERR_EXISTS);
    assert_int_equal(inject_names_unsynced(), 0);
}

static int count_bucket(void *argument, const char *name, int64_t created_ms)
{
    (void)argument;
    listed += name[0] != '\0' && created_ms > 0 ? 1 : 0;
    return 0;
}

static int run_list_buckets(void)
{
    listed = 0;
    return blob_bucket_list(store, count_bucket, NULL);
}

static void check_list_buckets(int result)
{
    unsigned before = listed;
    assert_int_equal(run_list_buckets(), 0);
    assert_true(result < 0 || before == listed);
}

static void buckets(void **state)
{
    (void)state;
    const struct inject_case cases[] = {
        {.name = "make a bucket",
         .hits = INJECT_BIT(INJECT_SYNC) | INJECT_BIT(INJECT_NAME),
         .prepare = name_bucket,
         .run = run_bucket,
         .check = check_bucket},
        {.name = "list buckets",
         .hits = SURE | INJECT_BIT(INJECT_MEMORY),
         .run = run_list_buckets,
         .check = check_list_buckets},
    };
    inject_each(cases, COUNT_OF(cases));
}

/* ---- One store made to hold what another holds ---- */

static struct blob_store *mirror;

static int count_mirrored(void *argument, const char *path, uint64_t bytes,
                          enum blob_mirrored outcome)
{
    *(unsigned *)argument += path[0] != '\0' && bytes > 0 && outcome < BLOB_MIRRORED_DAMAGED;
    return 0;
}

static int run_mirror(void)
{
    unsigned count = 0;
    const struct blob_mirror how = {
        .visit = count_mirrored, .argument = &count, .read = {.turns = 1}};
    int r = blob_mirror(store, mirror, BLOB_MEDIA, &how, NULL);
    return r == 0 && count != 1 ? ERR_CORRUPT : r;
}

static bool is_mirrored(void)
{
    return holds_in(mirror, BLOB_MEDIA, kept_key, old_text, strlen(old_text));
}

static void check_mirror(int result)
{
    struct blob_stat stat;
    assert_true(is_mirrored() ||
                (result < 0 && blob_stat(mirror, BLOB_MEDIA, kept_key, &stat) == ERR_NOT_FOUND));
    check_rest(result);
    assert_int_equal(count_entries("../mirror/temporary"), 0);
    assert_int_equal(run_mirror(), 0);
    assert_true(is_mirrored());
    assert_int_equal(blob_delete(mirror, BLOB_MEDIA, kept_key), 0);
}

static int flip_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)walk;
    if (type != FTW_F || status->st_size < (off_t)strlen(old_text)) {
        return 0;
    }
    int fd = open(path, O_WRONLY);
    bool flipped = fd >= 0 && pwrite(fd, "?", 1, 7) == 1;
    return fd < 0 || close(fd) != 0 || !flipped;
}

/* The copy is there, and has one wrong byte. */
static void let_it_rot(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/mirror/objects/media", inject_folder());
    assert_int_equal(run_mirror(), 0);
    assert_int_equal(nftw(path, flip_entry, 16, FTW_PHYS), 0);
    assert_false(is_mirrored());
}

/* A call that fails while the copy is read may make it a bad one, but never the other way round. */
static void check_mended(int result)
{
    assert_true(result < 0 || is_mirrored());
    check_rest(result);
    assert_int_equal(count_entries("../mirror/temporary"), 0);
    assert_int_equal(run_mirror(), 0);
    assert_true(is_mirrored());
}

static void mirroring(void **state)
{
    (void)state;
    char path[96], owner[96];
    (void)snprintf(path, sizeof path, "%s/mirror", inject_folder());
    (void)snprintf(owner, sizeof owner, "%s/store", inject_folder());
    assert_int_equal(open_with(path, owner, &mirror), 0);
    const struct inject_case cases[] = {
        {.name = "mirror", .hits = SURE_OF_WRITES, .run = run_mirror, .check = check_mirror},
        {.name = "mend a mirror",
         .hits = SURE_OF_WRITES,
         .prepare = let_it_rot,
         .run = run_mirror,
         .check = check_mended},
    };
    inject_each(cases, COUNT_OF(cases));
    assert_int_equal(blob_delete(mirror, BLOB_MEDIA, kept_key), 0);
    print_message("the same to another file system:\n");
    inject_apart(true);
    inject_each(cases, COUNT_OF(cases));
    inject_apart(false);
    blob_store_close(mirror);
}

/* ---- Objects that the disk can't read ---- */

static unsigned outcomes[BLOB_MIRRORED_UNEQUAL + 1];

static int count_outcome(void *argument, const char *path, uint64_t bytes,
                         enum blob_mirrored outcome)
{
    (void)argument;
    (void)path;
    (void)bytes;
    outcomes[outcome]++;
    return 0;
}

static int mirror_all(void)
{
    const struct blob_mirror how = {.visit = count_outcome, .read = {.turns = 1}};
    memset(outcomes, 0, sizeof outcomes);
    return blob_mirror(store, mirror, BLOB_MEDIA, &how, NULL);
}

/* The n-th read fails, which hits the first object: that one is told, and the other one copied. */
static void assert_other_is_copied(unsigned nth)
{
    inject_start(INJECT_READ, nth, false);
    int result = mirror_all();
    assert_int_equal(inject_stop(), 1);
    assert_int_equal(result, 0);
    assert_int_equal(outcomes[BLOB_MIRRORED_DAMAGED], 1);
    assert_int_equal(outcomes[BLOB_MIRRORED_NOW], 1);
    assert_int_equal(count_entries("../mirror/temporary"), 0);
    assert_int_equal(mirror_all(), 0);
    assert_int_equal(outcomes[BLOB_MIRRORED_NOW], 1);
    assert_int_equal(blob_delete(mirror, BLOB_MEDIA, kept_key), 0);
    assert_int_equal(blob_delete(mirror, BLOB_MEDIA, new_key), 0);
}

/* No bytes of it are hashed as a whole, and its parts are unlike: nothing but the other tells. */
static void put_unlike_parts(void)
{
    enum { PARTS = 2 };
    static const size_t lengths[PARTS] = {BLOB_PART_BYTES_MIN, BLOB_PART_BYTES_MIN + 1};
    struct blob_part parts[PARTS] = {{.number = 0}};
    char *zeros CLEANUP_FREE = calloc(1, lengths[1]);
    struct blob_stat stat;
    assert_int_equal(blob_multipart_create(store, BLOB_MEDIA, "parts", NULL, upload_id), 0);
    for (unsigned i = 0; i < PARTS; i++) {
        struct blob_writer *writer = NULL;
        parts[i].number = i + 1;
        assert_int_equal(
            blob_multipart_put_open(store, BLOB_MEDIA, "parts", upload_id, i + 1, &writer), 0);
        assert_int_equal(blob_put_write(writer, zeros, lengths[i]), 0);
        assert_int_equal(blob_put_commit(writer, false, &stat), 0);
        memcpy(parts[i].etag, stat.etag, sizeof stat.etag);
    }
    assert_int_equal(
        blob_multipart_complete(store, BLOB_MEDIA, "parts", upload_id, parts, PARTS, &stat, NULL),
        0);
}

/* Of copies that are there each read in turn, of either side: none ends it. */
static void assert_no_read_ends_it(void)
{
    unsigned damaged = 0, again = 0, failed = 1;
    assert_int_equal(mirror_all(), 0);
    for (unsigned nth = 1; failed > 0; nth++) {
        inject_start(INJECT_READ, nth, false);
        int result = mirror_all();
        failed = inject_stop();
        assert_int_equal(result, 0);
        assert_int_equal(outcomes[BLOB_MIRRORED_UNEQUAL], 0);
        damaged += outcomes[BLOB_MIRRORED_DAMAGED];
        again += outcomes[BLOB_MIRRORED_NOW] + outcomes[BLOB_MIRRORED_MENDED];
    }
    assert_int_equal(outcomes[BLOB_MIRRORED_READ], 3);
    assert_in_range(damaged, sealing ? 3 : 4, UINT32_MAX); /* one by comparing */
    assert_in_range(again, 6, UINT32_MAX);
}

static void what_a_disk_can_not_read_is_told_and_the_rest_copied(void **state)
{
    (void)state;
    char path[96], owner[96];
    (void)snprintf(path, sizeof path, "%s/mirror", inject_folder());
    (void)snprintf(owner, sizeof owner, "%s/store", inject_folder());
    assert_int_equal(open_with(path, owner, &mirror), 0);
    assert_int_equal(put(BLOB_MEDIA, new_key, new_text, NEW_BYTES, false), 0);
    assert_other_is_copied(1); /* the trailer */
    inject_apart(true);
    assert_other_is_copied(2); /* the bytes */
    inject_apart(false);
    put_unlike_parts();
    assert_no_read_ends_it();
    blob_store_close(mirror);
}

#define in_store(test) cmocka_unit_test_setup_teardown(test, make_store, close_store)

int main(int argc, char **argv)
{
    sealing = argc > 1 && strcmp(argv[1], "--seal") == 0;
    const struct CMUnitTest tests[] = {
        in_store(opening),
        in_store(putting),
        in_store(copying_and_deleting),
        in_store(uploads_in_parts),
        in_store(listing),
        in_store(buckets),
        in_store(mirroring),
        in_store(what_a_disk_can_not_read_is_told_and_the_rest_copied),
    };
    return cmocka_run_group_tests(tests, inject_install, NULL);
}
