/* Playlists as files of other programs: M3U, XSPF (xspf.org, version 1) and JSPF (XSPF as JSON).
 *
 * Reading takes names and ids only; no location is ever opened. What is read is clean: UTF-8 in
 * NFC, without control characters, each text cut at LIST_TEXT_BYTES_MAX. Pure functions, any
 * thread; memory is the arena's, or the buffer's. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/problem.h"

#include <stdint.h>

enum {
    LIST_FILE_BYTES_MAX = 6 << 20,
    LIST_ENTRIES_MAX = 10000,
    LIST_LINE_BYTES_MAX = 8 * 1024, /* of an M3U */
    LIST_TEXT_BYTES_MAX = 1000,
    LIST_DESCRIPTION_BYTES_MAX = 3000,
};

/* M3U: bytes that are no UTF-8 are taken for Windows-1252. */
enum list_format { LIST_M3U8, LIST_M3U, LIST_XSPF, LIST_JSPF, LIST_FORMATS_ };

struct list_entry {
    unsigned line;        /* where it stands in the file; in a JSPF its number, from 1 */
    const char *location; /* a path or address; "" for what is not said, here and below */
    const char *artist, *title, *album;
    const char *mbid, *isrc; /* of the recording; the ISRC in its twelve characters */
    int64_t track_id;        /* our own, where the location is one that list_location wrote */
    int64_t duration_ms;     /* 0: not said */
    int64_t track_number;
};

struct list_file {
    const char *title, *description;
    struct list_entry *entries; /* LIST_ENTRIES_MAX at most */
    unsigned count;
};

/* "m3u8", "m3u", "xspf", "jspf". False for none of them. */
bool list_format_of_word(const char *word, enum list_format *ret_format);
/* By its media type, with or without parameters. */
bool list_format_of_type(const char *type, enum list_format *ret_format);
const char *list_format_type(enum list_format format);
const char *list_format_word(enum list_format format);

/* Reads a file. here: this server's address, by which locations are known to be our own.
 * ERR_MALFORMED with the line and what is wrong there; ERR_INVALID: too many entries. */
int list_file_read(struct arena *arena, struct problem *problem, enum list_format format,
                   const char *bytes, size_t length, const char *here, struct list_file *ret_file);

/* ---- writing, entry by entry ---- */

struct list_writer {
    struct buffer *out;
    enum list_format format;
    bool begun; /* an entry was written */
};
void list_write_begin(struct list_writer *writer, const struct list_file *head);
void list_write_entry(struct list_writer *writer, const struct list_entry *entry);
void list_write_end(struct list_writer *writer);
/* Where a track of ours is found, written into out, which is returned. */
enum { LIST_LOCATION_SIZE = 2100 };
const char *list_location(char out[LIST_LOCATION_SIZE], const char *here, int64_t track_id);

/* ---- what the readers share (list_text.c) ---- */

struct list_reading {
    struct arena *arena;
    struct problem *problem;
    const char *here;
    struct list_file *file;
    unsigned capacity;
};
/* The next entry, empty. NULL: there are too many, or out of memory; *ret_error says which. */
struct list_entry *list_entry_add(struct list_reading *reading, unsigned line, int *ret_error);
/* Cleans text of length bytes, which is UTF-8. NULL: out of memory. */
const char *list_text(struct arena *arena, const char *text, size_t length, size_t bytes_max);
/* What an identifier says: an id of MusicBrainz's, an ISRC, one of ours. What it doesn't know it
 * passes over. */
int list_identify(struct list_reading *reading, struct list_entry *entry, const char *identifier);
/* Takes the location; where nothing else names the entry, the names in its path do. */
int list_locate(struct list_reading *reading, struct list_entry *entry, const char *location);

int list_read_m3u(struct list_reading *reading, bool utf8, const char *bytes, size_t length);
int list_read_xspf(struct list_reading *reading, const char *bytes, size_t length);
int list_read_jspf(struct list_reading *reading, const char *bytes, size_t length);

void list_write_m3u_begin(struct list_writer *writer, const struct list_file *head);
void list_write_m3u_entry(struct list_writer *writer, const struct list_entry *entry);
void list_write_xspf_begin(struct list_writer *writer, const struct list_file *head);
void list_write_xspf_entry(struct list_writer *writer, const struct list_entry *entry);
void list_write_xspf_end(struct list_writer *writer);
void list_write_jspf_begin(struct list_writer *writer, const struct list_file *head);
void list_write_jspf_entry(struct list_writer *writer, const struct list_entry *entry);
void list_write_jspf_end(struct list_writer *writer);
