/* Whether something changed in a folder and all that is in it, asked of the system (inotify) or,
 * where that can't tell, by looking again now and then. A watch says that, never what: a whole look
 * costs a stat a file, and can't be out of step with what it did not hear.
 *
 *   WATCH_NONE ──a look enters every folder──▶ WATCH_TOLD ──a limit, a network's file system──▶
 * WATCH_POLLED ▲                                          │ │ └───── a folder was moved away,
 * renewed ───┘◀────────────── never by itself ───────────────┘
 *
 * Not thread-safe; of the thread that follows folders. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    WATCH_QUIET_MS = 2000,     /* nothing more is heard for so long: a copy ended */
    WATCH_PATIENCE_MS = 30000, /* but what never is quiet is looked at after so long */
};

enum watch_by { WATCH_NONE, WATCH_TOLD, WATCH_POLLED };

struct watch {
    enum watch_by by;
    const char *reason; /* why it is polled; static */
    int inotify;        /* -1: none */
    bool changed, renew;
    int64_t first_ms, last_ms; /* of what was heard since the last look */
};

/* polled: never by inotify. */
void watch_init(struct watch *watch, bool polled);
void watch_done(struct watch *watch);
/* A look begins: what was heard is forgotten. */
void watch_begin(struct watch *watch);
/* The look is about to list a folder (ingest.h: import_options.entered; context: the watch). */
void watch_enter(void *context, int folder_fd);
/* Reads what there is to hear, without waiting. */
void watch_hear(struct watch *watch, int64_t now_ms);
/* When a look is due for what was heard; INT64_MAX: for nothing. */
int64_t watch_due_ms(const struct watch *watch);
/* Whether other machines may change files of a file system (statfs's f_type) unheard. */
bool watch_is_deaf(int64_t file_system);
