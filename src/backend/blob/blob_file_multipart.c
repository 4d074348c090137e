/* Multipart uploads of the file engine. A part is a file of its own, made as an object is (whole,
 * durable, replaced by rename), so an upload goes on after any kill. Completing joins the parts
 * into a temporary file inside the kernel and publishes that; only then are the parts removed.
 * Killed in between, the upload is still there and completing again makes the same object. Any
 * thread.
 */
#include "backend/blob/blob_file.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char description_name[] = "upload.obj";

enum {
    PART_NAME_SIZE = 16,
    UPLOAD_PATH_SIZE = 48,
    PART_PREFIX_SIZE = 48,
    UPLOAD_ID_LENGTH = 32,
    COLLECTED_MAX = 100 * 1000,
};

static void upload_path(const char *upload_id, char out[UPLOAD_PATH_SIZE])
{
    (void)snprintf(out, UPLOAD_PATH_SIZE, "%.2s/%.32s", upload_id, upload_id);
}

static void part_name(unsigned number, char out[PART_NAME_SIZE])
{
    (void)snprintf(out, PART_NAME_SIZE, "%05u.obj", number);
}

/* Where a part of an upload stands, for its seal. */
static void part_prefix(const char *upload_id, char out[PART_PREFIX_SIZE])
{
    (void)snprintf(out, PART_PREFIX_SIZE, BLOB_PREFIX_PART "%.2s/%.32s/", upload_id, upload_id);
}

/* Writes the description: what is uploaded, and to where. base is taken. */
static int write_description(struct file_store *store, int base, const char *bucket,
                             const char *key, const struct blob_meta *meta)
{
    struct file_writer *writer = NULL;
    int error = blob_file_writer_new(store, base, description_name, false, meta, &writer);
    if (error != 0) {
        return error;
    }
    char text[BLOB_BUCKET_MAX + 1 + BLOB_KEY_MAX + 1];
    int length = snprintf(text, sizeof text, "%s\n%s", bucket, key);
    (void)blob_put_write(&writer->head, text, (size_t)length);
    return blob_file_writer_commit(writer, NULL, &(struct blob_condition){.if_none_match = true},
                                   NULL);
}

int blob_file_multipart_create(struct blob_store *head, const char *bucket, const char *key,
                               const struct blob_meta *meta, char ret_upload_id[BLOB_UPLOAD_ID_MAX])
{
    struct file_store *store = file_store_of(head);
    int bucket_fd CLEANUP_CLOSE = blob_file_open_bucket(store, bucket);
    if (bucket_fd < 0) {
        return bucket_fd;
    }
    unsigned char random[16];
    char id[BLOB_UPLOAD_ID_MAX];
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(id, sizeof id, random, sizeof random);
    char path[UPLOAD_PATH_SIZE + 2];
    upload_path(id, path);
    path[strlen(path) + 1] = '\0';
    path[strlen(path)] = '/'; /* the parent of what comes inside is the upload's folder */
    const char *leaf = NULL;
    int folder = blob_file_open_parent(store, store->multipart, path, true, &leaf);
    if (folder < 0) {
        return folder;
    }
    int error = write_description(store, folder, bucket, key, meta);
    if (error == 0) {
        memcpy(ret_upload_id, id, sizeof id);
    }
    return error;
}

struct description {
    struct blob_stat stat;
    char text[BLOB_BUCKET_MAX + 1 + BLOB_KEY_MAX + 1]; /* bucket, newline, key */
    char headers[BLOB_HEADERS_MAX + 1];
};

static int read_description(int folder, struct description *description)
{
    int fd CLEANUP_CLOSE = blob_file_open_beneath(folder, description_name, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    int error = blob_trailer_read(fd, &description->stat);
    error = error != 0 ? error : blob_trailer_headers(fd, &description->stat, description->headers);
    if (error != 0) {
        return error;
    }
    size_t length = (size_t)description->stat.bytes;
    ssize_t got = length < sizeof description->text ? pread(fd, description->text, length, 0) : 0;
    if (got < 0) {
        return error_from_errno(errno);
    }
    description->text[got] = '\0';
    return (size_t)got == length ? 0 : ERR_CORRUPT;
}

/* The folder of an upload that is to become this key, and what its description says. The descriptor
 * or ERR_NOT_FOUND. */
static int open_upload(struct file_store *store, const char *bucket, const char *key,
                       const char *upload_id, struct description *ret_description)
{
    char path[UPLOAD_PATH_SIZE];
    upload_path(upload_id, path);
    int folder CLEANUP_CLOSE =
        blob_file_open_beneath(store->multipart, path, O_RDONLY | O_DIRECTORY);
    if (folder < 0) {
        return folder;
    }
    int error = read_description(folder, ret_description);
    if (error != 0) {
        return error;
    }
    char expected[sizeof ret_description->text];
    (void)snprintf(expected, sizeof expected, "%s\n%s", bucket, key);
    return strcmp(expected, ret_description->text) == 0 ? TAKE_FD(folder) : ERR_NOT_FOUND;
}

int blob_file_multipart_put_open(struct blob_store *head, const char *bucket, const char *key,
                                 const char *upload_id, unsigned number,
                                 struct blob_writer **ret_writer)
{
    struct file_store *store = file_store_of(head);
    struct description description;
    int folder = open_upload(store, bucket, key, upload_id, &description);
    if (folder < 0) {
        return folder;
    }
    char name[PART_NAME_SIZE];
    part_name(number, name);
    struct file_writer *writer = NULL;
    int error = blob_file_writer_new(store, folder, name, false, NULL, &writer);
    if (error == 0 && store->seal) {
        char prefix[PART_PREFIX_SIZE];
        part_prefix(upload_id, prefix);
        error = blob_file_writer_seal(writer, prefix, name, NULL);
        if (error != 0) {
            blob_file_put_abort(&writer->head);
        }
    }
    if (error == 0) {
        *ret_writer = &writer->head;
    }
    return error;
}

/* Listing parts. */

static int compare_numbers(const void *left, const void *right)
{
    unsigned a = *(const unsigned *)left;
    unsigned b = *(const unsigned *)right;
    return (a > b) - (a < b);
}

/* The numbers above `after`, rising; at most BLOB_PART_NUMBER_MAX. */
static int read_numbers(int folder, unsigned after, unsigned *numbers, unsigned *ret_count)
{
    int copy = blob_file_open_beneath(folder, ".", O_RDONLY | O_DIRECTORY);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (stream == NULL) {
        if (copy >= 0) {
            (void)close(copy);
        }
        return copy < 0 ? copy : ERR_NO_MEMORY;
    }
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        unsigned number = 0;
        if (sscanf(entry->d_name, "%5u.obj", &number) == 1 && number > after &&
            count < BLOB_PART_NUMBER_MAX) {
            numbers[count++] = number;
        }
    }
    (void)closedir(stream);
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    *ret_count = count;
    return 0;
}

/* Opens a part; its descriptor or an error. */
static int open_part(int folder, unsigned number, struct blob_stat *ret_stat)
{
    char name[PART_NAME_SIZE];
    part_name(number, name);
    int fd CLEANUP_CLOSE = blob_file_open_beneath(folder, name, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    int error = blob_trailer_read(fd, ret_stat);
    return error != 0 ? error : TAKE_FD(fd);
}

/* The sum kept with a part is the first of its headers. */
static int read_sum(int fd, const struct blob_stat *stat, char out[BLOB_SUM_MAX])
{
    char headers[BLOB_HEADERS_MAX + 1];
    int error = stat->headers_bytes > 0 ? blob_trailer_headers(fd, stat, headers) : ERR_NOT_FOUND;
    if (error == 0) {
        headers[strcspn(headers, "\n")] = '\0';
        return text_copy(out, BLOB_SUM_MAX, headers) ? 0 : ERR_CORRUPT;
    }
    return error == ERR_NOT_FOUND ? 0 : error;
}

static int visit_part(int folder, unsigned number,
                      int (*visit)(void *argument, const struct blob_part *part), void *argument)
{
    struct blob_stat stat;
    int fd CLEANUP_CLOSE = open_part(folder, number, &stat);
    if (fd < 0) {
        return fd;
    }
    struct blob_part part = {
        .number = number, .bytes = stat.bytes, .modified_ms = stat.modified_ms};
    memcpy(part.etag, stat.etag, sizeof part.etag);
    int error = read_sum(fd, &stat, part.sum);
    return error != 0 ? error : visit(argument, &part);
}

int blob_file_multipart_list(struct blob_store *head, const char *bucket, const char *key,
                             const char *upload_id, unsigned after_number, unsigned limit,
                             int (*visit)(void *argument, const struct blob_part *part),
                             void *argument)
{
    struct description description;
    int folder CLEANUP_CLOSE =
        open_upload(file_store_of(head), bucket, key, upload_id, &description);
    if (folder < 0) {
        return folder;
    }
    unsigned *numbers CLEANUP_FREE = calloc(BLOB_PART_NUMBER_MAX, sizeof *numbers);
    unsigned count = 0;
    int result =
        numbers != NULL ? read_numbers(folder, after_number, numbers, &count) : ERR_NO_MEMORY;
    for (unsigned i = 0; result == 0 && i < count && i < limit; i++) {
        result = visit_part(folder, numbers[i], visit, argument);
    }
    return result;
}

/* Ending an upload. */

/* 0 once the upload is not known any more, for good. */
static int remove_upload(struct file_store *store, const char *upload_id, int folder)
{
    unsigned *numbers CLEANUP_FREE = calloc(BLOB_PART_NUMBER_MAX, sizeof *numbers);
    unsigned count = 0;
    int error = numbers != NULL ? read_numbers(folder, 0, numbers, &count) : ERR_NO_MEMORY;
    if (error != 0) {
        return error;
    }
    /* The description goes first: without it no part joins. */
    if ((unlinkat(folder, description_name, 0) != 0 && errno != ENOENT) || fsync(folder) != 0) {
        return error_from_errno(errno);
    }
    for (unsigned i = 0; i < count; i++) {
        char name[PART_NAME_SIZE];
        part_name(numbers[i], name);
        (void)unlinkat(folder, name, 0);
    }
    char path[UPLOAD_PATH_SIZE];
    upload_path(upload_id, path);
    (void)unlinkat(store->multipart, path, AT_REMOVEDIR);
    return 0;
}

int blob_file_multipart_abort(struct blob_store *head, const char *bucket, const char *key,
                              const char *upload_id)
{
    struct file_store *store = file_store_of(head);
    struct description description;
    int folder CLEANUP_CLOSE = open_upload(store, bucket, key, upload_id, &description);
    if (folder < 0) {
        return folder;
    }
    return remove_upload(store, upload_id, folder);
}

/* The ETag S3 gives: the MD5 of the parts' MD5s, and their number. False: an ETag is no MD5. */
static bool joined_etag(const struct blob_part *parts, unsigned count, char out[BLOB_ETAG_MAX])
{
    struct md5_ctx md5;
    unsigned char digest[MD5_BYTES];
    md5_init(&md5);
    for (unsigned i = 0; i < count; i++) {
        size_t length = 0;
        if (strlen(parts[i].etag) != 2 * MD5_BYTES ||
            sodium_hex2bin(digest, sizeof digest, parts[i].etag, 2 * MD5_BYTES, NULL, &length,
                           NULL) != 0 ||
            length != MD5_BYTES) {
            return false;
        }
        md5_update(&md5, sizeof digest, digest);
    }
    md5_digest(&md5, sizeof digest, digest);
    blob_md5_hex(digest, out);
    (void)snprintf(out + 2 * (size_t)MD5_BYTES, BLOB_ETAG_MAX - 2 * (size_t)MD5_BYTES, "-%u",
                   count);
    return true;
}

/* Inside the kernel where both are plain. */
static int append_bytes(struct file_writer *writer, const char *upload_id, unsigned number, int *fd,
                        const struct blob_stat *stat)
{
    if (writer->seal == NULL && !stat->sealed) {
        return blob_file_writer_splice(writer, *fd, stat->bytes);
    }
    char prefix[PART_PREFIX_SIZE];
    char name[PART_NAME_SIZE];
    struct blob_source source;
    part_prefix(upload_id, prefix);
    part_name(number, name);
    int error = blob_file_source(writer->store, TAKE_FD(*fd), prefix, name, stat, &source, NULL);
    return error != 0 ? error : blob_file_writer_append(writer, &source);
}

/* Keeps how long the parts are, as long as all but the last are alike. */
static void note_length(struct file_writer *writer, unsigned at, uint64_t bytes, bool last)
{
    uint64_t *part_bytes = &writer->stat.part_bytes;
    bool alike = last ? bytes > 0 && bytes <= *part_bytes : bytes == *part_bytes;
    *part_bytes = at == 0 ? bytes : alike ? *part_bytes : 0;
}

static int append_part(struct file_writer *writer, int folder, const char *upload_id,
                       const struct blob_part *parts, unsigned at, unsigned count,
                       struct problem *problem)
{
    const struct blob_part *part = &parts[at];
    bool last = at + 1 == count;
    struct blob_stat stat;
    int fd CLEANUP_CLOSE = open_part(folder, part->number, &stat);
    if (fd == ERR_NOT_FOUND) {
        return problem_set(problem, ERR_PRECONDITION, "part %u was not uploaded", part->number);
    }
    if (fd < 0) {
        return fd;
    }
    if (strcmp(stat.etag, part->etag) != 0) {
        return problem_set(problem, ERR_PRECONDITION, "part %u has the ETag %s, not %s",
                           part->number, stat.etag, part->etag);
    }
    if (!last && stat.bytes < BLOB_PART_BYTES_MIN) {
        return problem_set(problem, ERR_RANGE,
                           "part %u has %llu bytes; all but the last need at least %d",
                           part->number, (unsigned long long)stat.bytes, BLOB_PART_BYTES_MIN);
    }
    note_length(writer, at, stat.bytes, last);
    return append_bytes(writer, upload_id, part->number, &fd, &stat);
}

/* An upload that is being completed. */
struct upload {
    const char *id, *bucket, *key;
    int folder;
    struct description description;
};

static int join_parts(struct blob_store *head, const struct upload *upload,
                      const struct blob_part *parts, unsigned count, const char *etag,
                      const struct blob_condition *condition, struct blob_stat *ret_stat,
                      struct problem *problem)
{
    const struct blob_meta meta = {upload->description.stat.content_type,
                                   upload->description.stat.cache_control,
                                   upload->description.headers};
    struct blob_writer *writer = NULL;
    int error = blob_put_open(head, upload->bucket, upload->key, &meta, &writer);
    if (error != 0) {
        return error;
    }
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = append_part((struct file_writer *)(void *)writer, upload->folder, upload->id, parts,
                            i, count, problem);
    }
    if (error != 0) {
        blob_put_abort(writer);
        return error;
    }
    return blob_file_writer_commit((struct file_writer *)(void *)writer, etag, condition, ret_stat);
}

int blob_file_multipart_complete(struct blob_store *head, const char *bucket, const char *key,
                                 const char *upload_id, const struct blob_part *parts,
                                 unsigned count, const struct blob_condition *condition,
                                 struct blob_stat *ret_stat, struct problem *problem)
{
    struct file_store *store = file_store_of(head);
    char etag[BLOB_ETAG_MAX];
    if (!joined_etag(parts, count, etag)) {
        return problem_set(problem, ERR_PRECONDITION, "an ETag of a part is not one of ours");
    }
    struct upload upload = {.id = upload_id, .bucket = bucket, .key = key};
    int folder CLEANUP_CLOSE = open_upload(store, bucket, key, upload_id, &upload.description);
    if (folder == ERR_NOT_FOUND) {
        struct blob_stat done;
        bool repeated = blob_stat(head, bucket, key, &done) == 0 && strcmp(done.etag, etag) == 0;
        if (repeated && ret_stat != NULL) {
            *ret_stat = done;
        }
        return repeated ? 0 : ERR_NOT_FOUND;
    }
    if (folder < 0) {
        return folder;
    }
    upload.folder = folder;
    int error = join_parts(head, &upload, parts, count, etag, condition, ret_stat, problem);
    if (error == 0) {
        (void)remove_upload(store, upload_id, folder); /* what stays is swept one day */
    }
    return error;
}

/* Walking all uploads. */

struct walk {
    struct file_store *store;
    int (*each)(struct walk *walk, const char *upload_id, int folder);
    int64_t before_ms;  /* of a sweep */
    const char *bucket; /* of a listing */
    int (*visit)(void *argument, const char *key, const char *upload_id, int64_t begun_ms);
    void *argument;
};

static int walk_shelf(struct walk *walk, const char *name)
{
    int fd = blob_file_open_beneath(walk->store->multipart, name, O_RDONLY | O_DIRECTORY);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return fd == ERR_NOT_FOUND ? 0 : fd < 0 ? fd : ERR_NO_MEMORY;
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(stream)) != NULL;) {
        if (strlen(entry->d_name) == 32) {
            int folder CLEANUP_CLOSE =
                blob_file_open_beneath(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY);
            result = folder >= 0 ? walk->each(walk, entry->d_name, folder) : 0;
        }
    }
    (void)closedir(stream);
    return result;
}

static int walk_shelves(struct walk *walk)
{
    int result = 0;
    for (unsigned shelf = 0; result == 0 && shelf < 256; shelf++) {
        char name[8];
        (void)snprintf(name, sizeof name, "%02x", shelf);
        result = walk_shelf(walk, name);
    }
    return result;
}

static int visit_upload(struct walk *walk, const char *upload_id, int folder)
{
    struct description description;
    if (read_description(folder, &description) != 0) {
        return 0; /* ended meanwhile, or never begun to the end */
    }
    size_t length = strlen(walk->bucket);
    bool mine =
        strncmp(description.text, walk->bucket, length) == 0 && description.text[length] == '\n';
    return mine ? walk->visit(walk->argument, description.text + length + 1, upload_id,
                              description.stat.modified_ms)
                : 0;
}

int blob_file_multipart_uploads(struct blob_store *head, const char *bucket,
                                int (*visit)(void *argument, const char *key, const char *upload_id,
                                             int64_t begun_ms),
                                void *argument)
{
    struct file_store *store = file_store_of(head);
    int base CLEANUP_CLOSE = blob_file_open_bucket(store, bucket);
    struct walk walk = {.store = store,
                        .each = visit_upload,
                        .bucket = bucket,
                        .visit = visit,
                        .argument = argument};
    return base >= 0 ? walk_shelves(&walk) : base;
}

/* The uploads of a bucket that goes. Which they are is looked up before, and they go after it: then
 * neither a bucket that stays after all loses one, nor one of the same name that comes next. */

static int collect(void *argument, const char *key, const char *upload_id, int64_t begun_ms)
{
    (void)key;
    (void)begun_ms;
    (void)buffer_add(argument, upload_id);
    return 0;
}

int blob_file_multipart_collect(struct blob_store *head, const char *bucket, struct buffer *ret_ids)
{
    buffer_init(ret_ids, COLLECTED_MAX * (size_t)UPLOAD_ID_LENGTH);
    return blob_file_multipart_uploads(head, bucket, collect, ret_ids);
}

void blob_file_multipart_remove(struct file_store *store, const struct buffer *ids)
{
    for (size_t at = 0; at + UPLOAD_ID_LENGTH <= ids->length; at += UPLOAD_ID_LENGTH) {
        char id[UPLOAD_ID_LENGTH + 1];
        char path[UPLOAD_PATH_SIZE];
        (void)snprintf(id, sizeof id, "%.*s", UPLOAD_ID_LENGTH, ids->data + at);
        upload_path(id, path);
        int folder CLEANUP_CLOSE =
            blob_file_open_beneath(store->multipart, path, O_RDONLY | O_DIRECTORY);
        if (folder >= 0) {
            (void)remove_upload(store, id, folder); /* else a sweep does */
        }
    }
}

/* Sweeping what was begun and left. */

static int sweep_upload(struct walk *walk, const char *upload_id, int folder)
{
    struct stat status;
    /* The folder's time is that of the last part: an upload that still moves is not left. */
    if (fstat(folder, &status) == 0 && (int64_t)status.st_mtim.tv_sec * 1000 < walk->before_ms) {
        (void)remove_upload(walk->store, upload_id, folder); /* else the next time */
    }
    return 0;
}

int blob_file_multipart_sweep(struct blob_store *head, int64_t before_ms)
{
    struct walk walk = {.store = file_store_of(head), .each = sweep_upload, .before_ms = before_ms};
    int error = blob_file_sweep_temporary(walk.store);
    return error != 0 ? error : walk_shelves(&walk);
}
