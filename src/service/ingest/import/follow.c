/* Folders that the role itself follows ([import] folders). Each is gone through when the role
 * starts, when something changed in it (watch.h), every import_poll_s where that can't be
 * heard of, every import_interval_s in any case, and when an admin asks. One that can't be opened,
 * or that another process is at, is tried again soon. A thread of its own, which is only there
 * where such a folder is configured; what others ask of it is under ingest's lock. What goes wrong
 * is told in the log once, until it is well again, and in the list of folders at any time.
 */
#include "service/ingest/import/import.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/ingest/import/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { AGAIN_MS = 10000, FOLDERS_MAX = 64 };

struct followed {
    char *path;
    struct watch watch;
    int64_t next_ms;              /* a look is due then, heard or not */
    bool polled_told;             /* in the log */
    struct import_followed shown; /* under the lock */
};

struct follower {
    struct ingest *ingest;
    pthread_t thread;
    int wake_fd;
    bool now, accept_missing; /* an admin's wish, under the lock */
    struct followed *folders;
    unsigned count;
};

static int tell(void *context, const struct import_progress *progress, const char *path,
                const char *reason)
{
    (void)context;
    (void)progress;
    if (reason != NULL) {
        log_event(LOG_WARNING, "import.trouble", log_text("path", path),
                  log_text("reason", reason));
    }
    return 0;
}

static void tell_end(const struct followed *folder, int error, const char *reason,
                     const struct import_progress *progress)
{
    bool told = strcmp(folder->shown.reason, reason) == 0;
    if (error != 0 && error != ERR_CANCELLED && !told) {
        log_event(LOG_WARNING, "import.failed", log_text("folder", folder->path),
                  log_text("error", error_name(error)), log_text("reason", reason));
    } else if (progress->added + progress->changed + progress->moved + progress->missing > 0) {
        log_event(LOG_INFO, "import.done", log_text("folder", folder->path),
                  log_number("added", progress->added), log_number("changed", progress->changed),
                  log_number("moved", progress->moved), log_number("missing", progress->missing));
    }
}

static void tell_polled(struct followed *folder)
{
    if (folder->watch.by == WATCH_POLLED && !folder->polled_told) {
        log_event(LOG_WARNING, "import.polled", log_text("folder", folder->path),
                  log_text("reason", folder->watch.reason));
        folder->polled_told = true;
    }
}

/* error: how the look ended. */
static void show(struct follower *follower, struct followed *folder, int error, const char *reason)
{
    (void)pthread_mutex_lock(&follower->ingest->lock);
    folder->shown.by = error != 0 && error != ERR_CONFLICT ? "away"
                       : folder->watch.by == WATCH_POLLED  ? "poll"
                                                           : "watch";
    (void)snprintf(folder->shown.reason, sizeof folder->shown.reason, "%s",
                   error != 0 ? reason : folder->watch.reason);
    (void)pthread_mutex_unlock(&follower->ingest->lock);
}

static int64_t wait_ms(const struct follower *follower, const struct followed *folder, int error)
{
    const struct ingest_config *config = &follower->ingest->config;
    int64_t seconds = config->import_interval_s;
    if (folder->watch.by == WATCH_POLLED && config->import_poll_s < seconds) {
        seconds = config->import_poll_s;
    }
    return error != 0 && seconds * 1000 > AGAIN_MS ? AGAIN_MS : seconds * 1000;
}

static void look(struct follower *follower, struct followed *folder, bool accept_missing)
{
    struct problem problem = {0};
    struct import_progress progress = {0};
    const struct import_options options = {.path = folder->path,
                                           .accept_missing = accept_missing,
                                           .tell = tell,
                                           .entered = watch_enter,
                                           .entered_context = &folder->watch};
    watch_begin(&folder->watch);
    int error = ingest_import(follower->ingest, &options, &progress, &problem);
    const char *reason = error == 0                  ? ""
                         : problem.detail[0] != '\0' ? problem.detail
                                                     : error_title(error);
    tell_end(folder, error, reason, &progress);
    tell_polled(folder);
    show(follower, folder, error, reason);
    folder->next_ms = clock_monotonic_ms() + wait_ms(follower, folder, error);
}

/* --- waiting --- */

static int64_t due_ms(const struct followed *folder)
{
    int64_t heard = watch_due_ms(&folder->watch);
    return heard < folder->next_ms ? heard : folder->next_ms;
}

static int timeout_ms(const struct follower *follower)
{
    int64_t soonest = INT64_MAX, now_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < follower->count; i++) {
        int64_t due = due_ms(&follower->folders[i]);
        soonest = due < soonest ? due : soonest;
    }
    return soonest <= now_ms ? 0 : soonest - now_ms > 60000 ? 60000 : (int)(soonest - now_ms);
}

/* Until something is heard, a look is due, or somebody asks. */
static void wait_and_hear(struct follower *follower)
{
    struct pollfd list[1 + FOLDERS_MAX] = {{.fd = follower->wake_fd, .events = POLLIN}};
    uint64_t wakes;
    for (unsigned i = 0; i < follower->count; i++) {
        list[1 + i] = (struct pollfd){.fd = follower->folders[i].watch.inotify, .events = POLLIN};
    }
    (void)poll(list, 1 + follower->count, timeout_ms(follower));
    (void)!read(follower->wake_fd, &wakes, sizeof wakes);
    for (unsigned i = 0; i < follower->count; i++) {
        watch_hear(&follower->folders[i].watch, clock_monotonic_ms());
    }
}

static void *follow_main(void *argument)
{
    struct follower *follower = argument;
    struct ingest *ingest = follower->ingest;
    while (!ingest_is_ending(ingest)) {
        (void)pthread_mutex_lock(&ingest->lock);
        bool now = follower->now, accept_missing = follower->accept_missing;
        follower->now = follower->accept_missing = false;
        (void)pthread_mutex_unlock(&ingest->lock);
        for (unsigned i = 0; i < follower->count && !ingest_is_ending(ingest); i++) {
            struct followed *folder = &follower->folders[i];
            if (now || due_ms(folder) <= clock_monotonic_ms()) {
                look(follower, folder, accept_missing);
            }
        }
        wait_and_hear(follower);
    }
    return NULL;
}

/* --- beginning and end --- */

static int add_folder(struct follower *follower, const char *path, size_t length)
{
    struct followed *folder = &follower->folders[follower->count];
    const char *watch = follower->ingest->config.import_watch;
    *folder = (struct followed){.path = strndup(path, length)};
    watch_init(&folder->watch, watch != NULL && strcmp(watch, "poll") == 0);
    folder->shown = (struct import_followed){.path = folder->path, .by = "waiting", .reason = ""};
    follower->count += folder->path != NULL;
    return folder->path != NULL ? 0 : ERR_NO_MEMORY;
}

/* The next path of a list with commas between; moves *at behind it. 0: there is none. */
static size_t next_path(const char **at, const char **ret_path)
{
    *at += strspn(*at, ", ");
    *ret_path = *at;
    size_t length = strcspn(*at, ",");
    *at += length;
    return length;
}

static size_t without_slashes(const char *path, size_t length)
{
    while (length > 0 && path[length - 1] == '/') {
        length--;
    }
    return length;
}

static bool is_inside(const char *path, size_t length, const char *folder, size_t around)
{
    return length > around + 1 && strncmp(path, folder, around) == 0 && path[around] == '/';
}

/* What lies in a folder that is followed is followed by that. */
static bool is_nested(const char *list, const char *path, size_t length)
{
    const char *other = NULL;
    for (size_t around; (around = next_path(&list, &other)) > 0;) {
        if (is_inside(path, without_slashes(path, length), other, without_slashes(other, around))) {
            return true;
        }
    }
    return false;
}

static int add_folders(struct follower *follower)
{
    const char *list = follower->ingest->import_folders, *path = NULL;
    const char *at = list;
    int error = 0;
    for (size_t length; error == 0 && (length = next_path(&at, &path)) > 0;) {
        if (follower->count == FOLDERS_MAX) {
            log_event(LOG_WARNING, "import.too_many_folders", log_number("most", FOLDERS_MAX));
            return 0;
        }
        if (!is_nested(list, path, length)) {
            error = add_folder(follower, path, length);
        }
    }
    return error;
}

static void free_follower(struct follower *follower)
{
    for (unsigned i = 0; i < follower->count; i++) {
        watch_done(&follower->folders[i].watch);
        free(follower->folders[i].path);
    }
    if (follower->wake_fd >= 0) {
        (void)close(follower->wake_fd);
    }
    free(follower->folders);
    free(follower);
}

int import_follow_start(struct ingest *ingest)
{
    if (ingest->import_folders[0] == '\0') {
        return 0;
    }
    struct follower *follower = calloc(1, sizeof *follower);
    if (follower == NULL) {
        return ERR_NO_MEMORY;
    }
    follower->ingest = ingest;
    follower->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    follower->folders = calloc(FOLDERS_MAX, sizeof *follower->folders);
    int error = follower->wake_fd < 0       ? error_from_errno(errno)
                : follower->folders == NULL ? ERR_NO_MEMORY
                                            : add_folders(follower);
    if (error == 0) {
        error = error_from_errno(pthread_create(&follower->thread, NULL, follow_main, follower));
    }
    if (error != 0) {
        free_follower(follower);
        return error;
    }
    ingest->follower = follower;
    return 0;
}

static void wake(struct follower *follower)
{
    const uint64_t one = 1;
    (void)!write(follower->wake_fd, &one, sizeof one);
}

void import_follow_end(struct ingest *ingest)
{
    struct follower *follower = ingest->follower;
    if (follower != NULL) {
        wake(follower);
        (void)pthread_join(follower->thread, NULL);
        free_follower(follower);
    }
}

bool import_follow_now(struct ingest *ingest, bool accept_missing)
{
    struct follower *follower = ingest->follower;
    if (follower == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&ingest->lock);
    follower->now = true;
    follower->accept_missing = follower->accept_missing || accept_missing;
    (void)pthread_mutex_unlock(&ingest->lock);
    wake(follower);
    return true;
}

bool import_follow_get(struct ingest *ingest, unsigned at, struct import_followed *ret_one)
{
    struct follower *follower = ingest->follower;
    if (follower == NULL || at >= follower->count) {
        return false;
    }
    (void)pthread_mutex_lock(&ingest->lock);
    *ret_one = follower->folders[at].shown;
    (void)pthread_mutex_unlock(&ingest->lock);
    return true;
}
