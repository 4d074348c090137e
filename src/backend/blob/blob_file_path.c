/* Keys to paths (blob_file_path.h). Pure functions, any thread. */
#include "backend/blob/blob_file_path.h"

#include "backend/blob/blob.h"
#include "base/mem.h"

#include <assert.h>
#include <string.h>

enum { FANOUT_PARTS = 2, FANOUT_CHUNKS = 2, FANOUT_BYTES = 3, NAME_BYTES_MAX = 200 };

static const char *const suffixes[] = {".obj", ".low", ".dir", ".top"};

struct path {
    char *out;
    size_t length;
};

static void append(struct path *path, const char *bytes, size_t length)
{
    assert(path->length + length < BLOB_PATH_MAX);
    memcpy(path->out + path->length, bytes, length);
    path->length += length;
}

static void append_entry(struct path *path, const char *name, size_t length,
                         enum blob_entry_kind kind)
{
    if (path->length > 0) {
        append(path, "/", 1);
    }
    append(path, name, length);
    append(path, suffixes[kind], BLOB_SUFFIX_BYTES);
}

static void append_part(struct path *path, const char *name, size_t length, unsigned part,
                        enum blob_entry_kind kind)
{
    for (unsigned chunk = 0;; chunk++) {
        size_t most = part < FANOUT_PARTS && chunk < FANOUT_CHUNKS ? FANOUT_BYTES : NAME_BYTES_MAX;
        if (length <= most) {
            append_entry(path, name, length, kind);
            return;
        }
        bool low = (unsigned char)name[most] < '/';
        append_entry(path, name, most, low ? BLOB_ENTRY_LOW : BLOB_ENTRY_TOP);
        name += most;
        length -= most;
    }
}

void blob_path_from_key(const char *key, char out[BLOB_PATH_MAX])
{
    struct path path = {.out = out};
    unsigned part = 0;
    for (const char *slash; (slash = strchr(key, '/')) != NULL; key = slash + 1) {
        append_part(&path, key, (size_t)(slash - key), part++, BLOB_ENTRY_FOLDER);
    }
    append_part(&path, key, strlen(key), part, BLOB_ENTRY_OBJECT);
    out[path.length] = '\0';
}

int blob_path_kind(const char *entry_name)
{
    size_t length = strlen(entry_name);
    if (length < BLOB_SUFFIX_BYTES) {
        return -1;
    }
    for (unsigned kind = 0; kind < COUNT_OF(suffixes); kind++) {
        if (strcmp(entry_name + length - BLOB_SUFFIX_BYTES, suffixes[kind]) == 0) {
            return (int)kind;
        }
    }
    return -1;
}
