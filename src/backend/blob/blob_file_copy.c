/* Copying of the file engine: one more name for the same file where the file system has links (a
 * file is never changed in place: blob_file.h, invariant 2), else its extents, else its bytes. Any
 * thread.
 */
#include "backend/blob/blob_file.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
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

static int copy_bytes(struct file_writer *writer, int source, const struct blob_stat *stat)
{
    if (ioctl(writer->fd, FICLONE, source) == 0) {
        writer->stat.bytes = stat->bytes;
        return 0;
    }
    return blob_file_writer_splice(writer, source, stat->bytes);
}

static const struct blob_condition no_condition;

/* By its bytes, described by meta. The writer is given up for another. */
static int copy_described(struct file_writer *writer, int source, const struct blob_meta *meta,
                          struct blob_stat *stat)
{
    struct file_writer *fresh = NULL;
    int base = writer->base;
    writer->base = -1;
    int error = blob_file_writer_new(writer->store, base, writer->path, true, meta, &fresh);
    blob_file_put_abort(&writer->head);
    if (error != 0) {
        return error;
    }
    fresh->error = copy_bytes(fresh, source, stat);
    return blob_file_writer_commit(fresh, stat->etag, &no_condition, stat);
}

/* By link where the file system has links, else by its bytes. Frees the writer. */
static int copy_into(struct file_writer *writer, int source, struct blob_stat *stat)
{
    if (link_source(writer, source) == 0) {
        int error = blob_file_writer_publish(writer, &no_condition);
        error = error != 0 ? error : blob_trailer_read(source, stat);
        /* rename does nothing where both names are the same file already: drop ours */
        (void)unlinkat(writer->store->temporary, writer->temporary, 0);
        blob_file_writer_free(writer);
        return error;
    }
    char headers[BLOB_HEADERS_MAX + 1];
    const struct blob_meta meta = {stat->content_type, stat->cache_control, headers};
    int error = blob_trailer_headers(source, stat, headers);
    if (error != 0) {
        blob_file_put_abort(&writer->head);
        return error;
    }
    return copy_described(writer, source, &meta, stat);
}

int blob_file_copy(struct blob_store *head, const char *bucket, const char *key, const char *etag,
                   const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                   struct blob_stat *ret_stat)
{
    int source CLEANUP_CLOSE = -1;
    struct blob_stat stat;
    int error = blob_file_open_fd(head, bucket, key, &source, &stat);
    if (error != 0) {
        return error;
    }
    if (etag != NULL && strcmp(etag, stat.etag) != 0) {
        return ERR_PRECONDITION;
    }
    struct blob_writer *opened = NULL;
    error = blob_file_put_open(head, to_bucket, to_key, NULL, &opened);
    if (error != 0) {
        return error;
    }
    struct file_writer *writer = (struct file_writer *)(void *)opened;
    error = meta != NULL ? copy_described(writer, source, meta, &stat)
                         : copy_into(writer, source, &stat);
    if (error == 0 && ret_stat != NULL) {
        *ret_stat = stat;
    }
    return error;
}
