/* `tutti import DIR…` (command_import.h): on a terminal a line that is redrawn, elsewhere a line
 * now and then; a broken file is told at once. With --json every line is an object. SIGINT and
 * SIGTERM end it after the folder it is at; what is done stays done. Main thread. */
#include "boot/command_import.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/command.h"
#include "boot/platform.h"
#include "service/ingest/ingest.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_EVERY_MS = 5000, FOLDER_CELLS = 40 };

#define CLEAR_LINE "\r\033[K"

static volatile sig_atomic_t stopped;

struct screen {
    bool json, terminal, accept_missing;
    int64_t told_ms;
};

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static json_t *counts_json(const struct import_progress *progress)
{
    return json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "folders", (json_int_t)progress->folders, "files",
        (json_int_t)progress->files, "unchanged", (json_int_t)progress->unchanged, "added",
        (json_int_t)progress->added, "changed", (json_int_t)progress->changed, "moved",
        (json_int_t)progress->moved, "missing", (json_int_t)progress->missing, "broken",
        (json_int_t)progress->broken, "playlists", (json_int_t)progress->playlists);
}

/* One object a line, on standard output. */
static void put_json(const char *event, json_t *object)
{
    if (object != NULL && json_object_set_new(object, "event", json_string(event)) == 0) {
        (void)json_dumpf(object, stdout, JSON_COMPACT);
        (void)fputc('\n', stdout);
        (void)fflush(stdout);
    }
    json_decref(object);
}

static void tell_trouble(const struct screen *screen, const char *path, const char *reason)
{
    if (screen->json) {
        put_json("trouble", json_pack("{s:s,s:s}", "path", path, "reason", reason));
        return;
    }
    (void)fprintf(stderr, "%s%s: %s\n", screen->terminal ? CLEAR_LINE : "", path, reason);
}

/* So many bytes of it, and no half of a character. */
static int cells(const char *text)
{
    size_t length = strnlen(text, FOLDER_CELLS + 1);
    length = length > FOLDER_CELLS ? FOLDER_CELLS : length;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) {
        length--;
    }
    return (int)length;
}

static void tell_progress(struct screen *screen, const struct import_progress *progress)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!screen->terminal && now_ms - screen->told_ms < LINE_EVERY_MS) {
        return;
    }
    screen->told_ms = now_ms;
    if (screen->json) {
        put_json("progress", counts_json(progress));
    } else if (screen->terminal) {
        (void)fprintf(stderr, CLEAR_LINE "%" PRId64 " files, %" PRId64 " new  %.*s",
                      progress->files, progress->added, cells(progress->folder), progress->folder);
        (void)fflush(stderr);
    } else {
        (void)fprintf(stderr, "%" PRId64 " files, %" PRId64 " new\n", progress->files,
                      progress->added);
    }
}

static int tell(void *context, const struct import_progress *progress, const char *path,
                const char *reason)
{
    struct screen *screen = context;
    if (reason != NULL) {
        tell_trouble(screen, path, reason);
    } else {
        tell_progress(screen, progress);
    }
    return stopped ? ERR_CANCELLED : 0;
}

static void tell_end(const struct screen *screen, const char *path,
                     const struct import_progress *progress)
{
    if (screen->json) {
        json_t *object = counts_json(progress);
        (void)json_object_set_new(object, "path", json_string(path));
        put_json("done", object);
        return;
    }
    (void)fputs(screen->terminal ? CLEAR_LINE : "", stderr);
    (void)printf("%s: %" PRId64 " file%s: %" PRId64 " new, %" PRId64 " changed, %" PRId64
                 " moved, %" PRId64 " missing, %" PRId64 " broken, %" PRId64 " as they were",
                 path, progress->files, progress->files == 1 ? "" : "s", progress->added,
                 progress->changed, progress->moved, progress->missing, progress->broken,
                 progress->unchanged);
    if (progress->playlists > 0) {
        (void)printf("; %" PRId64 " playlist%s", progress->playlists,
                     progress->playlists == 1 ? "" : "s");
    }
    (void)putchar('\n');
}

static int import_one(struct platform *platform, struct screen *screen, const char *path)
{
    struct problem problem = {0};
    struct import_progress progress = {0};
    const struct import_options options = {
        .path = path, .tell = tell, .context = screen, .accept_missing = screen->accept_missing};
    screen->told_ms = clock_monotonic_ms();
    int error = platform_import(platform, &options, &progress, &problem);
    if (error == ERR_CANCELLED) {
        (void)fprintf(stderr,
                      "%stutti: stopped; what was brought in stays, run it again to go on\n",
                      screen->terminal ? CLEAR_LINE : "");
        return EXIT_WRONG;
    }
    if (error != 0) {
        return command_complain(&problem, error);
    }
    tell_end(screen, path, &progress);
    return EXIT_DONE;
}

int command_import(const struct command_line *line)
{
    struct problem problem = {0};
    struct platform *platform = NULL;
    struct screen screen = {.json = line->options[OPTION_JSON] != NULL,
                            .terminal = isatty(STDERR_FILENO) != 0,
                            .accept_missing = line->options[OPTION_ACCEPT_MISSING] != NULL};
    const struct sigaction action = {.sa_handler = stop};
    screen.terminal = screen.terminal && !screen.json;
    int error = platform_open(line->config, 0, &platform, &problem);
    if (error != 0) {
        return command_complain(&problem, error);
    }
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    int status = EXIT_DONE;
    for (unsigned i = 1; i < line->word_count && !stopped; i++) {
        int one = import_one(platform, &screen, line->words[i]);
        status = one != EXIT_DONE ? one : status;
    }
    platform_close(platform);
    return stopped ? EXIT_WRONG : status;
}
