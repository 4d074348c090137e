/* Cue sheets (cue.h; the form is that of CDRWIN's manual, appendix A, as rippers write it). Called
 * by sheets.c. A line is a word and what it says, perhaps in quotes. Lines that are not known
 * are passed over; a time that can't be, or tracks that run backwards, refuse the sheet, since then
 * no cut of it can be trusted. */
#include "service/ingest/import/cue.h"

#include "base/error.h"
#include "base/text.h"
#include "service/ingest/import/encoding.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FRAMES_A_SECOND = 75, TEXT_MAX = 500, ROOM = 16 };

struct reading {
    struct arena *arena;
    struct cue *cue;
    unsigned room;
    const char *file; /* that the lines are about; NULL: none yet */
    bool dated;       /* the track has its INDEX 01 */
    const char *reason;
    unsigned line;
};

/* --- text --- */

static const char *clean(struct reading *reading, const char *text)
{
    static const struct text_rule rule = {.field = "cue", .characters_max = TEXT_MAX};
    const char *kept = NULL;
    char *copy = arena_strdup(reading->arena, text);
    for (char *at = copy; at != NULL && *at != '\0'; at++) {
        *at = (unsigned char)*at < 0x20 || *at == 0x7f ? ' ' : *at;
    }
    return copy != NULL && text_clean(reading->arena, &rule, copy, NULL, &kept) == 0 ? kept : "";
}

/* Cuts the first word off; *line is then behind it and its blanks. */
static char *take_word(char **line)
{
    char *word = *line + strspn(*line, " \t");
    char *end = word + strcspn(word, " \t");
    *line = end + strspn(end, " \t");
    *end = '\0';
    return word;
}

/* What stands in quotes, or all of the line; behind is what follows the quotes. */
static char *take_value(char *line)
{
    if (line[0] != '"') {
        return line;
    }
    char *end = strrchr(line + 1, '"');
    if (end != NULL) {
        *end = '\0';
    }
    return line + 1;
}

/* --- lines --- */

static int refuse(struct reading *reading, const char *what)
{
    reading->reason = arena_printf(reading->arena, "Its cue sheet can't be used: %s (line %u).",
                                   what, reading->line);
    return reading->reason != NULL ? ERR_INVALID : ERR_NO_MEMORY;
}

static struct cue_track *current(struct reading *reading)
{
    struct cue *cue = reading->cue;
    return cue->count > 0 ? &cue->tracks[cue->count - 1] : NULL;
}

/* FILE "C:\Rip\Album.wav" WAVE, or without quotes: the type is the last word. */
static int on_file(struct reading *reading, char *rest)
{
    char *name = take_value(rest);
    if (name == rest) {
        char *blank = strrchr(rest, ' ');
        if (blank != NULL) {
            *blank = '\0';
        }
    }
    for (char *at = name; *at != '\0'; at++) {
        name = *at == '/' || *at == '\\' ? at + 1 : name;
    }
    reading->file = arena_strdup(reading->arena, name);
    return reading->file != NULL ? 0 : ERR_NO_MEMORY;
}

static int grow(struct reading *reading)
{
    struct cue *cue = reading->cue;
    if (cue->tracks != NULL && cue->count < reading->room) {
        return 0;
    }
    unsigned wider = reading->room > 0 ? 2 * reading->room : ROOM;
    struct cue_track *tracks = arena_array(reading->arena, wider, sizeof *tracks);
    if (tracks == NULL) {
        return ERR_NO_MEMORY;
    }
    if (cue->tracks != NULL) {
        memcpy(tracks, cue->tracks, cue->count * sizeof *tracks);
    }
    cue->tracks = tracks;
    reading->room = wider;
    return 0;
}

static int on_track(struct reading *reading, char *rest)
{
    long number = strtol(rest, NULL, 10);
    if (reading->file == NULL || (current(reading) != NULL && !reading->dated)) {
        return refuse(reading, "a track has no file or no time");
    }
    if (number < 1 || number > 9999) {
        return refuse(reading, "a track has no number");
    }
    if (reading->cue->count == CUE_TRACKS_MAX) {
        return refuse(reading, "it has more than 999 tracks");
    }
    int error = grow(reading);
    if (error == 0) {
        reading->cue->tracks[reading->cue->count++] =
            (struct cue_track){.file = reading->file,
                               .title = "",
                               .performer = "",
                               .songwriter = "",
                               .isrc = "",
                               .number = (unsigned)number};
        reading->dated = false;
    }
    return error;
}

/* "mm:ss:ff" */
static bool read_time(const char *text, int64_t *ret_frames)
{
    unsigned minutes = 0, seconds = 0, frames = 0;
    int end = 0;
    bool whole = strspn(text, "0123456789:") == strlen(text) &&
                 sscanf(text, "%4u:%2u:%2u%n", &minutes, &seconds, &frames, &end) == 3 &&
                 text[end] == '\0' && seconds < 60 && frames < FRAMES_A_SECOND;
    *ret_frames = ((int64_t)minutes * 60 + seconds) * FRAMES_A_SECOND + frames;
    return whole && *ret_frames <= CUE_FRAMES_MAX;
}

/* The former track of the file ends where this one begins. */
static int begin_at(struct reading *reading, struct cue_track *track, int64_t frames)
{
    struct cue_track *former = reading->cue->count > 1 ? track - 1 : NULL;
    if (former != NULL && strcmp(former->file, track->file) == 0) {
        if (frames <= former->from) {
            return refuse(reading, "a track begins before the one in front of it");
        }
        former->to = frames;
    }
    track->from = frames;
    reading->dated = true;
    return 0;
}

/* INDEX 00 is the pause before it, which the former track plays, as a CD does. */
static int on_index(struct reading *reading, char *rest)
{
    struct cue_track *track = current(reading);
    const char *number = take_word(&rest);
    int64_t frames = 0;
    const char *time = take_word(&rest);
    if (!read_time(time, &frames)) {
        return refuse(reading, "a time is none");
    }
    if (track == NULL || strtol(number, NULL, 10) != 1 || reading->dated) {
        return 0;
    }
    if (reading->file != NULL && strcmp(track->file, reading->file) != 0) {
        track->file = reading->file; /* its pause is in the file before */
    }
    return begin_at(reading, track, frames);
}

static int on_title(struct reading *reading, char *rest)
{
    struct cue_track *track = current(reading);
    *(track != NULL ? &track->title : &reading->cue->title) = clean(reading, take_value(rest));
    return 0;
}

static int on_performer(struct reading *reading, char *rest)
{
    struct cue_track *track = current(reading);
    *(track != NULL ? &track->performer : &reading->cue->performer) =
        clean(reading, take_value(rest));
    return 0;
}

static int on_songwriter(struct reading *reading, char *rest)
{
    struct cue_track *track = current(reading);
    *(track != NULL ? &track->songwriter : &reading->cue->songwriter) =
        clean(reading, take_value(rest));
    return 0;
}

static int on_isrc(struct reading *reading, char *rest)
{
    struct cue_track *track = current(reading);
    if (track != NULL) {
        track->isrc = clean(reading, take_value(rest));
    }
    return 0;
}

/* REM GENRE Jazz, REM DATE 1999, REM DISCNUMBER 2: rippers' own words, which everybody reads. */
static int on_remark(struct reading *reading, char *rest)
{
    const char *word = take_word(&rest);
    if (current(reading) == NULL && strcasecmp(word, "DATE") == 0) {
        reading->cue->date = clean(reading, take_value(rest));
    } else if (current(reading) == NULL && strcasecmp(word, "GENRE") == 0) {
        reading->cue->genre = clean(reading, take_value(rest));
    } else if (strcasecmp(word, "DISCNUMBER") == 0) {
        long number = strtol(take_value(rest), NULL, 10);
        reading->cue->disc = number >= 1 && number <= 99 ? (unsigned)number : 0;
    }
    return 0;
}

static const struct {
    const char *word;
    int (*on)(struct reading *reading, char *rest);
} lines[] = {
    {"FILE", on_file},
    {"TRACK", on_track},
    {"INDEX", on_index},
    {"TITLE", on_title},
    {"PERFORMER", on_performer},
    {"ISRC", on_isrc},
    {"SONGWRITER", on_songwriter},
    {"REM", on_remark},
};

static int on_line(struct reading *reading, char *line)
{
    size_t length = strlen(line);
    while (length > 0 && strchr(" \t\r", line[length - 1]) != NULL) {
        line[--length] = '\0';
    }
    const char *word = take_word(&line);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strcasecmp(word, lines[i].word) == 0) {
            return lines[i].on(reading, line);
        }
    }
    return 0;
}

int cue_read(struct arena *arena, const char *bytes, size_t length, struct cue *ret_cue,
             const char **ret_reason)
{
    struct cue cue = {.title = "", .performer = "", .songwriter = "", .date = "", .genre = ""};
    struct reading reading = {.arena = arena, .cue = &cue, .dated = true};
    char *text = encoding_to_utf8(arena, bytes, length), *rest = text;
    int error = text != NULL ? 0 : ERR_NO_MEMORY;
    for (char *line; error == 0 && (line = strsep(&rest, "\n")) != NULL;) {
        reading.line++;
        error = on_line(&reading, line);
    }
    if (error == 0 && (cue.count == 0 || !reading.dated)) {
        error = refuse(&reading,
                       cue.count == 0 ? "it tells of no track" : "a track has no file or no time");
    }
    *ret_reason = reading.reason;
    if (error == 0) {
        *ret_cue = cue;
    }
    return error;
}
