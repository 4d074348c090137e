/* Whether the store can be trusted with what it is asked for (blob.h: blob_guard).
 *
 * That a URL which lets somebody PUT an object lets them do no more:
 * S3 copies an object where a PUT names another one in x-amz-copy-source, with the rights of
 * whoever signed it. AWS and our own store refuse headers of that kind that are not signed; Ceph's
 * gateway takes them, for objects and for parts. With our key, who may upload could so have any
 * original. It can't with a key that may only write (upload_key), since copying takes the right to
 * read.
 *
 * That sse= is heeded: Ceph 16 takes AES256 without a word and encrypts nothing, and copies nothing
 * that it encrypts by aws:kms, as each upload must be once.
 *
 * What the store does is tried, with two small objects that are gone again afterwards. Any thread.
 */
#include "backend/blob/blob_s3.h"

#include "base/error.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct trial {
    struct s3_store *store;
    char source[64], target[64]; /* keys */
};

static int put(const struct trial *trial, const char *key, bool upload)
{
    const struct s3_call call = {
        .method = "PUT", .key = key, .body = "tutti\n", .length = 6, .upload = upload};
    return blob_s3_call_only(trial->store, &call);
}

/* The source to the target. By a client: with our signature below a URL, and a header of its own
 * that says so. */
static int copy(const struct trial *trial, bool by_client, struct s3_answer *ret_answer)
{
    char source[BLOB_BUCKET_MAX + sizeof trial->source + 4];
    (void)snprintf(source, sizeof source, "/%s/%s", trial->store->address.bucket, trial->source);
    struct s3_call call = {.method = "PUT",
                           .key = trial->target,
                           .upload = by_client,
                           .once = true,
                           .looks = true}; /* to be refused is no trouble */
    if (by_client) {
        call.unsigned_header = (struct sigv4_pair){"x-amz-copy-source", source};
    } else {
        blob_s3_call_header(&call, "x-amz-copy-source", source);
        blob_s3_call_encrypt(trial->store, &call);
    }
    return blob_s3_call(trial->store, &call, ret_answer);
}

static bool is_refused(const struct s3_answer *answer)
{
    return (answer->status >= 400 && answer->status < 500 && answer->status != 429) ||
           answer->status == 501;
}

/* 0: it was refused. ERR_INVALID: the store did it. */
static int copy_unsigned(const struct trial *trial)
{
    struct s3_answer answer;
    int error = copy(trial, true, &answer);
    bool refused = answer.status >= 400 && answer.status < 500;
    bool copied = error == 0 && answer.body.length > 0 &&
                  strstr(answer.body.data, "CopyObjectResult") != NULL;
    blob_s3_answer_done(&answer);
    return refused ? 0 : copied ? ERR_INVALID : error;
}

static int refuses(const struct trial *trial, const struct s3_answer *answer, const char *words,
                   struct problem *problem)
{
    const struct s3_address *address = &trial->store->address;
    return problem_set(problem, ERR_INVALID, "the object store %s refuses sse=%s%s (%d%s%s); %s",
                       address->where, address->sse, words, answer->status,
                       answer->code[0] != '\0' ? " " : "", answer->code,
                       address->sse_key[0] != '\0' && words[0] == '\0'
                           ? "name a key in sse_key that it has"
                           : "take it out of blob.store and encrypt that store's disks");
}

/* How the store says that it encrypted the source; an answer to a PUT need not. */
static int look_at_source(const struct trial *trial, struct s3_answer *ret_answer)
{
    const struct s3_call call = {.method = "HEAD", .key = trial->source};
    return blob_s3_call(trial->store, &call, ret_answer);
}

static int check_sealed(const struct trial *trial, struct problem *problem)
{
    const struct s3_address *address = &trial->store->address;
    struct s3_answer answer;
    int error = look_at_source(trial, &answer);
    if (error == 0 && answer.sse[0] == '\0') {
        error = problem_set(problem, ERR_INVALID,
                            "the object store %s takes sse=%s and encrypts nothing; take it out of "
                            "blob.store and encrypt that store's disks",
                            address->where, address->sse);
    }
    blob_s3_answer_done(&answer);
    return error;
}

static int try_to_encrypt(const struct trial *trial, struct problem *problem)
{
    struct s3_call call = {.method = "PUT",
                           .key = trial->source,
                           .body = "tutti\n",
                           .length = 6,
                           .once = true,
                           .looks = true};
    struct s3_answer answer;
    blob_s3_call_encrypt(trial->store, &call);
    int error = blob_s3_call(trial->store, &call, &answer);
    if (is_refused(&answer)) {
        error = refuses(trial, &answer, "", problem);
    }
    blob_s3_answer_done(&answer);
    error = error != 0 ? error : check_sealed(trial, problem);
    if (error == 0) {
        error = copy(trial, false, &answer);
        if (is_refused(&answer)) {
            error = refuses(trial, &answer, " where it copies, as each upload is once", problem);
        }
        blob_s3_answer_done(&answer);
    }
    return error;
}

static int try_to_copy(const struct trial *trial, struct problem *problem)
{
    const struct s3_address *address = &trial->store->address;
    bool own = address->upload_key[0] == '\0';
    int error = put(trial, trial->source, false);
    error = error != 0 ? error : copy_unsigned(trial);
    if (error == ERR_INVALID) {
        return problem_set(
            problem, error,
            "the object store %s copies whatever object the bearer of an upload's URL "
            "names, so who may upload could take other people's music: %s",
            address->where,
            own ? "name a key in blob.store that may write and not read, "
                  "upload_key=ID&upload_secret=SECRET (Ceph: radosgw-admin subuser "
                  "create --access write)"
                : "take the right to read from the key in upload_key");
    }
    if (error == 0 && !own && put(trial, trial->target, true) != 0) {
        return problem_set(problem, ERR_INVALID,
                           "the object store %s does not let the key in upload_key write; it needs "
                           "s3:PutObject on uploads/*",
                           address->where);
    }
    return error == 0
               ? 0
               : problem_set(problem, error,
                             "the object store %s: whether uploads are safe can't be tried (%s)",
                             address->where, error_title(error));
}

int blob_s3_guard(struct blob_store *head, struct problem *problem)
{
    unsigned char random[8];
    char digits[2 * sizeof random + 1];
    struct trial trial = {.store = blob_s3_store_of(head)};
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(digits, sizeof digits, random, sizeof random);
    (void)snprintf(trial.source, sizeof trial.source, S3_UPLOADS_PREFIX "guard/%s-a", digits);
    (void)snprintf(trial.target, sizeof trial.target, S3_UPLOADS_PREFIX "guard/%s-b", digits);
    int error = try_to_copy(&trial, problem);
    if (error == 0 && trial.store->address.sse[0] != '\0') {
        error = try_to_encrypt(&trial, problem);
    }
    const char *const keys[] = {trial.source, trial.target};
    for (unsigned i = 0; i < 2; i++) {
        (void)blob_s3_call_only(trial.store, &(struct s3_call){.method = "DELETE", .key = keys[i]});
    }
    return error;
}
