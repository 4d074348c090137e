/* What the bucket of an S3 store must be told once (blob.h: blob_prepare): that browsers may use
 * the URLs that we sign (CORS), and that uploads in parts which nobody ends are forgotten
 * (lifecycle; our own sweep does so too, but a store may bill for them until then). Rules are
 * replaced as a whole, so they are written only where there are none but ours. Any thread.
 */
#include "backend/blob/blob_s3.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/xml.h"

#include <string.h>
#include <strings.h>

#define RULE_ID "tutti"

enum { ORIGINS_MAX = 32, BODY_BYTES_MAX = 64 * 1024, ABORT_DAYS = 7 };

/* What was found of one kind of rules. */
struct rules {
    const struct blob_prepare *what;
    bool there, others; /* some; some that are not ours */
    bool enough;        /* of lifecycle */
    unsigned answered;  /* origins that may do all, a bit each */
    /* the rule that is being read */
    bool ours, puts, gets, etag, aborts, enabled;
    unsigned origins;
};

static void end_rule(struct rules *rules)
{
    rules->there = true;
    rules->others = rules->others || !rules->ours;
    rules->enough = rules->enough || (rules->aborts && rules->enabled);
    rules->answered |= rules->puts && rules->gets && rules->etag ? rules->origins : 0;
    rules->ours = rules->puts = rules->gets = rules->etag = rules->aborts = rules->enabled = false;
    rules->origins = 0;
}

static void take_origin(struct rules *rules, const char *text)
{
    for (unsigned i = 0; i < rules->what->origin_count && i < ORIGINS_MAX; i++) {
        bool same = strcmp(text, "*") == 0 || strcasecmp(text, rules->what->origins[i]) == 0;
        rules->origins |= same ? 1u << i : 0;
    }
}

static int rule_element(void *argument, const char *parent, const char *name, const char *text)
{
    struct rules *rules = argument;
    (void)parent;
    if (strcmp(name, "CORSRule") == 0 || strcmp(name, "Rule") == 0) {
        end_rule(rules);
    } else if (strcmp(name, "ID") == 0) {
        rules->ours = strcmp(text, RULE_ID) == 0;
    } else if (strcmp(name, "AllowedOrigin") == 0) {
        take_origin(rules, text);
    } else if (strcmp(name, "AllowedMethod") == 0) {
        rules->puts = rules->puts || strcmp(text, "PUT") == 0;
        rules->gets = rules->gets || strcmp(text, "GET") == 0;
    } else if (strcmp(name, "ExposeHeader") == 0) {
        rules->etag = rules->etag || strcasecmp(text, "ETag") == 0;
    } else if (strcmp(name, "DaysAfterInitiation") == 0) {
        rules->aborts = true;
    } else if (strcmp(name, "Status") == 0) {
        rules->enabled = strcmp(text, "Enabled") == 0;
    }
    return 0;
}

/* ERR_UNSUPPORTED: the store knows no such rules (and, as our own, needs none). */
static int read_rules(struct s3_store *store, const char *kind, struct rules *rules)
{
    struct s3_call call = {.method = "GET"};
    struct s3_answer answer;
    blob_s3_call_query(&call, kind, "");
    int error = blob_s3_call(store, &call, &answer);
    if (error == 0) {
        error = blob_s3_xml_read(&answer.body, rule_element, rules);
    } else if (answer.status == 404 && strcmp(answer.code, "NoSuchBucket") != 0) {
        error = 0; /* none: NoSuchCORSConfiguration, NoSuchLifecycleConfiguration */
    }
    blob_s3_answer_done(&answer);
    return error;
}

static int write_rules(struct s3_store *store, const char *kind, const struct buffer *body)
{
    char md5[S3_MD5_SIZE];
    struct s3_call call = {.method = "PUT"};
    blob_s3_call_query(&call, kind, "");
    blob_s3_call_xml(&call, body, md5);
    return blob_s3_call_only(store, &call);
}

static void write_cors(const struct blob_prepare *what, struct buffer *out)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT"};
    static const char *const exposed[] = {"ETag", "Content-Length", "Content-Range",
                                          "Accept-Ranges"};
    (void)buffer_add(out, "<CORSConfiguration><CORSRule><ID>" RULE_ID "</ID>");
    for (unsigned i = 0; i < what->origin_count; i++) {
        (void)buffer_add(out, "<AllowedOrigin>");
        xml_escape(out, what->origins[i]);
        (void)buffer_add(out, "</AllowedOrigin>");
    }
    for (unsigned i = 0; i < COUNT_OF(methods); i++) {
        (void)buffer_printf(out, "<AllowedMethod>%s</AllowedMethod>", methods[i]);
    }
    (void)buffer_add(out, "<AllowedHeader>*</AllowedHeader>");
    for (unsigned i = 0; i < COUNT_OF(exposed); i++) {
        (void)buffer_printf(out, "<ExposeHeader>%s</ExposeHeader>", exposed[i]);
    }
    (void)buffer_add(out, "<MaxAgeSeconds>7200</MaxAgeSeconds></CORSRule></CORSConfiguration>");
}

static void write_lifecycle(struct buffer *out)
{
    (void)buffer_printf(out,
                        "<LifecycleConfiguration><Rule><ID>" RULE_ID "</ID>"
                        "<Filter><Prefix></Prefix></Filter><Status>Enabled</Status>"
                        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>%d"
                        "</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
                        "</LifecycleConfiguration>",
                        ABORT_DAYS);
}

static int in_words(const struct s3_store *store, int error, const char *permission,
                    const char *rules, struct problem *problem)
{
    return problem_set(problem, error,
                       "the object store %s: the bucket's rules for %s can't be read or set (%s); "
                       "the key needs %s",
                       store->address.where, rules, error_title(error), permission);
}

static int prepare_cors(struct s3_store *store, const struct blob_prepare *what,
                        struct problem *problem)
{
    struct rules rules = {.what = what};
    int error = read_rules(store, "cors", &rules);
    unsigned all = what->origin_count >= ORIGINS_MAX ? ~0u : (1u << what->origin_count) - 1;
    if (error == ERR_UNSUPPORTED || (error == 0 && (rules.answered & all) == all)) {
        return 0;
    }
    if (error == 0 && rules.others) {
        return problem_set(
            problem, ERR_CONFLICT,
            "the object store %s: its CORS rules don't let pages of %s GET and PUT and "
            "see ETag; add such a rule beside the others",
            store->address.where, what->origins[0]);
    }
    if (error == 0 && !what->may_write) {
        return problem_set(problem, ERR_NOT_FOUND,
                           "the object store %s has no CORS rule yet; the next start sets it",
                           store->address.where);
    }
    struct buffer body;
    buffer_init(&body, BODY_BYTES_MAX);
    write_cors(what, &body);
    error = error != 0 ? error : buffer_error(&body);
    error = error != 0 ? error : write_rules(store, "cors", &body);
    buffer_done(&body);
    return error == 0 ? 0
                      : in_words(store, error, "s3:GetBucketCORS and s3:PutBucketCORS", "browsers",
                                 problem);
}

static int prepare_lifecycle(struct s3_store *store, const struct blob_prepare *what,
                             struct problem *problem)
{
    struct rules rules = {.what = what};
    int error = read_rules(store, "lifecycle", &rules);
    if (error == ERR_UNSUPPORTED || (error == 0 && rules.enough)) {
        return 0;
    }
    if (error == 0 && rules.others) {
        return problem_set(
            problem, ERR_CONFLICT,
            "the object store %s: its lifecycle rules don't end uploads in parts that "
            "were left; add AbortIncompleteMultipartUpload after %d days",
            store->address.where, ABORT_DAYS);
    }
    if (error == 0 && !what->may_write) {
        return problem_set(problem, ERR_NOT_FOUND,
                           "the object store %s has no lifecycle rule yet; the next start sets it",
                           store->address.where);
    }
    struct buffer body;
    buffer_init(&body, BODY_BYTES_MAX);
    write_lifecycle(&body);
    error = error != 0 ? error : write_rules(store, "lifecycle", &body);
    buffer_done(&body);
    return error == 0 ? 0
                      : in_words(store, error,
                                 "s3:GetLifecycleConfiguration and s3:PutLifecycleConfiguration",
                                 "uploads that were left", problem);
}

int blob_s3_prepare(struct blob_store *head, const struct blob_prepare *what,
                    struct problem *problem)
{
    struct s3_store *store = blob_s3_store_of(head);
    int error = what->origin_count > 0 ? prepare_cors(store, what, problem) : 0;
    return error != 0 ? error : prepare_lifecycle(store, what, problem);
}
