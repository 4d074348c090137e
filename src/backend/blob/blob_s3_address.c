/* The address of an S3 store (blob_s3_address.h). Any thread. */
#include "backend/blob/blob_s3_address.h"

#include "backend/blob/blob.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "s3://"
#define RIGHT                                                                                      \
    "it would be right as "                                                                        \
    "s3://KEY:SECRET@HOST[:PORT]/BUCKET?region=…&tls=yes|no&path_style=yes|no"

enum { CONNECTIONS = 32, CONNECTIONS_MAX = 1024, PART_BYTES_MAX = 512 };

/* What is read may be a secret, so words never repeat it. */
static int wrong(struct problem *problem, const char *what)
{
    return problem_set(problem, ERR_INVALID, "blob.store: %s; " RIGHT, what);
}

/* A copy of the bytes with %XX taken for what it is; NULL: it can't be read, or holds control
 * characters. */
static char *decode(const char *text, size_t length)
{
    char *out = length <= PART_BYTES_MAX ? malloc(length + 1) : NULL;
    if (out != NULL && !text_percent_decode(text, length, out, length + 1)) {
        free(out);
        return NULL;
    }
    return out;
}

static int read_keys(const char *text, size_t length, struct s3_address *address,
                     struct problem *problem)
{
    const char *colon = memchr(text, ':', length);
    if (colon == NULL || colon == text || colon + 1 == text + length) {
        return wrong(problem, "it must name a key and its secret before the @");
    }
    address->key_id = decode(text, (size_t)(colon - text));
    address->secret = decode(colon + 1, length - (size_t)(colon - text) - 1);
    if (address->key_id == NULL || address->secret == NULL ||
        strlen(address->key_id) >= SIGV4_KEY_ID_SIZE ||
        strlen(address->secret) >= SIGV4_SECRET_SIZE) {
        return wrong(problem, "its key or secret can't be read; bytes such as / and % are written "
                              "%2F and %25");
    }
    return 0;
}

static bool yes_or_no(const char *text, bool *ret_yes)
{
    *ret_yes = strcmp(text, "yes") == 0;
    return *ret_yes || strcmp(text, "no") == 0;
}

/* Takes the value. */
static int read_option(struct s3_address *address, const char *name, char *value,
                       struct problem *problem)
{
    char *const taken = value;
    int64_t number = CONNECTIONS;
    char **texts[] = {&address->region,  &address->ca,         &address->sse,
                      &address->sse_key, &address->upload_key, &address->upload_secret};
    static const char *const names[] = {"region",  "ca",         "sse",
                                        "sse_key", "upload_key", "upload_secret"};
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            free(*texts[i]);
            *texts[i] = value;
            return 0;
        }
    }
    bool known = false;
    if (strcmp(name, "tls") == 0) {
        known = yes_or_no(value, &address->tls);
    } else if (strcmp(name, "path_style") == 0) {
        known = yes_or_no(value, &address->path_style);
    } else if (strcmp(name, "connections") == 0) {
        known = text_number(value, 1, CONNECTIONS_MAX, &number);
        address->connections = (unsigned)number;
    }
    free(taken);
    return known
               ? 0
               : problem_set(problem, ERR_INVALID,
                             "blob.store: its option \"%s\" or that one's value is unknown; there "
                             "are region, tls=yes|no, path_style=yes|no, ca, sse, sse_key, "
                             "upload_key, upload_secret and connections=1…%d",
                             name, CONNECTIONS_MAX);
}

static int read_options(const char *text, struct s3_address *address, struct problem *problem)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "&");
        size_t name_length = strcspn(text, "=&");
        char name[32] = "";
        if (name_length >= length || name_length >= sizeof name) {
            return wrong(problem, "its options must read NAME=VALUE");
        }
        memcpy(name, text, name_length);
        char *value = decode(text + name_length + 1, length - name_length - 1);
        int error = value != NULL ? read_option(address, name, value, problem)
                                  : wrong(problem, "an option's value can't be read");
        if (error != 0) {
            return error;
        }
        text += length + (text[length] == '&');
    }
    bool sse = address->sse[0] == '\0' || strcmp(address->sse, "AES256") == 0 ||
               strcmp(address->sse, "aws:kms") == 0;
    if (!sse) {
        return wrong(problem, "sse can be AES256 or aws:kms");
    }
    bool both = (address->upload_key[0] == '\0') == (address->upload_secret[0] == '\0') &&
                strlen(address->upload_key) < SIGV4_KEY_ID_SIZE &&
                strlen(address->upload_secret) < SIGV4_SECRET_SIZE;
    return both ? 0 : wrong(problem, "upload_key and upload_secret go together");
}

static bool bucket_sound(const char *bucket)
{
    size_t length = strlen(bucket);
    return length >= 3 && length <= BLOB_BUCKET_MAX &&
           strspn(bucket, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               length;
}

/* HOST[:PORT][/PATH]/BUCKET, length bytes of it. */
static int read_place(const char *text, size_t length, struct s3_address *address,
                      struct problem *problem)
{
    size_t host = strcspn(text, "/?");
    while (length > 0 && text[length - 1] == '/') {
        length--;
    }
    size_t slash = length;
    while (slash > host && text[slash - 1] != '/') {
        slash--;
    }
    if (host == 0 || slash <= host ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]") <
            host) {
        return wrong(problem, "it must name a host and a bucket");
    }
    address->bucket = decode(text + slash, length - slash);
    if (address->bucket == NULL || !bucket_sound(address->bucket)) {
        return wrong(problem, "what stands behind the last slash must be a bucket's name, 3 to 63 "
                              "of a-z 0-9 . -");
    }
    size_t end = slash - 1; /* of host and path */
    const char *scheme = address->tls ? "https://" : "http://";
    const char *own = address->tls ? ":443" : ":80";
    size_t own_length = strlen(own);
    size_t shown = host > own_length && strncmp(text + host - own_length, own, own_length) == 0
                       ? host - own_length
                       : host;
    if (asprintf(&address->endpoint, "%s%.*s%.*s", scheme, (int)shown, text, (int)(end - host),
                 text + host) < 0) {
        address->endpoint = NULL;
    }
    return address->endpoint != NULL ? 0 : ERR_NO_MEMORY;
}

char *blob_s3_address_base(const struct s3_address *address, const char *endpoint)
{
    const char *host = strstr(endpoint, "://");
    char *base = NULL;
    if (host == NULL ||
        (strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0)) {
        return NULL;
    }
    host += 3;
    int made = address->path_style ? asprintf(&base, "%s/%s", endpoint, address->bucket)
                                   : asprintf(&base, "%.*s%s.%s", (int)(host - endpoint), endpoint,
                                              address->bucket, host);
    return made >= 0 ? base : NULL;
}

/* What follows from the rest: base, host, path, and the words for people. */
static int derive(struct s3_address *address)
{
    address->base = blob_s3_address_base(address, address->endpoint);
    if (address->base == NULL) {
        return ERR_NO_MEMORY;
    }
    const char *host = strstr(address->base, "://") + 3;
    size_t length = strcspn(host, "/");
    address->host = strndup(host, length);
    address->path = strdup(host + length);
    address->where = strdup(address->base);
    return address->host != NULL && address->path != NULL && address->where != NULL ? 0
                                                                                    : ERR_NO_MEMORY;
}

/* The last @ before the query: a host holds none, and a key or secret that is not encoded may. */
static const char *find_at(const char *text)
{
    size_t length = strcspn(text, "?");
    const char *at = NULL;
    for (size_t i = 0; i < length; i++) {
        at = text[i] == '@' ? text + i : at;
    }
    return at;
}

int blob_s3_address_parse(const char *url, struct s3_address *ret_address, struct problem *problem)
{
    struct s3_address *address = ret_address;
    *address = (struct s3_address){.tls = true,
                                   .path_style = true,
                                   .connections = CONNECTIONS,
                                   .region = strdup("us-east-1"),
                                   .ca = strdup(""),
                                   .sse = strdup(""),
                                   .sse_key = strdup(""),
                                   .upload_key = strdup(""),
                                   .upload_secret = strdup("")};
    if (address->region == NULL || address->ca == NULL || address->sse == NULL ||
        address->sse_key == NULL || address->upload_key == NULL || address->upload_secret == NULL) {
        return ERR_NO_MEMORY;
    }
    if (strncmp(url, SCHEME, strlen(SCHEME)) != 0) {
        return wrong(problem, "it does not begin with s3://");
    }
    const char *text = url + strlen(SCHEME);
    const char *at = find_at(text);
    if (at == NULL) {
        return wrong(problem, "it must name a key and its secret before the @");
    }
    if (memchr(text, '/', (size_t)(at - text)) != NULL) {
        return wrong(problem, "a slash in its key or secret must be written %2F");
    }
    size_t place = strcspn(at + 1, "?");
    int error = read_keys(text, (size_t)(at - text), address, problem);
    error = error != 0 ? error
                       : read_options(at + 1 + place + (at[1 + place] == '?'), address, problem);
    error = error != 0 ? error : read_place(at + 1, place, address, problem);
    return error != 0 ? error : derive(address);
}

struct sigv4_credentials blob_s3_credentials(const struct s3_address *address, bool upload)
{
    bool own = !upload || address->upload_key[0] == '\0';
    return (struct sigv4_credentials){own ? address->key_id : address->upload_key,
                                      own ? address->secret : address->upload_secret,
                                      address->region};
}

void blob_s3_address_done(struct s3_address *address)
{
    char *const secrets[] = {address->secret, address->upload_secret};
    for (unsigned i = 0; i < COUNT_OF(secrets); i++) {
        if (secrets[i] != NULL) {
            sodium_memzero(secrets[i], strlen(secrets[i]));
        }
    }
    char *const owned[] = {address->where,      address->host,         address->base,
                           address->path,       address->endpoint,     address->bucket,
                           address->key_id,     address->secret,       address->region,
                           address->ca,         address->sse,          address->sse_key,
                           address->upload_key, address->upload_secret};
    for (unsigned i = 0; i < COUNT_OF(owned); i++) {
        free(owned[i]);
    }
    *address = (struct s3_address){0};
}
