/* Cue sheets. Whatever bytes: a sheet is read or refused with words; what is read has clean texts,
 * names without folders, tracks that follow each other in their file and times within a day.
 *
 * Covers: src/service/ingest/import/cue.c */
#include "base/error.h"
#include "base/text.h"
#include "fuzz.h"
#include "service/ingest/import/cue.h"

static void check_text(const char *text)
{
    FUZZ_CHECK(text != NULL && text_is_utf8(text, strlen(text)));
    for (const char *at = text; *at != '\0'; at++) {
        FUZZ_CHECK((unsigned char)*at >= 0x20 && *at != 0x7f);
    }
}

static void check_track(const struct cue_track *track, const struct cue_track *former)
{
    check_text(track->title);
    check_text(track->performer);
    check_text(track->songwriter);
    check_text(track->isrc);
    FUZZ_CHECK(track->file != NULL && strpbrk(track->file, "/\\") == NULL);
    FUZZ_CHECK(track->number >= 1 && track->number <= 9999);
    FUZZ_CHECK(track->from >= 0 && track->from <= CUE_FRAMES_MAX);
    FUZZ_CHECK(track->to == 0 || track->to > track->from);
    if (former != NULL && strcmp(former->file, track->file) == 0) {
        FUZZ_CHECK(former->to == track->from);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(0);
    struct cue cue = {0};
    const char *reason = NULL;
    FUZZ_CHECK(arena != NULL);
    int error = cue_read(arena, (const char *)data, size, &cue, &reason);
    FUZZ_CHECK(error == 0 || error == ERR_INVALID);
    FUZZ_CHECK((error == 0) == (reason == NULL));
    if (error == 0) {
        check_text(cue.title);
        check_text(cue.performer);
        check_text(cue.songwriter);
        check_text(cue.date);
        check_text(cue.genre);
        FUZZ_CHECK(cue.count >= 1 && cue.count <= CUE_TRACKS_MAX);
    }
    for (unsigned i = 0; error == 0 && i < cue.count; i++) {
        check_track(&cue.tracks[i], i > 0 ? &cue.tracks[i - 1] : NULL);
    }
    arena_free(arena);
    return 0;
}
