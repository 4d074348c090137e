/* Signature Version 2 in a query: method, target, content type, another path, a line each. Nobody
 * has the key, so it is never good; what is taken for such a URL is refused as one.
 *
 * Covers: src/backend/blob/sigv2.c */
#include "backend/blob/sigv2.h"
#include "fuzz.h"

#include <sodium.h>
#include <strings.h>

enum { ARENA_BYTES = 8 << 20 };

static char secret[SIGV4_SECRET_SIZE];

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    unsigned char random[40];
    (void)argument_count;
    (void)arguments;
    FUZZ_CHECK(sodium_init() >= 0);
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(secret, sizeof secret, random, sizeof random);
    return 0;
}

static const char *header_of(void *argument, const char *name)
{
    return strcasecmp(name, "content-type") == 0 ? argument : NULL;
}

static bool secret_of(void *argument, const char *key_id, char out[SIGV4_SECRET_SIZE])
{
    (void)argument;
    (void)snprintf(out, SIGV4_SECRET_SIZE, "%s", secret);
    return strncmp(key_id, "KEY", 3) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_fields fields = fuzz_split(data, size, 4);
    struct arena *arena = arena_new(ARENA_BYTES);
    struct sigv4_signed result;
    const struct sigv4_request request = {
        .method = fields.text[0] != NULL ? fields.text[0] : "",
        .target = fields.text[1] != NULL ? fields.text[1] : "",
        .header = header_of,
        .header_argument = fields.text[2],
        .form_count = fields.text[3] != NULL ? 1 : 0,
        .forms = {{"host", fields.text[3]}},
        .now_ms = 1790000000000,
        .secret = secret_of,
    };
    FUZZ_CHECK(arena != NULL);
    if (sigv2_presigned(&request)) {
        enum sigv4_result outcome = sigv2_verify(arena, &request, &result);
        FUZZ_CHECK(outcome == SIGV4_MALFORMED || outcome == SIGV4_UNKNOWN_KEY ||
                   outcome == SIGV4_MISMATCH);
    }
    arena_free(arena);
    fuzz_fields_done(&fields);
    return 0;
}
