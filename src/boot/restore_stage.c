/* Staging (restore.h): what an archive holds, written beside its place, and removed again. */
#include "boot/restore.h"

#include "base/error.h"
#include "base/mem.h"
#include "boot/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 256 * 1024 };

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        bytes += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int copy_out(struct restore *restore, struct archive_reader *reader,
                    const struct archive_entry *entry, int fd, const char *path)
{
    char *bytes CLEANUP_FREE = malloc(COPY_BYTES);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = 0;
    for (uint64_t left = entry->bytes; error == 0 && left > 0;) {
        size_t length = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        error = archive_read(reader, bytes, length, &restore->problem);
        int cause = error == 0 ? write_all(fd, bytes, length) : 0;
        error = cause != 0 ? restore_trouble(restore, path, cause) : error;
        left -= length;
        restore->read_bytes += length;
        progress_show(&restore->progress, (int64_t)restore->read_bytes,
                      (int64_t)restore->about.bytes);
    }
    sodium_memzero(bytes, COPY_BYTES);
    return error == 0 && fsync(fd) != 0 ? restore_trouble(restore, path, errno) : error;
}

static int extract(struct restore *restore, struct archive_reader *reader,
                   const struct archive_entry *entry, const char *path)
{
    (void)unlink(path);
    int fd CLEANUP_CLOSE = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd >= 0 ? copy_out(restore, reader, entry, fd, path)
                   : restore_trouble(restore, path, errno);
}

/* Reads an entry and forgets it. */
static int skip(struct restore *restore, struct archive_reader *reader,
                const struct archive_entry *entry)
{
    char bytes[4096];
    int error = 0;
    for (uint64_t left = entry->bytes; error == 0 && left > 0;) {
        size_t length = left < sizeof bytes ? (size_t)left : sizeof bytes;
        error = archive_read(reader, bytes, length, &restore->problem);
        left -= length;
    }
    sodium_memzero(bytes, sizeof bytes);
    return error;
}

static int extract_key(struct restore *restore, struct archive_reader *reader,
                       const struct archive_entry *entry)
{
    const char *name = entry->name + strlen("keys/");
    char path[PATH_MAX];
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL ||
        (size_t)snprintf(path, sizeof path, "%s" RESTORE_STAGED "/%s", restore->place.keys, name) >=
            sizeof path) {
        return problem_set(&restore->problem, ERR_CORRUPT, "%s names a key \"%s\"", restore->path,
                           name);
    }
    return extract(restore, reader, entry, path);
}

static int extract_entry(struct restore *restore, struct archive_reader *reader,
                         const struct archive_entry *entry)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        const struct place_file *file = &restore->place.databases[i];
        size_t length = strlen(file->name);
        if (strncmp(entry->name, file->name, length) == 0 &&
            strcmp(entry->name + length, ".db") == 0 && restore_staged(restore->files[i], path)) {
            restore->has_database[i] = true;
            return extract(restore, reader, entry, path);
        }
    }
    if (strncmp(entry->name, "keys/", 5) == 0) {
        return extract_key(restore, reader, entry);
    }
    if (strcmp(entry->name, "tutti.conf") == 0 && restore_staged(restore->configuration, path)) {
        restore->has_configuration = true;
        return extract(restore, reader, entry, path);
    }
    if (strcmp(entry->name, "environment") == 0 && restore_staged(restore->environment, path)) {
        restore->has_environment = true;
        return extract(restore, reader, entry, path);
    }
    return skip(restore, reader, entry); /* about.json, and what later versions add */
}

static void remove_staged_keys(const struct restore *restore)
{
    char path[PATH_MAX];
    int fd CLEANUP_CLOSE = restore_staged(restore->place.keys, path)
                               ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                               : -1;
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder != NULL) {
        (void)TAKE_FD(fd);
    }
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder != NULL) {
        (void)closedir(folder);
        (void)rmdir(path);
    } else {
        (void)unlink(path); /* a link, which is not gone into */
    }
}

void restore_remove_staged_file(const char *file)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", "-peers"};
    char path[PATH_MAX];
    for (unsigned i = 0; i < COUNT_OF(suffixes); i++) {
        if ((size_t)snprintf(path, sizeof path, "%s" RESTORE_STAGED "%s", file, suffixes[i]) <
            sizeof path) {
            (void)unlink(path);
        }
    }
}

void restore_remove_staged(const struct restore *restore)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        restore_remove_staged_file(restore->files[i]);
    }
    const char *const texts[] = {restore->configuration, restore->environment};
    for (unsigned i = 0; i < COUNT_OF(texts); i++) {
        if (restore_staged(texts[i], path)) {
            (void)unlink(path);
        }
    }
    remove_staged_keys(restore);
}

int restore_stage(struct restore *restore)
{
    restore_remove_staged(restore);
    char keys[PATH_MAX];
    if (!restore_staged(restore->place.keys, keys) || mkdir(keys, 0700) != 0) {
        return restore_trouble(restore, restore->place.keys, errno);
    }
    struct archive_reader *reader = NULL;
    int error = archive_read_open(restore->path, restore->secret, &reader, &restore->problem);
    if (error != 0) {
        return error;
    }
    progress_begin(&restore->progress, "unsealing");
    struct archive_entry entry;
    int next = 0;
    while (error == 0 && (next = archive_read_next(reader, &entry, &restore->problem)) > 0) {
        error = extract_entry(restore, reader, &entry);
    }
    archive_read_close(reader);
    error = error != 0 ? error : next;
    if (error == 0) {
        char bytes[PROGRESS_BYTES_SIZE];
        progress_end(&restore->progress, "%s", progress_bytes(restore->read_bytes, bytes));
    }
    return error;
}
