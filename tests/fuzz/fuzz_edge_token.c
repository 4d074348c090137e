/* Edge tokens. "T": any text as a token: it is never good, since nobody has the key. "G": a track,
 * version, ceiling and end, a line each: signed, it is read again the same until it ends, and is
 * none after any change of one byte.
 *
 * Covers: src/service/streaming/edge_token.c */
#include "base/error.h"
#include "fuzz_folder.h"
#include "service/streaming/edge_token.h"

enum { NOW_MS = 1000 };

static struct edge_keys *keys;

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    fuzz_folder_make();
    FUZZ_CHECK(edge_keys_open(fuzz_folder, &keys, NULL) == 0);
    return 0;
}

static void try_grant(const struct fuzz_fields *fields)
{
    struct edge_grant again,
        grant = {
            .track_id = strtoll(fuzz_or_empty(fields->text[0]), NULL, 10) & INT64_MAX,
            .version = atoi(fuzz_or_empty(fields->text[1])) & INT32_MAX,
            .expires_s = strtoll(fuzz_or_empty(fields->text[2]), NULL, 10) & INT64_MAX,
        };
    const char *ceiling = fuzz_or_empty(fields->text[3]);
    if (!manifest_ceiling_parse(ceiling, strlen(ceiling), &grant.ceiling)) {
        grant.ceiling = MANIFEST_CEILING_160;
    }
    char token[EDGE_TOKEN_SIZE];
    edge_token_sign(keys, &grant, token);
    int error = edge_token_verify(keys, token, NOW_MS, &again);
    if (grant.expires_s > INT64_MAX / 1000) {
        return; /* no year of that length: either answer is right, as long as it is one */
    }
    FUZZ_CHECK((error == 0) == (grant.expires_s * 1000 > NOW_MS));
    FUZZ_CHECK(error != 0 ||
               (again.track_id == grant.track_id && again.version == grant.version &&
                again.ceiling == grant.ceiling && again.expires_s == grant.expires_s));
    size_t at = (size_t)(unsigned char)fuzz_or_empty(fields->text[4])[0] % strlen(token);
    token[at] = token[at] == '1' ? '2' : '1';
    FUZZ_CHECK(edge_token_verify(keys, token, NOW_MS, &again) == ERR_FORBIDDEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'G') {
        FUZZ_FIELDS fields = fuzz_split(data + 1, size - 1, 5);
        try_grant(&fields);
    } else if (size > 0) {
        char *token = fuzz_text(data + 1, size - 1);
        struct edge_grant grant;
        FUZZ_CHECK(edge_token_verify(keys, token, NOW_MS, &grant) == ERR_FORBIDDEN);
        free(token);
    }
    return 0;
}
