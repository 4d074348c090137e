/* A backup as somebody hands it over. "f" and a file; "s" and what stands in its stream, which is
 * sealed here as whoever has the secret could; "w" and two bytes that name a place in the file,
 * then names and contents of entries, a line each, which are written by us and read again. Whatever
 * it is: an archive that is read to its end is the one that was written, any byte of it changed or
 * cut off is noticed, and nothing is given out for an entry but its own bytes.
 *
 * Covers: src/boot/archive_head.c src/boot/archive_read.c src/boot/archive_write.c */
#include "base/error.h"
#include "base/problem.h"
#include "boot/archive.h"
#include "boot/archive_head.h"
#include "fuzz_folder.h"

#include <fcntl.h>

enum { ENTRIES_MAX = 64, CONTENT_BYTES_MAX = 1 << 20, FILE_BYTES_MAX = 1 << 20 };

static char path[64];
static struct archive_secret secret = {.is_key_file = true, .length = ARCHIVE_KEY_FILE_MIN};

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    FUZZ_CHECK(sodium_init() >= 0);
    fuzz_folder_make();
    (void)snprintf(path, sizeof path, "%s/archive", fuzz_folder);
    memset(secret.bytes, 7, secret.length);
    return 0;
}

static void write_file(const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, length) == (ssize_t)length && close(fd) == 0);
}

/* What was read to the end: names and bytes, one behind the other. */
struct content {
    unsigned entries;
    size_t length;
    unsigned char bytes[CONTENT_BYTES_MAX];
};

static int read_entry(struct archive_reader *reader, const struct archive_entry *entry,
                      struct content *content, struct problem *problem)
{
    unsigned char some[512];
    for (uint64_t left = entry->bytes; left > 0;) {
        size_t length = left < sizeof some ? (size_t)left : sizeof some;
        int error = archive_read(reader, some, length, problem);
        if (error != 0) {
            return error;
        }
        FUZZ_CHECK(content->length + length <= CONTENT_BYTES_MAX);
        memcpy(content->bytes + content->length, some, length);
        content->length += length;
        left -= length;
    }
    return 0;
}

/* 0: it is whole. */
static int read_archive(struct content *content)
{
    struct archive_about about = {.bytes = 0};
    struct archive_reader *reader = NULL;
    struct problem problem = {0};
    int looked = archive_look(path, &about, &problem);
    FUZZ_CHECK((looked == 0) == (problem.detail[0] == '\0'));
    problem_reset(&problem);
    content->entries = 0;
    content->length = 0;
    int error = archive_read_open(path, &secret, &reader, &problem);
    FUZZ_CHECK(error != 0 || looked == 0);
    for (int more = 1; error == 0 && more > 0;) {
        struct archive_entry entry;
        more = archive_read_next(reader, &entry, &problem);
        error = more < 0 ? more : 0;
        if (more > 0) {
            FUZZ_CHECK(entry.name[0] != '\0' && strlen(entry.name) <= ARCHIVE_NAME_MAX);
            content->entries++;
            error = read_entry(reader, &entry, content, &problem);
        }
    }
    FUZZ_CHECK(error <= 0 && (error == 0) == (problem.detail[0] == '\0'));
    FUZZ_CHECK(error == 0 || error == ERR_CORRUPT || error == ERR_VERSION ||
               error == ERR_FORBIDDEN || error == ERR_INVALID);
    archive_read_close(reader);
    return error;
}

static struct content content;

/* One message, the last, with what the input says. */
static void try_stream(const uint8_t *data, size_t size)
{
    struct archive_head head;
    unsigned char key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
    crypto_secretstream_xchacha20poly1305_state state;
    unsigned char *file = malloc(sizeof head + ARCHIVE_SEALED_BYTES);
    unsigned long long length = 0;
    FUZZ_CHECK(file != NULL && archive_head_make(&head, &secret, 1790000000000, key) == 0);
    FUZZ_CHECK(crypto_secretstream_xchacha20poly1305_init_push(&state, head.stream, key) == 0);
    archive_head_seal(&head, key);
    memcpy(file, &head, sizeof head);
    size = size < ARCHIVE_MESSAGE_BYTES ? size : ARCHIVE_MESSAGE_BYTES;
    FUZZ_CHECK(crypto_secretstream_xchacha20poly1305_push(
                   &state, file + sizeof head, &length, data, size, (const unsigned char *)&head,
                   sizeof head, crypto_secretstream_xchacha20poly1305_TAG_FINAL) == 0);
    write_file(file, sizeof head + (size_t)length);
    if (read_archive(&content) == 0) {
        size_t entries = content.entries + 1; /* and the one without a name */
        FUZZ_CHECK(content.length + entries * ARCHIVE_ENTRY_HEAD_BYTES <= size);
    }
    free(file);
}

/* Entries by the lines; each's content is its name, so many times as it has bytes. */
static void write_entries(const char *text, size_t size, struct content *written)
{
    struct archive_writer *writer = NULL;
    struct problem problem = {0};
    uint64_t bytes = 0;
    written->entries = 0;
    written->length = 0;
    write_file("", 0); /* nothing but an archive, or an empty file, is replaced by one */
    FUZZ_CHECK(archive_write_open(path, &secret, 1790000000000, &writer, &problem) == 0);
    for (const char *at = text, *end = text + size; at < end && written->entries < ENTRIES_MAX;) {
        char name[ARCHIVE_NAME_MAX + 1];
        size_t length = strcspn(at, "\n");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, at);
        if (name[0] != '\0') {
            size_t repeat = strlen(name), all = repeat * repeat;
            FUZZ_CHECK(written->length + all <= CONTENT_BYTES_MAX || written->entries > 0);
            if (written->length + all > CONTENT_BYTES_MAX) {
                break;
            }
            FUZZ_CHECK(archive_write_begin(writer, name, 0600, all) == 0);
            for (size_t i = 0; i < repeat; i++) {
                FUZZ_CHECK(archive_write(writer, name, repeat) == 0);
                memcpy(written->bytes + written->length, name, repeat);
                written->length += repeat;
            }
            written->entries++;
        }
        at += length + 1;
    }
    FUZZ_CHECK(archive_write_commit(writer, &bytes, &problem) == 0);
}

/* Written, read again, and read with one byte changed or with its end cut off there. */
static void try_written(const uint8_t *data, size_t size)
{
    static struct content written;
    static unsigned char file[FILE_BYTES_MAX * 2];
    char *text = fuzz_text(data + 2, size - 2);
    write_entries(text, strlen(text), &written);
    FUZZ_CHECK(read_archive(&content) == 0 && content.entries == written.entries);
    FUZZ_CHECK(content.length == written.length &&
               memcmp(content.bytes, written.bytes, written.length) == 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, file, sizeof file) : -1;
    FUZZ_CHECK(length > 0 && close(fd) == 0);
    size_t place = (size_t)(data[0] << 8 | data[1]) % (size_t)length;
    write_file(file, place);
    FUZZ_CHECK(read_archive(&content) != 0);
    file[place] ^= 1;
    write_file(file, (size_t)length);
    FUZZ_CHECK(read_archive(&content) != 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    if (data[0] == 's') {
        try_stream(data + 1, size - 1);
    } else if (data[0] == 'w') {
        try_written(data + 1, size - 1);
    } else {
        write_file(data + 1, size - 1);
        (void)read_archive(&content);
    }
    return 0;
}
