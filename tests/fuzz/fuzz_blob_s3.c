/* Answers of an S3 store, as they come from its connection: the first byte chooses what is asked
 * (a capital: the last answer is given again and again), the rest is what the store says, one
 * answer behind the other: status line, headers, an empty line, the body; a line "====" between
 * answers. Whatever it says: no bytes are taken for a place in the object that the answer does not
 * name, nor more than were asked for; what is listed lies in its bucket, each entry with a name;
 * and nothing goes on for ever.
 *
 * Covers: src/backend/blob/blob_s3_send.c src/backend/blob/blob_s3_call.c
 * src/backend/blob/blob_s3.c src/backend/blob/blob_s3_read.c src/backend/blob/blob_s3_xml.c
 * src/backend/blob/blob_s3_copy.c src/backend/blob/blob_s3_multipart.c
 * src/backend/blob/blob_s3_bucket.c src/backend/blob/blob_s3_delete.c
 * src/backend/blob/blob_s3_rules.c src/backend/blob/blob_s3_look.c src/backend/blob/blob_s3_write.c
 */
#include "backend/blob/blob.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "fuzz_curl.h"
#include "fuzz_folder.h"

#include "backend/blob/blob_s3_send.c" /* NOLINT(bugprone-suspicious-include) */

#define SECRET "SECRET"

enum { ANSWERS_MAX = 400, LIST_MAX = 50 };

static struct {
    const char *all;      /* the input's answers */
    const char *at, *end; /* of what was not said yet */
    const char *last;     /* where the last answer began that was said */
    bool again;           /* which is said from then on */
    unsigned answers;
    struct transfer *transfer; /* that is under way */
} said;

static CURLcode fuzz_option(CURLoption option, const void *value)
{
    if (option == CURLOPT_WRITEDATA) {
        said.transfer = (struct transfer *)(uintptr_t)value;
    }
    return CURLE_OK;
}

/* The answer's end: where the next one begins, or the input's. */
static const char *answer_end(const char **ret_next)
{
    static const char line[] = "\n====\n";
    const char *found = memmem(said.at, (size_t)(said.end - said.at), line, sizeof line - 1);
    *ret_next = found != NULL ? found + sizeof line - 1 : said.end;
    return found != NULL ? found : said.end;
}

/* What a body is taken for: bytes of the object, which must be those that were asked for. */
static void check_taken(const struct s3_call *call, const struct s3_answer *answer, long status)
{
    bool placed = status >= 200 && status < 300 && (call->into != NULL || call->into_file);
    if (placed && answer->got > 0) {
        FUZZ_CHECK(answer->got <= call->into_size);
        FUZZ_CHECK(status == 206 ? answer->from == call->from : call->from == 0);
    }
}

/* Header lines, to the empty one. */
static void give_head(struct transfer *transfer, const char *end)
{
    for (bool empty = false; said.at < end && !empty;) {
        const char *stop = memchr(said.at, '\n', (size_t)(end - said.at));
        size_t length = (size_t)((stop != NULL ? stop + 1 : end) - said.at);
        char *line = fuzz_text(said.at, length);
        empty = line[0] == '\n' || line[0] == '\r';
        (void)sscanf(line, "HTTP/%*c.%*c %3ld", &fuzz_status);
        (void)take_header(line, 1, length, transfer);
        free(line);
        said.at += length;
    }
}

/* The body in two pieces, as the network might. */
static CURLcode give_bytes(struct transfer *transfer, const char *end)
{
    size_t taken = 0, length = 0;
    for (unsigned piece = 0; piece < 2 && said.at < end && taken == length; piece++) {
        size_t left = (size_t)(end - said.at);
        length = piece == 0 ? (left + 1) / 2 : left;
        char *bytes = fuzz_text(said.at, length);
        taken = take_body(bytes, 1, length, transfer);
        free(bytes);
        said.at += length;
    }
    return taken == length ? CURLE_OK : CURLE_WRITE_ERROR;
}

static CURLcode fuzz_perform(CURL *curl)
{
    struct transfer *transfer = said.transfer;
    const char *next = NULL;
    (void)curl;
    FUZZ_CHECK(said.answers++ < ANSWERS_MAX);
    fuzz_status = 0;
    said.at = said.at == said.end && said.again ? said.last : said.at;
    if (said.at == said.end) {
        return CURLE_GOT_NOTHING;
    }
    said.last = said.at;
    const char *end = answer_end(&next);
    give_head(transfer, end);
    CURLcode code =
        strcmp(transfer->call->method, "HEAD") != 0 ? give_bytes(transfer, end) : CURLE_OK;
    said.at = next;
    check_taken(transfer->call, transfer->answer, fuzz_status);
    return fuzz_status < 200 ? CURLE_WEIRD_SERVER_REPLY : code;
}

/* What is asked. */

struct listed {
    const char *bucket;
    unsigned count;
};

static int see_key(void *argument, const char *key, const struct blob_stat *stat)
{
    struct listed *listed = argument;
    FUZZ_CHECK(key[0] != '\0' && strlen(key) < S3_KEY_SIZE);
    FUZZ_CHECK(memchr(stat->etag, '\0', sizeof stat->etag) != NULL);
    if (strcmp(listed->bucket, BLOB_MEDIA) == 0) {
        FUZZ_CHECK(strncmp(key, "uploads/", 8) != 0 && strncmp(key, "buckets/", 8) != 0);
    }
    FUZZ_CHECK(strncmp(key, "ab", 2) == 0);
    FUZZ_CHECK(++listed->count <= LIST_MAX);
    return 0;
}

static int see_upload(void *argument, const char *key, const char *upload_id, int64_t begun_ms)
{
    (void)argument;
    (void)begun_ms;
    FUZZ_CHECK(key[0] != '\0' && strlen(key) < S3_KEY_SIZE);
    FUZZ_CHECK(upload_id[0] != '\0' && strlen(upload_id) < BLOB_UPLOAD_ID_MAX);
    return 0;
}

static int see_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    (void)argument;
    (void)created_ms;
    FUZZ_CHECK(bucket[0] != '\0' && strlen(bucket) < S3_KEY_SIZE);
    return 0;
}

static int see_part(void *argument, const struct blob_part *part)
{
    unsigned *count = argument;
    FUZZ_CHECK(part->number <= BLOB_PART_NUMBER_MAX);
    FUZZ_CHECK(++*count <= LIST_MAX);
    return 0;
}

static void read_object(struct blob_store *store)
{
    struct blob_source source, copy;
    struct blob_stat stat;
    struct blob_reader *reader = NULL;
    char bytes[100];
    if (blob_open(store, BLOB_MEDIA, "m/1/1/a", &source, &stat) != 0) {
        return;
    }
    FUZZ_CHECK(source.bytes == stat.bytes);
    FUZZ_CHECK(blob_source_copy(&source, &copy) == 0);
    if (blob_source_local(&copy) == 0) {
        struct stat file;
        FUZZ_CHECK(fstat(copy.fd, &file) == 0 && (uint64_t)file.st_size == copy.bytes);
    }
    blob_source_close(&copy);
    FUZZ_CHECK(blob_reader_new(&source, &reader) == 0);
    const uint64_t places[] = {0, 5, stat.bytes / 2, stat.bytes};
    for (unsigned i = 0; i < COUNT_OF(places); i++) {
        ssize_t got = blob_reader_read(reader, bytes, sizeof bytes, places[i]);
        FUZZ_CHECK(got <= (ssize_t)sizeof bytes && (got != 0) == (places[i] < stat.bytes));
    }
    blob_reader_free(reader);
}

static void upload_parts(struct blob_store *store)
{
    char id[BLOB_UPLOAD_ID_MAX];
    unsigned count = 0;
    struct blob_stat stat;
    struct problem problem = {0};
    const struct blob_meta meta = {.content_type = "audio/flac", .headers = "expires:never\n"};
    const struct blob_part parts[] = {{.number = 1, .etag = "0123456789abcdef0123456789abcdef"},
                                      {.number = 2, .etag = "x"}};
    if (blob_multipart_create(store, BLOB_UPLOADS, "k", &meta, id) == 0) {
        FUZZ_CHECK(id[0] != '\0' && strlen(id) < sizeof id);
    }
    (void)blob_multipart_list(store, BLOB_UPLOADS, "k", "id", 0, LIST_MAX, see_part, &count);
    (void)blob_multipart_complete(store, BLOB_UPLOADS, "k", "id", parts, COUNT_OF(parts), &stat,
                                  &problem);
}

static void write_object(struct blob_store *store)
{
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    const struct blob_meta meta = {.content_type = "audio/flac"};
    if (blob_put_open(store, BLOB_MEDIA, "m/1/1/a", &meta, &writer) == 0) {
        FUZZ_CHECK(blob_put_write(writer, "tutti", 5) == 0);
        if (blob_put_commit(writer, true, &stat) == 0) {
            FUZZ_CHECK(stat.bytes == 5);
        }
    }
}

static void copy_object(struct blob_store *store)
{
    struct blob_stat stat;
    const struct blob_meta meta = {.content_type = "audio/flac"};
    (void)blob_copy(store, BLOB_UPLOADS, "k", NULL, BLOB_MEDIA, "m/1/1/a", &stat);
    (void)blob_copy_as(store, BLOB_UPLOADS, "k", "x", BLOB_MEDIA, "m/1/1/a", &meta, &stat);
}

static void look_after(struct blob_store *store)
{
    static const char *const origins[] = {"https://app.example", "http://localhost"};
    const struct blob_prepare what = {origins, COUNT_OF(origins), true};
    struct problem problem = {0};
    int error = blob_ping(store, &problem);
    FUZZ_CHECK((error == 0) == (problem.detail[0] == '\0'));
    FUZZ_CHECK(strstr(problem.detail, SECRET) == NULL ||
               memmem(said.all, (size_t)(said.end - said.all), SECRET, strlen(SECRET)) != NULL);
    problem_reset(&problem);
    error = blob_prepare(store, &what, &problem);
    FUZZ_CHECK((error == 0) == (problem.detail[0] == '\0'));
}

static void list(struct blob_store *store, const char *bucket)
{
    struct listed listed = {.bucket = bucket};
    (void)blob_list(store, bucket, "ab", "", LIST_MAX, see_key, &listed);
}

static void ask(struct blob_store *store, char what)
{
    static const char *const keys[] = {"a", "b"};
    switch (what | 0x20) {
    case 'r':
        read_object(store);
        break;
    case 'l':
        list(store, BLOB_MEDIA);
        break;
    case 'p':
        list(store, "pop");
        break;
    case 'b':
        (void)blob_bucket_list(store, see_bucket, NULL);
        break;
    case 'c':
        copy_object(store);
        break;
    case 'm':
        upload_parts(store);
        break;
    case 'u':
        (void)blob_multipart_uploads(store, BLOB_UPLOADS, see_upload, NULL);
        break;
    case 's':
        (void)blob_multipart_sweep(store, 1790000000000);
        break;
    case 'd':
        (void)blob_delete_many(store, BLOB_MEDIA, keys, COUNT_OF(keys));
        break;
    case 'w':
        write_object(store);
        break;
    case 'x':
        (void)blob_bucket_remove(store, "pop");
        break;
    default:
        look_after(store);
    }
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    FUZZ_CHECK(sodium_init() >= 0);
    fuzz_folder_make();
    return 0;
}

/* A store of its own for each, since one that failed is left alone for a while. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blob_store *store = NULL;
    if (size < 1) {
        return 0;
    }
    const struct blob_config config = {.url = "s3://KEY:" SECRET "@127.0.0.1/music?tls=no",
                                       .spool_path = fuzz_folder};
    FUZZ_CHECK(blob_store_open(&config, &store, NULL) == 0);
    char *text = fuzz_text(data + 1, size - 1);
    said.all = said.at = said.last = text;
    said.end = text + size - 1;
    said.again = data[0] >= 'A' && data[0] <= 'Z';
    said.answers = 0;
    ask(store, (char)data[0]);
    blob_store_close(store);
    free(text);
    return 0;
}
