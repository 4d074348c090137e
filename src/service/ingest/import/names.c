/* What paths tell of music (names.h). Called while a library is gone through. */
#include "service/ingest/import/names.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/ingest/import/encoding.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- paths as text --- */

/* How many bytes from here are one character of UTF-8; 0: none. */
static size_t character(const char *bytes)
{
    for (size_t length = 1; length <= 4; length++) {
        if (text_is_utf8(bytes, length)) {
            return length;
        }
        if (bytes[length - 1] == '\0') {
            break;
        }
    }
    return 0;
}

const char *path_escape(struct arena *arena, const char *path)
{
    char *out = arena_alloc(arena, 3 * strlen(path) + 1), *end = out;
    while (out != NULL && *path != '\0') {
        size_t length = character(path);
        unsigned char byte = (unsigned char)*path;
        if (length == 0 || byte == '%' || byte < 0x20 || byte == 0x7f) {
            end += snprintf(end, 4, "%%%02X", byte);
            path++;
        } else {
            memcpy(end, path, length);
            end += length;
            path += length;
        }
    }
    return out;
}

const char *path_unescape(struct arena *arena, const char *text)
{
    char *out = arena_alloc(arena, strlen(text) + 1), *end = out;
    while (out != NULL && *text != '\0') {
        unsigned byte = 0;
        if (*text == '%' && sscanf(text + 1, "%2X", &byte) == 1) {
            *end++ = (char)byte;
            text += 3;
        } else {
            *end++ = *text++;
        }
    }
    return out;
}

/* Of a path as text, what people read: bytes that are no UTF-8 are Windows-1252, control characters
 * spaces. */
static const char *as_read(struct arena *arena, const char *text)
{
    char *out = arena_alloc(arena, strlen(text) + 1), *end = out;
    while (out != NULL && *text != '\0') {
        unsigned byte = 0;
        if (*text == '%' && sscanf(text + 1, "%2X", &byte) == 1) {
            bool control = byte < 0x20 || byte == 0x7f;
            end = encoding_put_windows(end, control ? ' ' : (unsigned char)byte);
            text += 3;
        } else {
            *end++ = *text++;
        }
    }
    return out;
}

/* --- words --- */

/* "Led_Zeppelin" has no other blanks. */
static void space_out(char *text)
{
    bool blank = strchr(text, ' ') != NULL;
    for (char *at = text; !blank && *at != '\0'; at++) {
        *at = *at == '_' ? ' ' : *at;
    }
}

static const char *trimmed(struct arena *arena, const char *text, size_t length)
{
    static const char edges[] = " \t-_.";
    while (length > 0 && strchr(edges, text[0]) != NULL) {
        text++;
        length--;
    }
    while (length > 0 && strchr(" \t-_", text[length - 1]) != NULL) {
        length--;
    }
    char *copy = arena_strndup(arena, text, length);
    if (copy != NULL) {
        space_out(copy);
    }
    return copy;
}

static bool is_year(const char *text)
{
    return strspn(text, "0123456789") >= 4 && (text[0] == '1' || text[0] == '2') &&
           !isdigit((unsigned char)text[4]);
}

/* "1999 - Title", "(1999) Title", "[1999] Title": the year, and where the title begins. */
static const char *skip_year(const char *text, char year[5])
{
    const char *digits = text[0] == '(' || text[0] == '[' ? text + 1 : text;
    if (!is_year(digits)) {
        return text;
    }
    const char *rest = digits + 4;
    rest += digits != text && (*rest == ')' || *rest == ']') ? 1 : 0;
    size_t gap = strspn(rest, " -_.");
    bool remark = digits == text && strspn(rest, " ") == gap && strchr("([{", rest[gap]) != NULL;
    if (gap == 0 || rest[gap] == '\0' || remark) {
        return text; /* "1984" is a title; "1999er" and "1989 (Deluxe)" begin with theirs */
    }
    memcpy(year, digits, 4);
    year[4] = '\0';
    return rest + gap;
}

/* Cuts "[FLAC]", "(1999)", "{…}" off the end, one behind the other; a year among them is kept. */
static size_t cut_brackets(const char *text, size_t length, char year[5])
{
    while (length > 2 && strchr(")]}", text[length - 1]) != NULL) {
        size_t open = length - 1;
        while (open > 0 && strchr("([{", text[open]) == NULL) {
            open--;
        }
        bool square = text[open] != '(';
        bool dated = is_year(text + open + 1) && length - open == 6;
        if (open == 0 || (!square && !dated)) {
            break;
        }
        if (dated) {
            memcpy(year, text + open + 1, 4);
            year[4] = '\0';
        }
        length = open;
        while (length > 0 && text[length - 1] == ' ') {
            length--;
        }
    }
    return length;
}

/* --- folders --- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* "CD 2", "disc2", "Disc 1 - Day": the number, and what follows its digits; 0: it is none. */
static int64_t disc_of(const char *text, const char **ret_rest)
{
    static const char *const words[] = {"cd", "disc", "disk", "disque", "vinyl"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        size_t length = strlen(words[i]);
        if (strncasecmp(text, words[i], length) == 0) {
            const char *digits = text + length + strspn(text + length, " ._-#");
            char *rest = NULL;
            long number = strtol(digits, &rest, 10);
            *ret_rest = rest;
            return isdigit((unsigned char)digits[0]) && number >= 1 && number <= 99 ? number : 0;
        }
    }
    return 0;
}

/* Behind the number in a mark that ends at end: nothing, or ": Subtitle". */
static bool ends_mark(const char *rest, const char *end, struct path_disc *disc)
{
    size_t blanks = strspn(rest, " ");
    const char *text = rest + blanks;
    if (text >= end) {
        return true;
    }
    bool told = *text == ':' || (*text == '-' && blanks > 0 && text[1] == ' ');
    text += 1 + strspn(text + 1, " ");
    if (told && text < end) {
        disc->subtitle = text;
        disc->subtitle_length = (size_t)(end - text);
    }
    return told && text < end;
}

/* Of a folder that is a disc; NULL: it has none. */
static const char *title_of_disc(const char *folder)
{
    struct path_disc disc = {.subtitle = ""};
    const char *rest = NULL;
    bool titled = disc_of(folder, &rest) > 0 && ends_mark(rest, folder + strlen(folder), &disc);
    return titled && disc.subtitle_length > 0 ? disc.subtitle : NULL;
}

/* Where the mark at the title's end would begin; 0: nowhere. */
static size_t mark_at(const char *title, size_t length, bool bracket)
{
    size_t at = length;
    if (bracket) {
        while (at > 0 && strchr("([", title[at - 1]) == NULL) {
            at--;
        }
        return at;
    }
    while (at > 0 && isdigit((unsigned char)title[at - 1])) {
        at--;
    }
    while (at > 0 && strchr(" ._-#", title[at - 1]) != NULL) {
        at--;
    }
    while (at > 0 && isalpha((unsigned char)title[at - 1])) {
        at--;
    }
    return at > 0 && strchr(" -_,", title[at - 1]) != NULL ? at : 0;
}

size_t path_disc_mark(const char *title, struct path_disc *ret_disc)
{
    size_t length = strlen(title);
    bool bracket = length > 0 && strchr(")]", title[length - 1]) != NULL;
    size_t at = mark_at(title, length, bracket);
    const char *end = title + length - (bracket ? 1 : 0), *rest = NULL;
    struct path_disc disc = {.subtitle = ""};
    disc.number = at > 0 ? disc_of(title + at, &rest) : 0;
    if (disc.number == 0 || (bracket ? !ends_mark(rest, end, &disc) : rest != end)) {
        return 0;
    }
    at -= bracket ? 1 : 0;
    while (at > 0 && strchr(" -_,:", title[at - 1]) != NULL) {
        at--;
    }
    if (at > 0) {
        *ret_disc = disc;
    }
    return at;
}

const char *path_album_folder(struct arena *arena, const char *folder, int64_t *ret_disc)
{
    const char *name = last_part(folder), *rest = NULL;
    struct path_disc disc = {.subtitle = ""};
    *ret_disc = disc_of(name, &rest);
    if (*ret_disc != 0) {
        return name == folder ? "" : arena_strndup(arena, folder, (size_t)(name - folder) - 1);
    }
    size_t length = path_disc_mark(name, &disc);
    *ret_disc = disc.number;
    return length == 0 ? folder : arena_strndup(arena, folder, (size_t)(name - folder) + length);
}

/* Folders of what no one artist made. */
static bool is_various(const char *artist)
{
    static const char *const words[] = {"Various Artists", "Various",      "VA",         "V.A.",
                                        "V. A.",           "Compilations", "Soundtracks"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcasecmp(artist, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The album by its folder's name, which may begin with its artist's. */
static int name_album(struct arena *arena, const char *folder, struct path_names *names)
{
    const char *whole = skip_year(last_part(folder), names->year);
    const char *name = arena_strndup(arena, whole, cut_brackets(whole, strlen(whole), names->year));
    const char *parent_end = strrchr(folder, '/');
    char *parent =
        arena_strndup(arena, folder, parent_end != NULL ? (size_t)(parent_end - folder) : 0);
    if (name == NULL || parent == NULL) {
        return ERR_NO_MEMORY;
    }
    const char *artist = last_part(parent);
    const char *dash = strstr(name, " - ");
    size_t before = dash != NULL ? (size_t)(dash - name) : 0;
    bool told =
        artist[0] == '\0' || (strlen(artist) == before && strncasecmp(artist, name, before) == 0);
    if (dash != NULL && told) {
        artist = trimmed(arena, name, before);
        name = skip_year(dash + 3, names->year);
    } else {
        space_out(parent + (artist - parent));
    }
    names->various = artist != NULL && is_various(artist);
    names->artist = names->various ? "" : artist;
    names->album = trimmed(arena, name, strlen(name));
    if (names->album != NULL && names->album[0] == '\0') {
        names->album = last_part(folder);
    }
    return names->artist != NULL && names->album != NULL ? 0 : ERR_NO_MEMORY;
}

/* --- files --- */

/* "07 Title", "07. Title", "2-07 Title", "207 Title" on a disc: the number, and where it ends. */
static const char *skip_number(const char *text, struct path_names *names)
{
    size_t digits = strspn(text, "0123456789");
    const char *rest = text + digits;
    long first = strtol(text, NULL, 10);
    if (digits == 0 || digits > 3) {
        return text;
    }
    size_t second_digits = *rest == '-' ? strspn(rest + 1, "0123456789") : 0;
    if (second_digits == 2 && digits <= 2) {
        names->disc = first;
        names->number = strtol(rest + 1, NULL, 10);
        rest += 1 + second_digits;
    } else if (digits == 3 && first > 100 && first % 100 >= 1 && first % 100 <= 50) {
        names->disc = first / 100;
        names->number = first % 100;
    } else {
        names->number = first;
    }
    size_t gap = strspn(rest, " ._-)");
    if (gap == 0 || rest[gap] == '\0' || names->number == 0) {
        names->disc = names->number = 0;
        return text;
    }
    return rest + gap;
}

/* "Artist - 07 - Title", "Artist - Album - 07 - Title", "Artist - Title"; told: there was a number
 * in front, and who made it is known, so that what is before a dash may be of the title. */
static int name_parts(struct arena *arena, const char *text, bool told, struct path_names *names)
{
    const char *title = text;
    for (const char *dash = text; (dash = strstr(dash, " - ")) != NULL;) {
        dash += 3;
        size_t digits = strspn(dash, "0123456789");
        if (digits >= 1 && digits <= 3 && strncmp(dash + digits, " - ", 3) == 0) {
            names->number = strtol(dash, NULL, 10);
            title = dash + digits + 3;
        }
    }
    const char *dash = strstr(text, " - ");
    size_t before = dash != NULL ? (size_t)(dash - text) : 0;
    bool again = before > 0 && strlen(names->artist) == before &&
                 strncasecmp(text, names->artist, before) == 0;
    if (title == text && dash != NULL && (!told || again)) {
        title = dash + 3;
    }
    if (dash != NULL && title != text && names->artist[0] == '\0') {
        names->artist = trimmed(arena, text, (size_t)(dash - text));
    }
    names->title = trimmed(arena, title, strlen(title));
    return names->title != NULL && names->artist != NULL ? 0 : ERR_NO_MEMORY;
}

int path_names(struct arena *arena, const char *library, const char *folder, const char *file,
               struct path_names *ret_names)
{
    struct path_names names = {.artist = "", .album = "", .album_artist = "", .disc_title = ""};
    const char *dot = strrchr(file, '.');
    size_t length = dot != NULL && dot != file ? (size_t)(dot - file) : strlen(file);
    const char *stem = arena_strndup(arena, file, length);
    int64_t disc = 0;
    const char *album_folder = path_album_folder(arena, folder, &disc);
    const char *disc_title = title_of_disc(last_part(folder));
    names.disc_title = disc_title != NULL ? as_read(arena, disc_title) : "";
    stem = stem != NULL ? as_read(arena, stem) : NULL;
    album_folder = album_folder != NULL ? as_read(arena, album_folder) : NULL;
    library = as_read(arena, library);
    if (stem == NULL || album_folder == NULL || library == NULL || names.disc_title == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = album_folder[0] != '\0' ? name_album(arena, album_folder, &names) : 0;
    const char *rest = skip_number(stem, &names);
    bool told = rest != stem && names.artist[0] != '\0';
    error = error != 0 ? error : name_parts(arena, rest, told, &names);
    names.disc = disc > 0 ? disc : names.disc;
    names.album = names.album[0] != '\0' ? names.album : library;
    if (error == 0 && names.title[0] == '\0') {
        names.title = stem;
    }
    *ret_names = names;
    return error;
}

/* --- kinds --- */

const char *path_sound_type(const char *file)
{
    static const struct {
        const char *extension, *type;
    } rows[] = {
        {"mp3", "audio/mpeg"},     {"flac", "audio/flac"},      {"ogg", "audio/ogg"},
        {"oga", "audio/ogg"},      {"opus", "audio/ogg"},       {"m4a", "audio/mp4"},
        {"m4b", "audio/mp4"},      {"mp4", "audio/mp4"},        {"alac", "audio/mp4"},
        {"aac", "audio/aac"},      {"wav", "audio/wav"},        {"aif", "audio/aiff"},
        {"aiff", "audio/aiff"},    {"aifc", "audio/aiff"},      {"wv", "audio/x-wavpack"},
        {"ape", "audio/x-ape"},    {"mpc", "audio/x-musepack"}, {"tta", "audio/x-tta"},
        {"wma", "audio/x-ms-wma"},
    };
    const char *dot = strrchr(file, '.');
    for (size_t i = 0; dot != NULL && i < COUNT_OF(rows); i++) {
        if (strcasecmp(dot + 1, rows[i].extension) == 0) {
            return rows[i].type;
        }
    }
    return NULL;
}

static bool is_picture(const char *file)
{
    static const char *const extensions[] = {".jpg", ".jpeg", ".png", ".webp", ".gif"};
    const char *dot = strrchr(file, '.');
    bool picture = false;
    for (size_t i = 0; dot != NULL && i < COUNT_OF(extensions); i++) {
        picture = picture || strcasecmp(dot, extensions[i]) == 0;
    }
    return picture;
}

/* Whether the file is called name, whatever its extension. */
static bool is_called(const char *file, const char *name)
{
    const char *dot = strrchr(file, '.');
    size_t length = dot != NULL ? (size_t)(dot - file) : strlen(file);
    return strlen(name) == length && strncasecmp(file, name, length) == 0;
}

unsigned path_cover_rank(const char *file)
{
    static const char *const names[] = {"cover", "folder", "front", "album", "albumart"};
    bool picture = is_picture(file);
    for (size_t i = 0; picture && i < COUNT_OF(names); i++) {
        if (is_called(file, names[i])) {
            return (unsigned)i + 1;
        }
    }
    return 0;
}

bool path_may_be_cover(const char *file)
{
    static const char *const others[] = {"artist", "band", "back",   "booklet",
                                         "fanart", "logo", "banner", "inlay"};
    bool may = is_picture(file);
    for (size_t i = 0; may && i < COUNT_OF(others); i++) {
        may = !is_called(file, others[i]);
    }
    return may;
}

/* --- lyrics --- */

const char *lrc_text(struct arena *arena, const char *bytes, size_t length)
{
    static const struct text_rule rule = {
        .field = "lyrics", .characters_max = 100000, .lines = true};
    char *text = encoding_to_utf8(arena, bytes, length);
    const char *clean = NULL;
    for (char *at = text; at != NULL && *at != '\0'; at++) {
        bool kept = *at == '\n' || *at == '\t' || (unsigned char)*at >= 0x20;
        *at = kept && *at != 0x7f ? *at : ' ';
    }
    return text != NULL && text_clean(arena, &rule, text, NULL, &clean) == 0 ? clean : NULL;
}
