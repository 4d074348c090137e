/* Doctor's check of an S3 store (doctor_checks.h): whether it answers, what the key may do there,
 * by doing it with an object that is gone again afterwards, and the bucket's rules. */
#include "boot/doctor_checks.h"

#include "backend/blob/blob.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/backup_objects.h"
#include "boot/config.h"
#include "boot/store_rules.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct trial {
    struct blob_store *store;
    char key[64];
    char upload_id[BLOB_UPLOAD_ID_MAX];
};

static int put(const struct trial *trial, bool if_none_match)
{
    struct blob_writer *writer = NULL;
    int error = blob_put_open(trial->store, BLOB_UPLOADS, trial->key, NULL, &writer);
    if (error != 0) {
        return error;
    }
    error = blob_put_write(writer, "tutti doctor\n", 13);
    if (error != 0) {
        blob_put_abort(writer);
        return error;
    }
    return blob_put_commit(writer, if_none_match, NULL);
}

static int try_put(struct trial *trial)
{
    return put(trial, false);
}

static int try_get(struct trial *trial)
{
    struct blob_source source = {.fd = -1};
    struct blob_stat stat;
    int error = blob_open(trial->store, BLOB_UPLOADS, trial->key, &source, &stat);
    blob_source_close(&source);
    return error;
}

static int try_copy(struct trial *trial)
{
    return blob_copy(trial->store, BLOB_UPLOADS, trial->key, NULL, BLOB_MEDIA, trial->key, NULL);
}

static int try_condition(struct trial *trial)
{
    int error = put(trial, true);
    return error == ERR_PRECONDITION ? 0 : error == 0 ? ERR_UNSUPPORTED : error;
}

static int try_begin(struct trial *trial)
{
    return blob_multipart_create(trial->store, BLOB_UPLOADS, trial->key, NULL, trial->upload_id);
}

static int pass_part(void *argument, const struct blob_part *part)
{
    (void)argument;
    (void)part;
    return 0;
}

static int try_parts(struct trial *trial)
{
    return blob_multipart_list(trial->store, BLOB_UPLOADS, trial->key, trial->upload_id, 0, 1,
                               pass_part, NULL);
}

static int pass_upload(void *argument, const char *key, const char *upload_id, int64_t begun_ms)
{
    (void)argument;
    (void)key;
    (void)upload_id;
    (void)begun_ms;
    return 0;
}

static int try_uploads(struct trial *trial)
{
    return blob_multipart_uploads(trial->store, BLOB_UPLOADS, pass_upload, NULL);
}

static int try_abort(struct trial *trial)
{
    return blob_multipart_abort(trial->store, BLOB_UPLOADS, trial->key, trial->upload_id);
}

static int try_delete(struct trial *trial)
{
    const char *keys[] = {trial->key};
    int error = blob_delete(trial->store, BLOB_UPLOADS, trial->key);
    return error != 0 ? error : blob_delete_many(trial->store, BLOB_MEDIA, keys, 1);
}

enum { ALWAYS = -1, AFTER_PUT = 0, AFTER_BEGIN = 4, LIST_SIZE = 320 }; /* places in the table */

static const struct {
    int (*run)(struct trial *trial);
    int needs; /* what must have gone well before */
    const char *permission, *words;
} trials[] = {
    {try_put, ALWAYS, "s3:PutObject", "write an object below uploads/"},
    {try_get, AFTER_PUT, "s3:GetObject", "read what it wrote"},
    {try_copy, AFTER_PUT, "s3:GetObject and s3:PutObject on all of the bucket",
     "copy inside the bucket"},
    {try_condition, AFTER_PUT, "If-None-Match (a bucket without versions, a store that knows it)",
     "write only where nothing is"},
    {try_begin, ALWAYS, "s3:PutObject", "begin an upload in parts"},
    {try_parts, AFTER_BEGIN, "s3:ListMultipartUploadParts", "list an upload's parts"},
    {try_uploads, ALWAYS, "s3:ListBucketMultipartUploads", "list uploads"},
    {try_abort, AFTER_BEGIN, "s3:AbortMultipartUpload", "end an upload in parts"},
    {try_delete, AFTER_PUT, "s3:DeleteObject", "delete what it wrote"},
};

static void add_word(char list[LIST_SIZE], const char *word)
{
    size_t at = strlen(list);
    if (strstr(list, word) == NULL) {
        (void)snprintf(list + at, LIST_SIZE - at, "%s%s", at > 0 ? ", " : "", word);
    }
}

static void try_all(struct blob_store *store, struct finding *finding)
{
    unsigned char random[8];
    char digits[2 * sizeof random + 1], words[LIST_SIZE] = "", permissions[LIST_SIZE] = "";
    char advice[LIST_SIZE + 32];
    bool done[COUNT_OF(trials)] = {false};
    struct trial trial = {.store = store};
    randombytes_buf(random, sizeof random);
    (void)snprintf(trial.key, sizeof trial.key, "doctor/%s",
                   sodium_bin2hex(digits, sizeof digits, random, sizeof random));
    for (unsigned i = 0; i < COUNT_OF(trials); i++) {
        bool can = trials[i].needs == ALWAYS || done[trials[i].needs];
        done[i] = can && trials[i].run(&trial) == 0;
        if (can && !done[i]) {
            add_word(words, trials[i].words);
            add_word(permissions, trials[i].permission);
        }
    }
    if (words[0] != '\0') {
        (void)snprintf(advice, sizeof advice, "the key of blob.store needs %s", permissions);
        finding_fail(finding, advice, "at %s this key can't %s", blob_public_url(store), words);
    }
}

void doctor_check_s3(struct doctor *doctor, struct finding *finding)
{
    struct problem problem = {0};
    const char *url = config_text(doctor->config, CONFIG_BLOB_STORE);
    if (strncmp(url, "s3:", 3) != 0) {
        finding_ok(finding, "none is set up (blob.store); objects are in a folder");
        return;
    }
    int error = backup_store_open(url, doctor->place.keys, &doctor->objects, &problem);
    error = error != 0 ? error : blob_ping(doctor->objects, &problem);
    if (error != 0) {
        blob_store_close(TAKE_PTR(doctor->objects));
        finding_fail(finding,
                     error == ERR_INVALID ? "check blob.store: the server does not start with it"
                                          : "start it; uploads and plays wait for it",
                     "%s", finding_words(&problem, error));
        return;
    }
    finding_ok(finding, "the object store %s does all that is needed",
               blob_public_url(doctor->objects));
    try_all(doctor->objects, finding);
    error = blob_guard(doctor->objects, &problem);
    if (error == ERR_INVALID || (error != 0 && finding->state != FINDING_FAILED)) {
        finding_fail(finding, "docs/operations.md, \"Objects in an S3 store\"", "%s",
                     finding_words(&problem, error));
    }
    problem_reset(&problem);
    if (store_rules(doctor->config, doctor->objects, false, &problem) != 0) {
        finding_warn(finding, "docs/operations.md, \"Objects in an S3 store\"", "%s",
                     problem.detail);
    }
}
