/* The body form aws-chunked. First byte: bit 0 signed, bit 1 with trailer; bit 2: the rest is a
 * payload that we write in chunks ourselves, else it is a body as it came. A body means the same
 * however it is cut into pieces; with signatures, only what the key's owner wrote comes through,
 * and not a byte of it changed.
 *
 * Covers: src/backend/blob/sigv4_chunks.c */
#include "backend/blob/sigv4_chunks.h"
#include "base/error.h"
#include "fuzz.h"

enum { SIGNED = 1, TRAILER = 2, WRITE = 4, BODY_BYTES_MAX = 1 << 20 };

static struct sigv4_signed start = {.signature = "seed"};

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    FUZZ_CHECK(sodium_init() >= 0);
    randombytes_buf(start.signing_key, sizeof start.signing_key);
    (void)snprintf(start.date, sizeof start.date, "20260101T000000Z");
    (void)snprintf(start.scope, sizeof start.scope, "20260101/us-east-1/s3/aws4_request");
    sigv4_hex_sha256("seed", 4, start.signature);
    return 0;
}

static const char *form_of(unsigned flags)
{
    static const char *const forms[] = {
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"};
    return forms[flags & (SIGNED | TRAILER)];
}

static int take(void *argument, const void *bytes, size_t length)
{
    return buffer_append(argument, bytes, length);
}

/* Reads the body in pieces of that many bytes. */
static int read_body(unsigned flags, const char *body, size_t length, size_t piece,
                     struct buffer *payload)
{
    struct sigv4_chunks chunks;
    struct sigv4_signed from = start;
    from.payload = form_of(flags);
    FUZZ_CHECK(sigv4_chunks_wanted(from.payload));
    sigv4_chunks_init(&chunks, &from, take, payload);
    int error = 0;
    for (size_t at = 0; error == 0 && at < length; at += piece) {
        size_t here = length - at < piece ? length - at : piece;
        char *exact = fuzz_text(body + at, here);
        error = sigv4_chunks_feed(&chunks, exact, here);
        free(exact);
    }
    error = error != 0 ? error : sigv4_chunks_end(&chunks);
    FUZZ_CHECK(error != 0 || chunks.payload_bytes == payload->length);
    FUZZ_CHECK(chunks.trailer_count <= SIGV4_TRAILERS_MAX);
    sigv4_chunks_done(&chunks);
    return error;
}

/* Written here once more, after Amazon's text, so that the reader is not checked by itself. */
static void sign_chunk(char signature[SIGV4_HEX_SIZE], const char *bytes, size_t length)
{
    char empty[SIGV4_HEX_SIZE], hash[SIGV4_HEX_SIZE], text[512];
    sigv4_hex_sha256("", 0, empty);
    sigv4_hex_sha256(bytes, length, hash);
    int text_length = snprintf(text, sizeof text, "AWS4-HMAC-SHA256-PAYLOAD\n%s\n%s\n%s\n%s\n%s",
                               start.date, start.scope, signature, empty, hash);
    sigv4_hex_hmac(start.signing_key, text, (size_t)text_length, signature);
}

static void write_chunk(struct buffer *out, bool with_signature, char signature[SIGV4_HEX_SIZE],
                        const char *bytes, size_t length)
{
    (void)buffer_printf(out, "%zx", length);
    if (with_signature) {
        sign_chunk(signature, bytes, length);
        (void)buffer_printf(out, ";chunk-signature=%s", signature);
    }
    (void)buffer_add(out, "\r\n");
    (void)buffer_append(out, bytes, length);
    (void)buffer_add(out, length > 0 ? "\r\n" : "");
}

static void write_body(struct buffer *out, unsigned flags, const char *payload, size_t length,
                       size_t chunk)
{
    char signature[SIGV4_HEX_SIZE];
    memcpy(signature, start.signature, sizeof signature);
    for (size_t at = 0; at < length; at += chunk) {
        write_chunk(out, flags & SIGNED, signature, payload + at,
                    length - at < chunk ? length - at : chunk);
    }
    write_chunk(out, flags & SIGNED, signature, "", 0);
    if ((flags & (SIGNED | TRAILER)) == (SIGNED | TRAILER)) {
        char text[512], hash[SIGV4_HEX_SIZE];
        static const char trailer[] = "x-amz-checksum-crc32:AAAAAA==\n";
        sigv4_hex_sha256(trailer, strlen(trailer), hash);
        int text_length = snprintf(text, sizeof text, "AWS4-HMAC-SHA256-TRAILER\n%s\n%s\n%s\n%s",
                                   start.date, start.scope, signature, hash);
        sigv4_hex_hmac(start.signing_key, text, (size_t)text_length, signature);
        (void)buffer_printf(out, "%.*s\r\nx-amz-trailer-signature:%s\r\n", (int)strlen(trailer) - 1,
                            trailer, signature);
    }
    (void)buffer_add(out, "\r\n");
}

static void try_written(unsigned flags, const char *payload, size_t length, size_t piece)
{
    struct buffer body, read;
    buffer_init(&body, BODY_BYTES_MAX);
    buffer_init(&read, BODY_BYTES_MAX);
    write_body(&body, flags, payload, length, 1 + length / 3);
    FUZZ_CHECK(buffer_error(&body) == 0);
    FUZZ_CHECK(read_body(flags, body.data, body.length, piece, &read) == 0);
    FUZZ_CHECK(read.length == length && memcmp(read.data, payload, length) == 0);
    if ((flags & SIGNED) != 0 && length > 0) { /* one byte of the payload, another */
        char *bytes = memmem(body.data, body.length, "\r\n", 2);
        bytes[2] ^= 1;
        buffer_reset(&read);
        FUZZ_CHECK(read_body(flags, body.data, body.length, piece, &read) == ERR_FORBIDDEN);
    }
    buffer_done(&body);
    buffer_done(&read);
}

static void try_raw(unsigned flags, const char *body, size_t length, size_t piece)
{
    struct buffer whole, pieces;
    buffer_init(&whole, BODY_BYTES_MAX);
    buffer_init(&pieces, BODY_BYTES_MAX);
    int error = read_body(flags, body, length, length > 0 ? length : 1, &whole);
    int error_in_pieces = read_body(flags, body, length, piece, &pieces);
    FUZZ_CHECK(error == error_in_pieces);
    FUZZ_CHECK((flags & SIGNED) == 0 || error != 0);
    if (error == 0) {
        FUZZ_CHECK(whole.length == pieces.length);
        FUZZ_CHECK(memcmp(whole.data, pieces.data, whole.length) == 0);
    }
    buffer_done(&whole);
    buffer_done(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const char *rest = (const char *)data + 2;
    size_t piece = 1 + data[1] % 64u;
    if ((data[0] & WRITE) != 0) {
        try_written(data[0] & 3u, rest, size - 2, piece);
    } else {
        try_raw(data[0] & 3u, rest, size - 2, piece);
    }
    return 0;
}
