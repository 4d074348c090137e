/* What CompleteMultipartUpload says of the parts and of the object made of them, compared with what
 * came: the size, each part's checksum, and the whole's. A part's checksum was compared when its
 * bytes came and is kept with it (blob_put_sum), so nothing is read again: a CRC of the whole is
 * made of the parts' CRCs and sizes, and one "of the parts" is the checksum of their checksums. The
 * ETags, which the engine compares when it joins, bind all this to the bytes. On the pool. */
#include "service/objectstore/s3.h"

#include "base/error.h"
#include "base/text.h"
#include "service/objectstore/checksum.h"

#include <stdio.h>
#include <string.h>

/* The parts that came, beside those that are named. */
struct comparing {
    const struct blob_part *named;
    unsigned count, at; /* all before `at` were found */
    bool wrong_part, wrong_sum, unknown_sum;
    uint64_t bytes;
    bool has_whole;
    enum checksum_kind kind; /* of the whole's, from here on */
    bool has_sums;           /* every part so far came with that kind */
    struct checksum of_parts;
    char whole[CHECKSUM_TEXT_SIZE];
};

/* The value of a part's sum if it is of the kind, else NULL. */
static const char *sum_of(const char *sum, enum checksum_kind kind)
{
    size_t length = strlen(checksum_header(kind));
    return strncmp(sum, checksum_header(kind), length) == 0 && sum[length] == ':' ? sum + length + 1
                                                                                  : NULL;
}

static bool same_kind(const char *left, const char *right)
{
    size_t length = strcspn(left, ":");
    return strncmp(left, right, length) == 0 && right[length] == ':';
}

/* Adds a part's sum to those of the whole. */
static bool add_to_whole(struct comparing *comparing, const struct blob_part *part)
{
    const char *value = sum_of(part->sum, comparing->kind);
    unsigned char digest[CHECKSUM_BYTES_MAX];
    size_t length = 0;
    if (value == NULL ||
        !text_base64_decode(value, strlen(value), TEXT_BASE64, digest, sizeof digest, &length)) {
        return false;
    }
    checksum_update(&comparing->of_parts, digest, length);
    if (comparing->at == 0) {
        return text_copy(comparing->whole, sizeof comparing->whole, value);
    }
    if (!checksum_join(comparing->kind, comparing->whole, value, part->bytes)) {
        comparing->whole[0] = '\0'; /* a kind that can't be joined: only "of the parts" */
    }
    return true;
}

static int visit(void *argument, const struct blob_part *part)
{
    struct comparing *comparing = argument;
    const struct blob_part *named = &comparing->named[comparing->at];
    if (comparing->at == comparing->count || part->number < named->number) {
        return 0;
    }
    if (part->number > named->number || strcmp(part->etag, named->etag) != 0) {
        return 1; /* it did not come */
    }
    if (named->sum[0] != '\0') {
        bool known = same_kind(named->sum, part->sum);
        comparing->unknown_sum |= !known;
        comparing->wrong_sum |= known && strcmp(named->sum, part->sum) != 0;
    }
    if (comparing->has_whole) {
        comparing->has_sums = comparing->has_sums && add_to_whole(comparing, part);
    }
    comparing->bytes += part->bytes;
    comparing->at++;
    return 0;
}

/* The checksum of the whole that the header claims; NULL: none. */
static int read_whole(struct request *request, struct comparing *comparing, const char **ret_claim)
{
    *ret_claim = NULL;
    for (enum checksum_kind kind = 0; kind < CHECKSUM_KINDS_; kind++) {
        const char *claim = request_header(request, checksum_header(kind));
        if (claim != NULL && *ret_claim != NULL) {
            return s3_fail_with(request, S3_REQUEST, "An object has one x-amz-checksum- at most");
        }
        if (claim != NULL) {
            *ret_claim = claim;
            comparing->kind = kind;
        }
    }
    comparing->has_whole = comparing->has_sums = *ret_claim != NULL;
    if (comparing->has_whole) {
        checksum_init(&comparing->of_parts, comparing->kind);
    }
    return 0;
}

/* "BASE64-COUNT", or without the count. */
static bool is_of_parts(struct comparing *comparing, const char *claim)
{
    char value[CHECKSUM_TEXT_SIZE], counted[CHECKSUM_TEXT_SIZE + 16];
    checksum_final(&comparing->of_parts, value);
    (void)snprintf(counted, sizeof counted, "%s-%u", value, comparing->count);
    return strcmp(claim, value) == 0 || strcmp(claim, counted) == 0;
}

static int check_whole(struct request *request, struct comparing *comparing, const char *claim)
{
    const char *type = request_header(request, "x-amz-checksum-type");
    bool full = type == NULL || strcmp(type, "FULL_OBJECT") == 0;
    bool of_parts = type == NULL || strcmp(type, "COMPOSITE") == 0;
    if (!full && !of_parts) {
        return s3_fail_with(request, S3_ARGUMENT,
                            "x-amz-checksum-type is FULL_OBJECT or COMPOSITE");
    }
    if (!comparing->has_sums) {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED,
                            "A part came without this checksum, so that of the object can't be "
                            "compared");
    }
    if (full && !of_parts && comparing->whole[0] == '\0') {
        return s3_fail_with(request, S3_REQUEST, "A checksum of this kind is COMPOSITE only");
    }
    bool right = (full && comparing->whole[0] != '\0' && strcmp(claim, comparing->whole) == 0) ||
                 (of_parts && is_of_parts(comparing, claim));
    return right ? 0 : s3_fail(request, S3_BAD_DIGEST);
}

static int check_parts(struct request *request, const struct comparing *comparing)
{
    const char *text = request_header(request, "x-amz-mp-object-size");
    int64_t bytes = 0;
    if (comparing->at < comparing->count) {
        return s3_fail(request, S3_PART);
    }
    if (comparing->wrong_sum) {
        return s3_fail_with(request, S3_PART, "A part has another checksum");
    }
    if (comparing->unknown_sum) {
        return s3_fail_with(request, S3_NOT_IMPLEMENTED,
                            "A part is named with a checksum that it did not come with");
    }
    if (text != NULL && !text_number(text, 0, INT64_MAX, &bytes)) {
        return s3_fail_with(request, S3_ARGUMENT, "x-amz-mp-object-size must be a number");
    }
    return text == NULL || (uint64_t)bytes == comparing->bytes
               ? 0
               : s3_fail_with(request, S3_REQUEST,
                              "The parts have another size than x-amz-mp-object-size says");
}

/* What names parts in another order is for the engine to refuse. */
static bool rises(const struct blob_part *parts, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        if (parts[i].number <= parts[i - 1].number) {
            return false;
        }
    }
    return true;
}

static bool says_sums(const struct blob_part *parts, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].sum[0] != '\0') {
            return true;
        }
    }
    return false;
}

int s3_check_parts(struct request *request, const char *bucket, const char *key,
                   const struct blob_part *parts, unsigned count)
{
    struct comparing comparing = {.named = parts, .count = count};
    const char *claim = NULL;
    int error = read_whole(request, &comparing, &claim);
    bool says = claim != NULL || says_sums(parts, count) ||
                request_header(request, "x-amz-mp-object-size") != NULL;
    if (error != 0 || !says || !rises(parts, count)) {
        return error;
    }
    error = blob_multipart_list(s3_store(request)->blobs, bucket, key,
                                request_query(request, "uploadId"), 0, BLOB_PART_NUMBER_MAX, visit,
                                &comparing);
    if (error < 0) {
        return error == ERR_NOT_FOUND ? 0 : s3_fail_object(request, bucket, error);
    }
    error = check_parts(request, &comparing);
    return error != 0 || claim == NULL ? error : check_whole(request, &comparing, claim);
}
