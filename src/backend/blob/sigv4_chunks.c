/* Reading "aws-chunked" bodies (sigv4_chunks.h). A small machine of named steps:
 *
 *   HEAD → (BYTES → BREAK → HEAD)* → last HEAD → TRAILER … → END
 */
#include "backend/blob/sigv4_chunks.h"

#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum step { STEP_HEAD, STEP_BYTES, STEP_BREAK, STEP_TRAILER, STEP_END };

enum { TRAILER_BYTES_MAX = 4096 };
static const uint64_t chunk_bytes_max = (uint64_t)1 << 40;

bool sigv4_chunks_wanted(const char *payload)
{
    return strcmp(payload, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") == 0 ||
           strcmp(payload, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") == 0 ||
           strcmp(payload, "STREAMING-UNSIGNED-PAYLOAD-TRAILER") == 0;
}

void sigv4_chunks_init(struct sigv4_chunks *chunks, const struct sigv4_signed *start,
                       int (*emit)(void *argument, const void *bytes, size_t length),
                       void *argument)
{
    *chunks = (struct sigv4_chunks){
        .signed_chunks = strncmp(start->payload, "STREAMING-AWS4", 14) == 0,
        .with_trailer = strstr(start->payload, "-TRAILER") != NULL,
        .emit = emit,
        .argument = argument,
    };
    memcpy(chunks->signing_key, start->signing_key, sizeof chunks->signing_key);
    memcpy(chunks->date, start->date, sizeof chunks->date);
    memcpy(chunks->scope, start->scope, sizeof chunks->scope);
    memcpy(chunks->signature, start->signature, sizeof chunks->signature);
    crypto_hash_sha256_init(&chunks->hash);
    buffer_init(&chunks->trailer_text, TRAILER_BYTES_MAX);
}

void sigv4_chunks_done(struct sigv4_chunks *chunks)
{
    sodium_memzero(chunks->signing_key, sizeof chunks->signing_key);
    buffer_done(&chunks->trailer_text);
}

/* Compares the claimed signature with ours and makes it the former one. */
static int check(struct sigv4_chunks *chunks, const char *text, size_t length)
{
    char expected[SIGV4_HEX_SIZE];
    sigv4_hex_hmac(chunks->signing_key, text, length, expected);
    if (sodium_memcmp(expected, chunks->claimed, SIGV4_HEX_SIZE - 1) != 0) {
        return ERR_FORBIDDEN;
    }
    memcpy(chunks->signature, expected, sizeof chunks->signature);
    return 0;
}

static int check_chunk(struct sigv4_chunks *chunks)
{
    if (!chunks->signed_chunks) {
        return 0;
    }
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hash[SIGV4_HEX_SIZE];
    char empty[SIGV4_HEX_SIZE];
    char text[512];
    crypto_hash_sha256_final(&chunks->hash, digest);
    (void)sodium_bin2hex(hash, sizeof hash, digest, sizeof digest);
    crypto_hash_sha256_init(&chunks->hash);
    sigv4_hex_sha256("", 0, empty);
    int length = snprintf(text, sizeof text, "AWS4-HMAC-SHA256-PAYLOAD\n%s\n%s\n%s\n%s\n%s",
                          chunks->date, chunks->scope, chunks->signature, empty, hash);
    return check(chunks, text, (size_t)length);
}

static int check_trailer(struct sigv4_chunks *chunks)
{
    char hash[SIGV4_HEX_SIZE];
    char text[512];
    sigv4_hex_sha256(chunks->trailer_text.data, chunks->trailer_text.length, hash);
    int length = snprintf(text, sizeof text, "AWS4-HMAC-SHA256-TRAILER\n%s\n%s\n%s\n%s",
                          chunks->date, chunks->scope, chunks->signature, hash);
    return check(chunks, text, (size_t)length);
}

static int take_claim(struct sigv4_chunks *chunks, const char *hex)
{
    if (strlen(hex) != SIGV4_HEX_SIZE - 1) {
        return ERR_MALFORMED;
    }
    memcpy(chunks->claimed, hex, SIGV4_HEX_SIZE);
    return 0;
}

/* "{hex}" or "{hex};chunk-signature={hex}". */
static int read_head(struct sigv4_chunks *chunks)
{
    static const char parameter[] = "chunk-signature=";
    char *semicolon = strchr(chunks->line, ';');
    uint64_t bytes = 0;
    const char *at = chunks->line;
    for (; strchr("0123456789abcdefABCDEF", *at) != NULL && *at != '\0'; at++) {
        bytes = bytes * 16 + (uint64_t)(*at <= '9' ? *at - '0' : (*at | 0x20) - 'a' + 10);
        if (bytes > chunk_bytes_max) {
            return ERR_MALFORMED;
        }
    }
    if (at == chunks->line || (*at != '\0' && at != semicolon)) {
        return ERR_MALFORMED;
    }
    if (chunks->signed_chunks) {
        bool named =
            semicolon != NULL && strncmp(semicolon + 1, parameter, sizeof parameter - 1) == 0;
        int error = named ? take_claim(chunks, semicolon + sizeof parameter) : ERR_MALFORMED;
        if (error != 0) {
            return error;
        }
    }
    chunks->chunk_left = bytes;
    if (bytes > 0) {
        chunks->step = STEP_BYTES;
        return 0;
    }
    chunks->step = STEP_TRAILER;
    return check_chunk(chunks);
}

/* "{name}:{value}", or the empty line that ends the body. */
static int read_trailer(struct sigv4_chunks *chunks)
{
    if (chunks->line[0] == '\0') {
        chunks->step = STEP_END;
        /* a trailer's signature is its last line */
        return chunks->signed_chunks && chunks->with_trailer && !chunks->trailer_signed
                   ? ERR_FORBIDDEN
                   : 0;
    }
    char *colon = strchr(chunks->line, ':');
    if (colon == NULL || chunks->trailer_signed) {
        return ERR_MALFORMED;
    }
    *colon = '\0';
    const char *value = colon + 1 + strspn(colon + 1, " ");
    if (strcmp(chunks->line, "x-amz-trailer-signature") == 0) {
        chunks->trailer_signed = true;
        int error = take_claim(chunks, value);
        return error != 0 ? error : check_trailer(chunks);
    }
    if (chunks->trailer_count == SIGV4_TRAILERS_MAX) {
        return ERR_MALFORMED;
    }
    struct sigv4_trailer *trailer = &chunks->trailers[chunks->trailer_count];
    if (!text_copy(trailer->name, sizeof trailer->name, chunks->line) ||
        !text_copy(trailer->value, sizeof trailer->value, value)) {
        return ERR_MALFORMED;
    }
    chunks->trailer_count++;
    return buffer_printf(&chunks->trailer_text, "%s:%s\n", chunks->line, value);
}

/* Collects a line up to LF; a CR before it is dropped. Returns the bytes taken. */
static size_t collect(struct sigv4_chunks *chunks, const char *bytes, size_t length, int *ret_state)
{
    const char *end = memchr(bytes, '\n', length);
    size_t taken = end != NULL ? (size_t)(end - bytes) : length;
    if (chunks->line_length + taken >= sizeof chunks->line) {
        *ret_state = ERR_MALFORMED;
        return length;
    }
    memcpy(chunks->line + chunks->line_length, bytes, taken);
    chunks->line_length += taken;
    if (end == NULL) {
        *ret_state = 0;
        return length;
    }
    if (chunks->line_length > 0 && chunks->line[chunks->line_length - 1] == '\r') {
        chunks->line_length--;
    }
    chunks->line[chunks->line_length] = '\0';
    bool inner_nul = strlen(chunks->line) != chunks->line_length;
    chunks->line_length = 0;
    *ret_state = inner_nul ? ERR_MALFORMED : 1;
    return taken + 1;
}

static int run_line(struct sigv4_chunks *chunks)
{
    switch ((enum step)chunks->step) {
    case STEP_HEAD:
        return read_head(chunks);
    case STEP_BREAK:
        chunks->step = STEP_HEAD;
        return chunks->line[0] == '\0' ? 0 : ERR_MALFORMED;
    case STEP_TRAILER:
        return read_trailer(chunks);
    case STEP_BYTES:
    case STEP_END:
        break;
    }
    return ERR_MALFORMED;
}

static int take_bytes(struct sigv4_chunks *chunks, const char *bytes, size_t length)
{
    if (chunks->signed_chunks) {
        crypto_hash_sha256_update(&chunks->hash, (const unsigned char *)bytes, length);
    }
    chunks->payload_bytes += length;
    chunks->chunk_left -= length;
    int error = chunks->emit(chunks->argument, bytes, length);
    if (error == 0 && chunks->chunk_left == 0) {
        chunks->step = STEP_BREAK;
        error = check_chunk(chunks);
    }
    return error;
}

int sigv4_chunks_feed(struct sigv4_chunks *chunks, const void *bytes, size_t length)
{
    const char *at = bytes;
    int error = 0;
    while (error == 0 && length > 0) {
        if (chunks->step == STEP_END) {
            return ERR_MALFORMED; /* something follows the end */
        }
        size_t taken = length;
        if (chunks->step == STEP_BYTES) {
            taken = length < chunks->chunk_left ? length : (size_t)chunks->chunk_left;
            error = take_bytes(chunks, at, taken);
        } else {
            int state = 0;
            taken = collect(chunks, at, length, &state);
            error = state == 1 ? run_line(chunks) : state;
        }
        at += taken;
        length -= taken;
    }
    return error;
}

int sigv4_chunks_end(const struct sigv4_chunks *chunks)
{
    return chunks->step == STEP_END ? 0 : ERR_MALFORMED;
}
