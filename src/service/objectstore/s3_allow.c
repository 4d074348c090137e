/* What a request may ask for. S3 grows, and a part of it that is not known here would pass for the
 * plain operation beside it: PUT of KEY?renameObject for a PUT of an empty object. So the queries
 * of each operation and the x-amz- headers that are known are listed, and any other is refused
 * before something is done. On the pool. */
#include "service/objectstore/s3.h"

#include "base/error.h"
#include "base/mem.h"
#include "service/objectstore/checksum.h"

#include <string.h>
#include <strings.h>

enum { QUERIES_MAX = 12, LEVEL_STORE = 0, LEVEL_BUCKET, LEVEL_OBJECT };

/* The first that fits is meant: the query "mark" chooses it among those of one method. */
struct operation {
    const char *method;
    int level;
    const char *mark; /* NULL: the plain one */
    bool conditional; /* a write that knows If-Match and If-None-Match; reads always do */
    const char *queries[QUERIES_MAX];
};

static const struct operation operations[] = {
    {"GET", LEVEL_STORE, NULL, false, {"prefix", "max-buckets", "continuation-token"}},
    {"GET",
     LEVEL_BUCKET,
     "uploads",
     false,
     {"delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"}},
    {"GET", LEVEL_BUCKET, "location", false, {NULL}},
    {"GET", LEVEL_BUCKET, "versioning", false, {NULL}},
    /* the last two are MinIO's: more may be told, and in any order */
    {"GET",
     LEVEL_BUCKET,
     NULL,
     false,
     {"list-type", "prefix", "delimiter", "max-keys", "marker", "continuation-token", "start-after",
      "encoding-type", "fetch-owner", "metadata", "unsorted"}},
    {"PUT", LEVEL_BUCKET, NULL, false, {NULL}},
    {"POST", LEVEL_BUCKET, "delete", false, {NULL}},
    {"DELETE", LEVEL_BUCKET, NULL, false, {NULL}},
    {"GET", LEVEL_OBJECT, "uploadId", false, {"encoding-type", "max-parts", "part-number-marker"}},
    {"GET", LEVEL_OBJECT, "tagging", false, {NULL}},
    {"GET",
     LEVEL_OBJECT,
     NULL,
     false,
     {"partNumber", "response-content-type", "response-content-disposition",
      "response-content-encoding", "response-content-language", "response-cache-control",
      "response-expires"}},
    {"PUT", LEVEL_OBJECT, "uploadId", false, {"partNumber"}},
    {"PUT", LEVEL_OBJECT, NULL, true, {NULL}},
    {"POST", LEVEL_OBJECT, "uploads", true, {NULL}},
    {"POST", LEVEL_OBJECT, "uploadId", true, {NULL}},
    {"DELETE", LEVEL_OBJECT, "uploadId", false, {NULL}},
    {"DELETE", LEVEL_OBJECT, NULL, true, {NULL}},
};

/* What any address may hold: the signature, and what clients tell of themselves. */
static const char *const any_query[] = {
    "x-id",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
    "x-amz-user-agent",
    "x-amz-sdk-checksum-algorithm",
    "AWSAccessKeyId",
    "Signature",
    "Expires",
};

/* Who signs a URL may move headers into its query: there, too, they are known. */
struct header {
    const char *name; /* behind x-amz- */
    const char
        *only; /* any but one of these words would be a promise that is not kept; NULL: any */
    bool acts; /* on what is done, and as a header only: no query has it */
};

static const struct header headers[] = {
    {"acl", "private, bucket-owner-read, bucket-owner-full-control", false},
    {"api-version", "2006-03-01", false},
    {"bucket-object-lock-enabled", "false", false},
    {"bypass-governance-retention", "false", false},
    {"checksum-algorithm", NULL, false},
    {"checksum-mode", NULL, false},
    {"checksum-type", NULL, false},
    {"content-sha256", NULL, false},
    {"copy-source", NULL, true},
    {"copy-source-if-match", NULL, true},
    {"copy-source-if-modified-since", NULL, true},
    {"copy-source-if-none-match", NULL, true},
    {"copy-source-if-unmodified-since", NULL, true},
    {"copy-source-range", NULL, true},
    {"date", NULL, false},
    {"decoded-content-length", NULL, true},
    {"expected-bucket-owner", NULL, false},
    {"metadata-directive", NULL, true},
    {"mp-object-size", NULL, true},
    {"object-ownership", "BucketOwnerEnforced", false},
    {"optional-object-attributes", NULL, false},
    {"request-payer", NULL, false},
    {"sdk-checksum-algorithm", NULL, false},
    {"security-token", NULL, false},
    {"source-expected-bucket-owner", NULL, false},
    {"storage-class", "STANDARD", false},
    {"tagging-directive", "COPY", false},
    {"trailer", NULL, true},
    {"user-agent", NULL, false},
};

static const char amz[] = "x-amz-", sums[] = "x-amz-checksum-", own[] = "x-amz-meta-";

static bool begins(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static const struct operation *find_operation(struct request *request, int level)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    for (unsigned i = 0; i < COUNT_OF(operations); i++) {
        const struct operation *row = &operations[i];
        if (row->level == level && strcmp(row->method, method) == 0 &&
            (row->mark == NULL || s3_asks(request, row->mark))) {
            return row;
        }
    }
    return NULL;
}

struct looking {
    const struct operation *operation;
    const char *unknown; /* the first name of its kind */
    const char *only;    /* what the value could be; NULL: the name is unknown */
    bool version_2;      /* the signature */
};

static void refuse(struct looking *looking, const char *name, const struct header *known)
{
    looking->unknown = name;
    looking->only = known != NULL ? known->only : NULL;
}

/* Whether the value is one of the words between ", ". */
static bool is_one_of(const char *value, const char *words)
{
    size_t length = strlen(value);
    while (*words != '\0') {
        size_t word = strcspn(words, ",");
        if (word == length && strncasecmp(words, value, word) == 0) {
            return true;
        }
        words += word;
        words += strspn(words, ", ");
    }
    return false;
}

static const struct header *find_header(const char *name)
{
    for (unsigned i = 0; i < COUNT_OF(headers); i++) {
        if (strcasecmp(name + sizeof amz - 1, headers[i].name) == 0) {
            return &headers[i];
        }
    }
    return NULL;
}

/* No x-amz- header turns a read into something else, so those of clients to come are passed over.
 * Not a key that the answer is to be opened with, and no condition. */
static bool is_passed_over(const struct operation *operation, const char *name)
{
    return strcmp(operation->method, "GET") == 0 && !begins(name, "x-amz-server-side-encryption") &&
           !begins(name, "x-amz-if-");
}

static bool is_fine(const struct operation *operation, const struct header *known, const char *name,
                    const char *value)
{
    return known != NULL ? known->only == NULL || is_one_of(value, known->only)
                         : is_passed_over(operation, name);
}

/* A checksum that a signer without the body put into the address is no word about the body: S3
 * passes over it, too. */
static bool query_is_known(const struct operation *operation, const char *name)
{
    bool known =
        begins(name, sums) || (operation->mark != NULL && strcmp(name, operation->mark) == 0);
    for (unsigned i = 0; !known && i < COUNT_OF(any_query); i++) {
        known = strcasecmp(name, any_query[i]) == 0;
    }
    for (unsigned i = 0; !known && i < QUERIES_MAX && operation->queries[i] != NULL; i++) {
        known = strcmp(name, operation->queries[i]) == 0;
    }
    return known;
}

/* boto3 puts what a signature of version 2 binds into the address as well; it is the header that
 * the signature is of, and without it no such address holds. */
static bool is_said_twice(const struct looking *looking, const char *name)
{
    return looking->version_2 &&
           (strcasecmp(name, "content-type") == 0 || strcasecmp(name, "content-md5") == 0);
}

static void look_at_query(void *argument, const char *name, const char *value)
{
    struct looking *looking = argument;
    if (is_said_twice(looking, name) || looking->unknown != NULL ||
        query_is_known(looking->operation, name)) {
        return;
    }
    bool header = begins(name, amz) && !begins(name, own);
    const struct header *known = header ? find_header(name) : NULL;
    if (!header || (known != NULL && known->acts)) {
        refuse(looking, name, NULL);
    } else if (!is_fine(looking->operation, known, name, value)) {
        refuse(looking, name, known);
    }
}

static bool is_condition(const char *name)
{
    return strcasecmp(name, "If-Match") == 0 || strcasecmp(name, "If-None-Match") == 0 ||
           strcasecmp(name, "If-Modified-Since") == 0 ||
           strcasecmp(name, "If-Unmodified-Since") == 0;
}

static void look_at_header(void *argument, const char *name, const char *value)
{
    struct looking *looking = argument;
    const struct operation *operation = looking->operation;
    enum checksum_kind kind;
    if (is_condition(name) && !operation->conditional && strcmp(operation->method, "GET") != 0) {
        refuse(looking, name, NULL);
    }
    if (looking->unknown != NULL || !begins(name, amz) || begins(name, own) ||
        checksum_kind_of(name, &kind)) {
        return;
    }
    const struct header *known = find_header(name);
    if (!is_fine(operation, known, name, value)) {
        refuse(looking, name, known);
    }
}

/* what: "query" or "header". */
static int fail(struct request *request, const struct looking *looking, const char *what)
{
    struct arena *arena = request->call.arena;
    return s3_fail_with(
        request, S3_NOT_IMPLEMENTED,
        looking->only != NULL
            ? arena_printf(arena, "%s can only be %s here", looking->unknown, looking->only)
            : arena_printf(arena, "The %s %s is not known here for this request", what,
                           looking->unknown));
}

int s3_allow(struct request *request, const char *bucket, const char *key)
{
    int level = bucket == NULL ? LEVEL_STORE : key[0] == '\0' ? LEVEL_BUCKET : LEVEL_OBJECT;
    struct looking looking = {.operation = find_operation(request, level),
                              .version_2 = s3_asks(request, "AWSAccessKeyId") &&
                                           !s3_asks(request, "X-Amz-Signature")};
    if (looking.operation == NULL) {
        return s3_fail(request, S3_NOT_IMPLEMENTED);
    }
    request_query_each(request, look_at_query, &looking);
    if (looking.unknown != NULL) {
        return fail(request, &looking, "query");
    }
    request_header_each(request, look_at_header, &looking);
    return looking.unknown != NULL ? fail(request, &looking, "header") : 0;
}
