/* Watches of folders (watch.h). Each folder that a look enters is watched before it is
 * listed, so that nothing is missed between. Watches go with their folders; only of one that was
 * moved away they stay, so then all are made anew. */
#include "service/ingest/import/watch.h"

#include "base/mem.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What makes a look worth it. Reading a file is none of these, so no look calls for the next. */
static const uint32_t HEARD = IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
                              IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |
                              IN_EXCL_UNLINK;

bool watch_is_deaf(int64_t file_system)
{
    /* statfs(2): NFS, SMB, CIFS, SMB2, FUSE, 9P, CEPH, AFS, CODA, GFS2, OCFS2, LUSTRE, VBOXSF */
    static const int64_t deaf[] = {0x6969,     0x517b,     0xff534d42, 0xfe534d42, 0x65735546,
                                   0x01021997, 0x00c36400, 0x5346414f, 0x73757245, 0x01161970,
                                   0x7461636f, 0x0bd00bd0, 0x786f4256};
    for (unsigned i = 0; i < COUNT_OF(deaf); i++) {
        if ((int64_t)(uint32_t)file_system == deaf[i]) {
            return true;
        }
    }
    return false;
}

static void stop(struct watch *watch)
{
    if (watch->inotify >= 0) {
        (void)close(watch->inotify); /* with all its watches */
    }
    watch->inotify = -1;
}

static void poll_instead(struct watch *watch, const char *reason)
{
    stop(watch);
    watch->by = WATCH_POLLED;
    watch->reason = reason;
}

void watch_init(struct watch *watch, bool polled)
{
    *watch = (struct watch){.by = WATCH_NONE, .reason = "", .inotify = -1};
    if (polled) {
        poll_instead(watch, "import.watch is poll.");
    }
}

void watch_done(struct watch *watch)
{
    stop(watch);
}

void watch_begin(struct watch *watch)
{
    watch_hear(watch, 0); /* this look sees it */
    watch->changed = false;
    if (watch->by == WATCH_POLLED) {
        return;
    }
    if (watch->renew) {
        stop(watch);
        watch->renew = false;
    }
    if (watch->inotify < 0) {
        watch->by = WATCH_TOLD;
        watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    }
    if (watch->inotify < 0) {
        poll_instead(watch, "The system has no further inotify to give "
                            "(fs.inotify.max_user_instances).");
    }
}

void watch_enter(void *context, int folder_fd)
{
    struct watch *watch = context;
    struct statfs status;
    char path[40];
    if (watch->by != WATCH_TOLD) {
        return;
    }
    if (fstatfs(folder_fd, &status) == 0 && watch_is_deaf(status.f_type)) {
        poll_instead(watch, "It is on a file system that other machines may change.");
        return;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", folder_fd);
    if (inotify_add_watch(watch->inotify, path, HEARD) < 0 && errno != ENOENT) {
        poll_instead(watch, errno == ENOSPC ? "There are more folders than the system watches "
                                              "(fs.inotify.max_user_watches)."
                                            : "The system can't watch it.");
    }
}

static void take(struct watch *watch, const struct inotify_event *event)
{
    const uint32_t moved_folder = IN_MOVED_FROM | IN_ISDIR;
    if ((event->mask & IN_IGNORED) != 0 && (event->mask & IN_UNMOUNT) == 0) {
        return; /* the watch of a folder that went, which its own folder told of */
    }
    watch->changed = true;
    watch->renew = watch->renew || (event->mask & moved_folder) == moved_folder ||
                   (event->mask & (IN_MOVE_SELF | IN_Q_OVERFLOW)) != 0;
}

void watch_hear(struct watch *watch, int64_t now_ms)
{
    _Alignas(struct inotify_event) char buffer[16 * 1024];
    bool had = watch->changed, any = false;
    ssize_t got;
    while (watch->inotify >= 0 && (got = read(watch->inotify, buffer, sizeof buffer)) > 0) {
        for (size_t at = 0; at + sizeof(struct inotify_event) <= (size_t)got;) {
            const struct inotify_event *event = (const void *)(buffer + at);
            take(watch, event);
            any = true;
            at += sizeof *event + event->len;
        }
    }
    if (any && watch->changed) {
        watch->first_ms = had ? watch->first_ms : now_ms;
        watch->last_ms = now_ms;
    }
}

int64_t watch_due_ms(const struct watch *watch)
{
    if (!watch->changed) {
        return INT64_MAX;
    }
    int64_t quiet = watch->last_ms + WATCH_QUIET_MS, patience = watch->first_ms + WATCH_PATIENCE_MS;
    return quiet < patience ? quiet : patience;
}
