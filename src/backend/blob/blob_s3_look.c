/* Whether an S3 store answers, and in words what is wrong with it (blob.h: blob_ping).
 * The words name the address without key and secret, and what would be right. Any thread.
 */
#include "backend/blob/blob_s3.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PING_LASTS_MS = 1000, PING_TIMEOUT_MS = 3000 };

/* There was no answer at all. */
static int silent(const struct s3_store *store, int error, const struct s3_answer *answer,
                  struct problem *problem)
{
    const char *where = store->address.where;
    if (error == ERR_BUSY) {
        return problem_set(problem, error, "the object store %s: all connections are in use",
                           where);
    }
    if (!answer->wrong_setup) {
        return problem_set(problem, error, "the object store %s does not answer: %s", where,
                           answer->words);
    }
    return problem_set(problem, ERR_INVALID,
                       "the object store %s can't be spoken to: %s; HOST in blob.store must be the "
                       "name in its certificate, and ca=FILE name what signed that, or tls=no",
                       where, answer->words);
}

static int64_t minutes_off(const struct s3_answer *answer)
{
    return answer->server_ms != 0 ? (clock_wall_ms() - answer->server_ms) / 60000 : 0;
}

/* What the store's words for a refusal mean, and what would be right. */
static const struct {
    const char *code, *words;
} refusals[] = {
    {"NoSuchBucket", "has no such bucket; make it, or name another in blob.store"},
    {"InvalidAccessKeyId", "does not know the key of blob.store; it would be right with a key made "
                           "there"},
    {"SignatureDoesNotMatch", "takes the secret of blob.store for wrong; copy it anew, "
                              "percent-encoded"},
    {"AuthorizationHeaderMalformed", "is in another region; it would be right with region=… of the "
                                     "bucket"},
    {"PermanentRedirect", "says that the bucket is elsewhere; it would be right with that HOST and "
                          "region=…"},
    {"AccessDenied", "does not let the key of blob.store list the bucket; it needs s3:ListBucket"},
};

static int refused(const struct s3_store *store, int error, const struct s3_answer *answer,
                   struct problem *problem)
{
    const char *where = store->address.where;
    int64_t minutes = minutes_off(answer);
    if (strcmp(answer->code, "RequestTimeTooSkewed") == 0 ||
        (answer->status == 403 && llabs(minutes) >= SIGV4_SKEW_MS_MAX / 60000)) {
        return problem_set(problem, ERR_INVALID,
                           "the object store %s takes no signature of ours: our clock is %" PRId64
                           " minutes %s its own; set both by NTP",
                           where, (int64_t)llabs(minutes), minutes < 0 ? "behind" : "ahead of");
    }
    for (unsigned i = 0; i < COUNT_OF(refusals); i++) {
        if (strcmp(refusals[i].code, answer->code) == 0) {
            return problem_set(problem, ERR_INVALID, "the object store %s %s", where,
                               refusals[i].words);
        }
    }
    bool passing = answer->status >= 500 || answer->status == 429;
    return problem_set(problem, passing ? error : ERR_INVALID,
                       "the object store %s answers %d%s%s%s", where, answer->status,
                       answer->code[0] != '\0' ? " " : "", answer->code,
                       passing ? "" : "; is that address an S3 store's?");
}

static int look(struct s3_store *store, struct problem *problem)
{
    struct s3_call call = {
        .method = "GET", .once = true, .looks = true, .timeout_ms = PING_TIMEOUT_MS};
    struct s3_answer answer;
    blob_s3_call_query(&call, "list-type", "2");
    blob_s3_call_query(&call, "max-keys", "1");
    blob_s3_call_query(&call, "prefix", "m/");
    int error = blob_s3_call(store, &call, &answer);
    if (error != 0) {
        error = answer.status == 0 ? silent(store, error, &answer, problem)
                                   : refused(store, error, &answer, problem);
    }
    blob_s3_answer_done(&answer);
    return error;
}

/* Who comes while one is asking has that one's answer. */
int blob_s3_ping(struct blob_store *head, struct problem *problem)
{
    struct s3_store *store = blob_s3_store_of(head);
    pthread_mutex_lock(&store->ping_lock);
    int64_t now_ms = clock_monotonic_ms();
    if (store->pinged_ms == 0 || now_ms - store->pinged_ms > PING_LASTS_MS) {
        problem_reset(&store->ping_problem);
        store->ping_error = look(store, &store->ping_problem);
        store->pinged_ms = clock_monotonic_ms();
    }
    int error = store->ping_error;
    if (error != 0 && problem != NULL) {
        *problem = store->ping_problem;
    }
    pthread_mutex_unlock(&store->ping_lock);
    return error;
}
