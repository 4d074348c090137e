/* Copying of the file engine: one more name for the same file where the file system has links (a
 * file is never changed in place: blob_file.h, invariant 2), else its extents, else its bytes. A
 * sealed object is bound to its place, so its copy is a file of its own with a trailer of its own.
 * Any thread.
 */
#include "backend/blob/blob_file.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The temporary file becomes one more name of the same file (invariant 2). The lock is shared:
 * other copies of the source may run beside this one. */
static int link_source(struct file_writer *writer, int source)
{
    char from[32];
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", source);
    if (flock(source, LOCK_SH | LOCK_NB) != 0 ||
        unlinkat(writer->store->temporary, writer->temporary, 0) != 0 ||
        linkat(AT_FDCWD, from, writer->store->temporary, writer->temporary, AT_SYMLINK_FOLLOW) !=
            0) {
        return error_from_errno(errno);
    }
    /* A copy is as old as the moment it is made (the source's time moves along, they are one file):
     * who collects what is old and unnamed must not take it before it is named. */
    (void)futimens(source, NULL);
    return 0;
}

/* The object copied from, and what must hold of the place it goes to. */
struct source {
    const struct blob_condition *condition;
    struct blob_source file;
    struct blob_stat stat;
    unsigned char secret[BLOB_SECRET_BYTES]; /* of a sealed one */
};

/* The file as it stands: its extents, else its bytes. What follows them is cut off with the new
 * trailer. */
static int copy_stored(struct file_writer *writer, const struct source *source)
{
    int error = 0;
    if (ioctl(writer->fd, FICLONE, source->file.fd) != 0) {
        error = blob_file_writer_splice(writer, source->file.fd, blob_stored_bytes(&source->stat));
    }
    writer->stat.bytes = source->stat.bytes;
    return error;
}

/* What was sealed stays so, with its chunks as they are and its secret bound to the new place; what
 * was written plain is sealed where the store seals. */
static int copy_bytes(struct file_writer *writer, const char *prefix, struct source *source)
{
    if (source->stat.sealed) {
        int error = blob_file_writer_seal(writer, prefix, writer->path, source->secret);
        return error != 0 ? error : copy_stored(writer, source);
    }
    return writer->seal != NULL ? blob_file_writer_append(writer, &source->file)
                                : copy_stored(writer, source);
}

static int copy_described(struct file_store *store, const char *bucket, const char *key,
                          struct source *source, const struct blob_meta *meta)
{
    struct blob_writer *opened = NULL;
    char prefix[BLOB_BUCKET_MAX + 4];
    char etag[BLOB_ETAG_MAX];
    int error = blob_file_put_open(&store->head, bucket, key, meta, &opened);
    if (error != 0) {
        return error;
    }
    struct file_writer *writer = (struct file_writer *)(void *)opened;
    (void)snprintf(prefix, sizeof prefix, BLOB_PREFIX_OBJECT "%s/", bucket);
    memcpy(etag, source->stat.etag, sizeof etag);
    writer->stat.part_bytes = source->stat.part_bytes;
    writer->error = copy_bytes(writer, prefix, source);
    return blob_file_writer_commit(writer, etag, source->condition, &source->stat);
}

/* By its bytes, with the description it has. */
static int copy_alike(struct file_store *store, const char *bucket, const char *key,
                      struct source *source)
{
    char headers[BLOB_HEADERS_MAX + 1];
    const struct blob_stat stat = source->stat; /* the texts outlive the copy's own */
    const struct blob_meta meta = {stat.content_type, stat.cache_control, headers};
    int error = blob_trailer_headers(source->file.fd, &stat, headers);
    return error != 0 ? error : copy_described(store, bucket, key, source, &meta);
}

/* One more name for a plain object. ERR_UNSUPPORTED: the file system has no links, or the file is
 * locked. */
static int copy_link(struct file_store *store, const char *bucket, const char *key,
                     struct source *source)
{
    struct blob_writer *opened = NULL;
    int error = blob_file_put_open(&store->head, bucket, key, NULL, &opened);
    if (error != 0) {
        return error;
    }
    struct file_writer *writer = (struct file_writer *)(void *)opened;
    if (link_source(writer, source->file.fd) != 0) {
        blob_file_put_abort(opened);
        return ERR_UNSUPPORTED;
    }
    error = blob_file_writer_publish(writer, source->condition);
    error = error != 0 ? error : blob_trailer_read(source->file.fd, &source->stat);
    /* rename does nothing where both names are the same file already: drop ours */
    (void)unlinkat(store->temporary, writer->temporary, 0);
    blob_file_writer_free(writer);
    return error;
}

int blob_file_copy(struct blob_store *head, const char *bucket, const char *key, const char *etag,
                   const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                   const struct blob_condition *condition, struct blob_stat *ret_stat)
{
    struct file_store *store = file_store_of(head);
    struct source source = {.condition = condition, .file.fd = -1};
    int error =
        blob_file_open_secret(store, bucket, key, &source.file, &source.stat, source.secret);
    if (error != 0) {
        return error;
    }
    if (etag != NULL && strcmp(etag, source.stat.etag) != 0) {
        error = ERR_PRECONDITION;
    } else if (meta != NULL) {
        error = copy_described(store, to_bucket, to_key, &source, meta);
    } else {
        bool linkable = !source.stat.sealed && !store->seal;
        error = linkable ? copy_link(store, to_bucket, to_key, &source) : ERR_UNSUPPORTED;
        error = error == ERR_UNSUPPORTED ? copy_alike(store, to_bucket, to_key, &source) : error;
    }
    if (error == 0 && ret_stat != NULL) {
        *ret_stat = source.stat;
    }
    blob_source_close(&source.file);
    sodium_memzero(source.secret, sizeof source.secret);
    return error;
}
