/* S3's additional checksums (checksum.h). The three CRCs are one algorithm, the reflected
 * table-driven one (Ross Williams, "A painless guide to CRC error detection algorithms"), with the
 * polynomials of IEEE 802.3, Castagnoli and NVM Express; eight tables take eight bytes a step. Two
 * are joined as zlib's crc32_combine does: the first is moved on by the second's length, which is a
 * product with a power of x modulo the polynomial. */
#include "service/objectstore/checksum.h"

#include "base/text.h"

#include <pthread.h>
#include <string.h>

enum { SLICES = 8 };

struct crc {
    uint64_t polynomial; /* reflected */
    uint64_t start;      /* all ones of its width, also the final inversion */
    unsigned bytes;
};

static const struct crc crcs[] = {
    [CHECKSUM_CRC32] = {0xEDB88320u, 0xFFFFFFFFu, 4},
    [CHECKSUM_CRC32C] = {0x82F63B78u, 0xFFFFFFFFu, 4},
    [CHECKSUM_CRC64NVME] = {0x9A6C9329AC4BC9B5u, 0xFFFFFFFFFFFFFFFFu, 8},
};
enum { CRC_KINDS = CHECKSUM_CRC64NVME + 1 };

static uint64_t tables[CRC_KINDS][SLICES][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static const char *const headers[] = {
    "x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",  "x-amz-checksum-sha256", "x-amz-checksum-sha512",
    "x-amz-checksum-md5",
};

static void make_tables(void)
{
    for (unsigned kind = 0; kind < CRC_KINDS; kind++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint64_t value = byte;
            for (unsigned bit = 0; bit < 8; bit++) {
                value = (value >> 1) ^ ((value & 1) != 0 ? crcs[kind].polynomial : 0);
            }
            tables[kind][0][byte] = value;
        }
        for (unsigned slice = 1; slice < SLICES; slice++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                uint64_t before = tables[kind][slice - 1][byte];
                tables[kind][slice][byte] = (before >> 8) ^ tables[kind][0][before & 0xFF];
            }
        }
    }
}

const char *checksum_header(enum checksum_kind kind)
{
    return headers[kind];
}

bool checksum_kind_of(const char *header, enum checksum_kind *ret_kind)
{
    for (unsigned kind = 0; kind < CHECKSUM_KINDS_; kind++) {
        if (strcmp(headers[kind], header) == 0) {
            *ret_kind = (enum checksum_kind)kind;
            return true;
        }
    }
    return false;
}

void checksum_init(struct checksum *checksum, enum checksum_kind kind)
{
    *checksum = (struct checksum){.kind = kind};
    switch (kind) {
    case CHECKSUM_SHA1:
        sha1_init(&checksum->sha1);
        break;
    case CHECKSUM_SHA256:
        crypto_hash_sha256_init(&checksum->sha256);
        break;
    case CHECKSUM_SHA512:
        crypto_hash_sha512_init(&checksum->sha512);
        break;
    case CHECKSUM_MD5:
        md5_init(&checksum->md5);
        break;
    default:
        (void)pthread_once(&tables_once, make_tables);
        checksum->crc = crcs[kind].start;
    }
}

static uint64_t crc_update(enum checksum_kind kind, uint64_t crc, const unsigned char *at,
                           size_t length)
{
    const uint64_t(*table)[256] = (const uint64_t(*)[256])tables[kind];
    for (; length >= SLICES; length -= SLICES, at += SLICES) {
        uint64_t word = 0;
        for (unsigned i = 0; i < SLICES; i++) {
            word |= (uint64_t)at[i] << (8 * i);
        }
        word ^= crc;
        crc = 0;
        for (unsigned i = 0; i < SLICES; i++) {
            crc ^= table[SLICES - 1 - i][(word >> (8 * i)) & 0xFF];
        }
    }
    for (; length > 0; length--, at++) {
        crc = (crc >> 8) ^ table[0][(crc ^ *at) & 0xFF];
    }
    return crc;
}

void checksum_update(struct checksum *checksum, const void *bytes, size_t length)
{
    switch (checksum->kind) {
    case CHECKSUM_SHA1:
        sha1_update(&checksum->sha1, length, bytes);
        break;
    case CHECKSUM_SHA256:
        crypto_hash_sha256_update(&checksum->sha256, bytes, length);
        break;
    case CHECKSUM_SHA512:
        crypto_hash_sha512_update(&checksum->sha512, bytes, length);
        break;
    case CHECKSUM_MD5:
        md5_update(&checksum->md5, length, bytes);
        break;
    default:
        checksum->crc = crc_update(checksum->kind, checksum->crc, bytes, length);
    }
}

static size_t write_crc(const struct crc *crc, uint64_t value, unsigned char *digest)
{
    for (unsigned i = 0; i < crc->bytes; i++) {
        digest[i] = (unsigned char)(value >> (8 * (crc->bytes - 1 - i)));
    }
    return crc->bytes;
}

static size_t finish(struct checksum *checksum, unsigned char digest[CHECKSUM_BYTES_MAX])
{
    switch (checksum->kind) {
    case CHECKSUM_SHA1:
        sha1_digest(&checksum->sha1, SHA1_DIGEST_SIZE, digest);
        return SHA1_DIGEST_SIZE;
    case CHECKSUM_SHA256:
        crypto_hash_sha256_final(&checksum->sha256, digest);
        return crypto_hash_sha256_BYTES;
    case CHECKSUM_SHA512:
        crypto_hash_sha512_final(&checksum->sha512, digest);
        return crypto_hash_sha512_BYTES;
    case CHECKSUM_MD5:
        md5_digest(&checksum->md5, MD5_DIGEST_SIZE, digest);
        return MD5_DIGEST_SIZE;
    default:
        return write_crc(&crcs[checksum->kind], checksum->crc ^ crcs[checksum->kind].start, digest);
    }
}

void checksum_final(struct checksum *checksum, char out[CHECKSUM_TEXT_SIZE])
{
    unsigned char digest[CHECKSUM_BYTES_MAX];
    size_t length = finish(checksum, digest);
    (void)sodium_bin2base64(out, CHECKSUM_TEXT_SIZE, digest, length,
                            sodium_base64_VARIANT_ORIGINAL);
}

/* Joining. A polynomial's coefficients stand reflected: that of x^0 is the highest bit. */

static uint64_t top_bit(const struct crc *crc)
{
    return crc->start ^ (crc->start >> 1);
}

static uint64_t multiply(const struct crc *crc, uint64_t left, uint64_t right)
{
    uint64_t product = 0;
    for (uint64_t bit = top_bit(crc); bit != 0; bit >>= 1) {
        product ^= (left & bit) != 0 ? right : 0;
        right = (right >> 1) ^ ((right & 1) != 0 ? crc->polynomial : 0);
    }
    return product;
}

/* x to the power of eight times bytes. */
static uint64_t power_of_bytes(const struct crc *crc, uint64_t bytes)
{
    uint64_t power = top_bit(crc);
    for (uint64_t square = top_bit(crc) >> 8; bytes > 0; bytes >>= 1) {
        power = (bytes & 1) != 0 ? multiply(crc, power, square) : power;
        square = multiply(crc, square, square);
    }
    return power;
}

static bool read_crc(const struct crc *crc, const char *text, uint64_t *ret_value)
{
    unsigned char digest[CHECKSUM_BYTES_MAX];
    size_t length = 0;
    if (!text_base64_decode(text, strlen(text), TEXT_BASE64, digest, sizeof digest, &length) ||
        length != crc->bytes) {
        return false;
    }
    *ret_value = 0;
    for (size_t i = 0; i < length; i++) {
        *ret_value = *ret_value << 8 | digest[i];
    }
    return true;
}

bool checksum_join(enum checksum_kind kind, char sum[CHECKSUM_TEXT_SIZE], const char *next,
                   uint64_t next_bytes)
{
    uint64_t first = 0;
    uint64_t second = 0;
    if (kind > CHECKSUM_CRC64NVME || !read_crc(&crcs[kind], sum, &first) ||
        !read_crc(&crcs[kind], next, &second)) {
        return false;
    }
    unsigned char digest[CHECKSUM_BYTES_MAX];
    uint64_t moved = multiply(&crcs[kind], power_of_bytes(&crcs[kind], next_bytes), first);
    size_t length = write_crc(&crcs[kind], moved ^ second, digest);
    (void)sodium_bin2base64(sum, CHECKSUM_TEXT_SIZE, digest, length,
                            sodium_base64_VARIANT_ORIGINAL);
    return true;
}
