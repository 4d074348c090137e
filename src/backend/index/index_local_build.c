/* Building the local engine's file: a segment a kind behind one head, beside the old file, on disk
 * before it takes the old one's name. One thread. */
#include "backend/index/index_local.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITE_BUFFER = 1 << 20 };

struct local_build {
    struct index_build head;
    int64_t place;
    struct segment_build *segments[INDEX_KINDS_];
};

static struct local_build *local_build_of(struct index_build *build)
{
    return (struct local_build *)(void *)build;
}

void local_build_free(struct index_build *build)
{
    struct local_build *made = local_build_of(build);
    for (unsigned kind = 0; kind < INDEX_KINDS_; kind++) {
        segment_build_free(made->segments[kind]);
    }
    free(made);
}

int local_build_begin(struct index *index, int64_t place, struct index_build **ret_build)
{
    (void)index;
    struct local_build *build = calloc(1, sizeof *build);
    bool made = build != NULL;
    for (unsigned kind = 0; made && kind < INDEX_KINDS_; kind++) {
        build->segments[kind] = segment_build_new();
        made = build->segments[kind] != NULL;
    }
    if (!made && build != NULL) {
        local_build_free(&build->head);
    }
    if (!made) {
        return ERR_NO_MEMORY;
    }
    build->place = place;
    *ret_build = &build->head;
    return 0;
}

int local_build_add(struct index_build *build, const struct index_doc *doc)
{
    return segment_build_add(local_build_of(build)->segments[doc->kind], doc);
}

static int write_segments(struct local_build *build, FILE *out)
{
    struct index_head head = {
        .magic = INDEX_MAGIC, .place = build->place, .built_ms = clock_wall_ms()};
    static const char room[(sizeof head + SEGMENT_ALIGN - 1) / SEGMENT_ALIGN * SEGMENT_ALIGN];
    int error = fwrite(room, 1, sizeof room, out) == sizeof room ? 0 : ERR_IO;
    for (unsigned kind = 0; error == 0 && kind < INDEX_KINDS_; kind++) {
        head.segment_at[kind] = (uint64_t)ftello(out);
        error = segment_build_write(build->segments[kind], out);
        head.segment_bytes[kind] = (uint64_t)ftello(out) - head.segment_at[kind];
        segment_build_free(build->segments[kind]); /* its memory is the next one's */
        build->segments[kind] = NULL;
    }
    if (error == 0 && (fseeko(out, 0, SEEK_SET) != 0 || fwrite(&head, sizeof head, 1, out) != 1 ||
                       fflush(out) != 0)) {
        error = ERR_IO;
    }
    return error == 0 && fsync(fileno(out)) != 0 ? error_from_errno(errno) : error;
}

/* The file's name is on disk, too. */
static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        (void)snprintf(folder, sizeof folder, ".");
    } else {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    int fd CLEANUP_CLOSE = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) != 0 ? error_from_errno(errno) : 0;
}

/* For its owner alone: it names what is not published, too. */
static int write_file(struct local_build *build, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (out == NULL) {
        int error = error_from_errno(errno);
        (void)(fd >= 0 && close(fd));
        return error;
    }
    char *buffer CLEANUP_FREE = malloc(WRITE_BUFFER);
    if (buffer != NULL) {
        (void)setvbuf(out, buffer, _IOFBF, WRITE_BUFFER);
    }
    errno = 0;
    int error = write_segments(build, out);
    if (error == ERR_IO && errno != 0) {
        error = error_from_errno(errno);
    }
    /* cppcheck-suppress memleak ; the buffer is freed after this, when it is left */
    return fclose(out) != 0 && error == 0 ? ERR_IO : error;
}

/* Mapped before it has its name, which another process may give to a file of its own at any time:
 * the index goes on from the place of what was built here. */
int local_build_end(struct index_build *build, struct problem *problem)
{
    struct local *local = local_of(build->index);
    struct base base = {.head = NULL};
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s.%d", local->path, (int)getpid());
    int error = write_file(local_build_of(build), path);
    error = error != 0 ? error : base_open(path, &base);
    if (error == 0 && rename(path, local->path) != 0) {
        error = error_from_errno(errno);
    }
    error = error != 0 ? error : sync_folder(local->path);
    if (error != 0) {
        base_close(&base);
        (void)unlink(path);
        return problem_set(problem, error, "%s can't be made", local->path);
    }
    return local_swap(local, &base);
}
