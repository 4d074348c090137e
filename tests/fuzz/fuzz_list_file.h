/* What the fuzz targets of playlist files share: what is read is clean and within its limits, and
 * written it is read again with the same names. */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "fuzz.h"
#include "service/library/formats/list_file.h"

#define FUZZ_HERE "http://h"

static inline void fuzz_check_text(const char *text, size_t bytes_max)
{
    size_t length = strlen(text);
    FUZZ_CHECK(length <= bytes_max && text_is_utf8(text, length));
    for (; *text != '\0'; text++) {
        FUZZ_CHECK((unsigned char)*text >= ' ' && *text != 0x7f);
    }
}

static inline void fuzz_check_list(const struct list_file *file)
{
    FUZZ_CHECK(file->count <= LIST_ENTRIES_MAX);
    fuzz_check_text(file->title, LIST_TEXT_BYTES_MAX);
    fuzz_check_text(file->description, LIST_DESCRIPTION_BYTES_MAX);
    for (unsigned i = 0; i < file->count; i++) {
        const struct list_entry *entry = &file->entries[i];
        fuzz_check_text(entry->artist, LIST_TEXT_BYTES_MAX);
        fuzz_check_text(entry->title, LIST_TEXT_BYTES_MAX);
        fuzz_check_text(entry->album, LIST_TEXT_BYTES_MAX);
        fuzz_check_text(entry->location, LIST_TEXT_BYTES_MAX);
        FUZZ_CHECK(strlen(entry->mbid) == 0 || strlen(entry->mbid) == 36);
        FUZZ_CHECK(strlen(entry->isrc) == 0 || strlen(entry->isrc) == 12);
        FUZZ_CHECK(entry->track_id >= 0 && entry->duration_ms >= 0 && entry->line > 0);
    }
}

/* As one that has names would be written by us; an M3U has no form for " - " in an artist. */
static inline void fuzz_write_list(struct arena *arena, enum list_format format,
                                   const struct list_file *file)
{
    struct buffer out;
    struct list_file again;
    struct problem problem;
    buffer_init(&out, 64 << 20);
    struct list_writer writer = {.out = &out, .format = format};
    list_write_begin(&writer, file);
    for (unsigned i = 0; i < file->count; i++) {
        struct list_entry entry = file->entries[i];
        char location[LIST_LOCATION_SIZE];
        entry.location = list_location(location, FUZZ_HERE, i + 1);
        list_write_entry(&writer, &entry);
    }
    list_write_end(&writer);
    FUZZ_CHECK(buffer_error(&out) == 0);
    problem_reset(&problem);
    int error = list_file_read(arena, &problem, format, out.data, out.length, FUZZ_HERE, &again);
    FUZZ_CHECK(error == 0 && again.count == file->count);
    for (unsigned i = 0; i < again.count; i++) {
        FUZZ_CHECK(again.entries[i].track_id == i + 1);
        FUZZ_CHECK(format == LIST_M3U8 ||
                   strcmp(again.entries[i].isrc, file->entries[i].isrc) == 0);
    }
    buffer_done(&out);
}

static inline void fuzz_list(enum list_format format, const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(0);
    struct list_file file;
    struct problem problem;
    char *body = malloc(size > 0 ? size : 1); /* no NUL behind it */
    FUZZ_CHECK(arena != NULL && body != NULL);
    if (size > 0) {
        memcpy(body, data, size);
    }
    problem_reset(&problem);
    int error = list_file_read(arena, &problem, format, body, size, FUZZ_HERE, &file);
    FUZZ_CHECK(error == 0 || error == ERR_MALFORMED || error == ERR_INVALID);
    FUZZ_CHECK(error == 0 || problem.detail[0] != '\0');
    if (error == 0) {
        fuzz_check_list(&file);
        fuzz_write_list(arena, format == LIST_M3U ? LIST_M3U8 : format, &file);
    }
    free(body);
    arena_free(arena);
}
