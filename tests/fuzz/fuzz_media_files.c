/* What tutti-media says of files that are not transcoded: of a batch of an import's ("i" and the
 * answer), and a sound's print ("p" and the answer). It reads what strangers made, so whatever it
 * says, each file of the batch has tags or a code with words, and none is passed over; a print has
 * the words that it may have, and what is kept and compared of it is of its size.
 *
 * Covers: src/service/ingest/import/read.c src/service/ingest/prints/print.c */
#include "base/error.h"
#include "fuzz_folder.h"
#include "service/transcode/child.h"

#include <sys/mman.h>

/* What takes an answer is a part of these files, and has no header of its own. */
static int fuzz_child_run(struct child *child, const struct child_job *job, json_t **ret_answer,
                          struct child_failure *failure);
#define child_run fuzz_child_run
#include "service/ingest/import/read.c" /* NOLINT(bugprone-suspicious-include) */
#define tick(context)  prints_tick(context)
#define run_child      prints_run_child
#define CPU_S_MAX      PRINTS_CPU_S_MAX
#define SILENCE_MS_MAX PRINTS_SILENCE_MS_MAX
#define WALL_MS_MAX    PRINTS_WALL_MS_MAX
#include "service/ingest/prints/printing.c" /* NOLINT(bugprone-suspicious-include) */

enum { FILES = 3 };

static struct {
    const char *text;
    size_t length;
    unsigned asked;
} said;

/* The answer; nonsense is what ended the process. */
static int fuzz_child_run(struct child *child, const struct child_job *job, json_t **ret_answer,
                          struct child_failure *failure)
{
    (void)child;
    FUZZ_CHECK(job->fd_count <= FILES && said.asked++ < 4 * FILES);
    json_t *answer = json_loadb(said.text, said.length, 0, NULL);
    if (!json_is_object(answer)) {
        json_decref(answer);
        (void)snprintf(failure->reason, sizeof failure->reason, "It ended.");
        return ERR_INVALID;
    }
    *ret_answer = answer;
    return 0;
}

static void make_files(struct import_folder *folder, struct import_file files[FILES])
{
    for (unsigned i = 0; i < FILES; i++) {
        char name[16];
        struct stat status;
        (void)snprintf(name, sizeof name, "%u", i);
        files[i] = (struct import_file){.name = arena_strdup(folder->arena, name), .bytes = 1};
        int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        FUZZ_CHECK(fd >= 0 && ftruncate(fd, 1) == 0 && fstat(fd, &status) == 0 && close(fd) == 0);
        files[i].mtime_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    }
    folder->files = files;
    folder->count = FILES;
}

static void check_file(const struct import_file *file)
{
    if (file->code != NULL) {
        FUZZ_CHECK(file->code[0] != '\0' && strlen(file->code) <= 32);
        FUZZ_CHECK(file->reason != NULL && file->reason[0] != '\0');
    } else {
        FUZZ_CHECK(file->answer != NULL && file->hash != NULL && file->hash[0] != '\0');
    }
}

static void try_import(void)
{
    struct import_file files[FILES];
    struct import_run run = {.ingest = NULL};
    struct import_folder folder = {.arena = arena_new(0), .fd = open(fuzz_folder, O_PATH)};
    FUZZ_CHECK(folder.arena != NULL && folder.fd >= 0);
    make_files(&folder, files);
    FUZZ_CHECK(import_read(&run, &folder) == 0);
    for (unsigned i = 0; i < FILES; i++) {
        check_file(&files[i]);
    }
    int64_t bytes = 0;
    int picture = memfd_create("picture", MFD_CLOEXEC);
    FUZZ_CHECK(picture >= 0 && import_read_picture(&run, picture, picture, &bytes) == 0);
    FUZZ_CHECK(bytes >= 0 && close(picture) == 0);
    FUZZ_CHECK(close(folder.fd) == 0);
    arena_free(folder.arena);
}

static void try_print(void)
{
    static struct printing printing;
    const struct print_wanted wanted = {.key = "m/1/1/a.flac"};
    const struct blob_source source = {.fd = 0, .bytes = 1};
    uint32_t kept[PRINT_KEPT_MAX];
    (void)prints_tick; /* of a child, which is not run here */
    printing.wanted = &wanted;
    printing.print.count = 0;
    FUZZ_CHECK(prints_run_child(&printing, &source) == 0);
    bool done = strcmp(printing.state, "done") == 0;
    FUZZ_CHECK(printing.print.count <= PRINT_WORDS_MAX && (done || printing.print.count == 0));
    unsigned count = print_sketch(&printing.print, printing.sketch);
    FUZZ_CHECK(count == 0 || count == PRINT_SKETCH);
    for (unsigned i = 1; i < count; i++) {
        FUZZ_CHECK(printing.sketch[i - 1] != printing.sketch[i]);
    }
    unsigned kept_count = print_keep(&printing.print, kept);
    FUZZ_CHECK(kept_count <= PRINT_KEPT_MAX);
    double distance = print_distance(&printing.print, kept, kept_count);
    FUZZ_CHECK(distance >= 0 && distance <= 1);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    fuzz_folder_make();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *text = fuzz_text(data + 1, size - 1);
    said.text = text;
    said.length = size - 1;
    said.asked = 0;
    if (data[0] == 'p') {
        try_print();
    } else {
        try_import();
    }
    free(text);
    return 0;
}
