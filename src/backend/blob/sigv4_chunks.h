/* The body form "aws-chunked": chunks in the body, each with a signature that continues the former
 * one's (STREAMING-AWS4-HMAC-SHA256-PAYLOAD), or without signatures but with a checksum behind the
 * last (STREAMING-UNSIGNED-PAYLOAD-TRAILER), or with both (…-TRAILER). See "Signature Calculations
 * for the Authorization Header: Transferring Payload in Multiple Chunks" of the Amazon S3 API
 * reference.
 *
 *   {size in hex}[;chunk-signature={64 hex}] CR LF {bytes} CR LF … 0[;chunk-signature=…] CR LF
 *   [{name}:{value} CR LF …] CR LF
 *
 * A reader is fed the body as it arrives and emits the payload. Payload is emitted before its
 * chunk's signature is checked, so whoever takes it keeps it back until sigv4_chunks_end has said
 * 0. Used by one thread at a time; owns nothing but itself.
 */
#pragma once

#include "backend/blob/sigv4.h"

#include <sodium.h>

enum { SIGV4_LINE_MAX = 1024, SIGV4_TRAILERS_MAX = 4 };

struct sigv4_trailer {
    char name[64], value[128];
};

struct sigv4_chunks {
    bool signed_chunks, with_trailer;
    int (*emit)(void *argument, const void *bytes, size_t length);
    void *argument;
    struct sigv4_trailer trailers[SIGV4_TRAILERS_MAX];
    unsigned trailer_count;
    uint64_t payload_bytes;
    /* the rest is the reader's own */
    int step;
    bool trailer_signed; /* the signature of the trailer has been read */
    uint64_t chunk_left;
    size_t line_length;
    char line[SIGV4_LINE_MAX];
    unsigned char signing_key[SIGV4_KEY_BYTES];
    char date[SIGV4_DATE_SIZE], scope[SIGV4_SCOPE_SIZE];
    char signature[SIGV4_HEX_SIZE]; /* the former one */
    char claimed[SIGV4_HEX_SIZE];   /* this chunk's */
    crypto_hash_sha256_state hash;
    struct buffer trailer_text; /* canonical, for its signature */
};

/* True if the payload word (x-amz-content-sha256) is one of these forms. */
bool sigv4_chunks_wanted(const char *payload);
/* Starts from a verified request. emit returns 0 or an error that is passed on. */
void sigv4_chunks_init(struct sigv4_chunks *chunks, const struct sigv4_signed *start,
                       int (*emit)(void *argument, const void *bytes, size_t length),
                       void *argument);
void sigv4_chunks_done(struct sigv4_chunks *chunks);
/* 0; ERR_MALFORMED; ERR_FORBIDDEN: a chunk is signed differently; or emit's error. */
int sigv4_chunks_feed(struct sigv4_chunks *chunks, const void *bytes, size_t length);
/* 0 if the last chunk and what follows it have been read, else ERR_MALFORMED. */
int sigv4_chunks_end(const struct sigv4_chunks *chunks);
