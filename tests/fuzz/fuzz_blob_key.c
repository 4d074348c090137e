/* Keys of objects, and their paths on disk. A key that is valid stays in its folder: no part of its
 * path is "." or "..", none is longer than a file name may be, all are of our kinds; and no other
 * key has the same path. Two keys, a line each.
 *
 * Covers: src/backend/blob/blob_file_path.c */
#include "backend/blob/blob.h"
#include "backend/blob/blob_file_path.h"
#include "fuzz.h"

enum { FILE_NAME_BYTES_MAX = 255 };

static void check_path(const char *path)
{
    FUZZ_CHECK(path[0] != '/' && path[0] != '\0');
    for (const char *at = path; *at != '\0';) {
        size_t length = strcspn(at, "/");
        char name[FILE_NAME_BYTES_MAX + 1];
        FUZZ_CHECK(length > 0 && length <= FILE_NAME_BYTES_MAX);
        memcpy(name, at, length);
        name[length] = '\0';
        FUZZ_CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
        int kind = blob_path_kind(name);
        at += length;
        FUZZ_CHECK(*at == '/' ? kind > BLOB_ENTRY_OBJECT : kind == BLOB_ENTRY_OBJECT);
        at += *at == '/';
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_FIELDS fields = fuzz_split(data, size, 2);
    char paths[2][BLOB_PATH_MAX];
    unsigned made = 0;
    for (unsigned i = 0; i < 2; i++) {
        const char *key = fuzz_or_empty(fields.text[i]);
        if (blob_key_valid(key)) {
            blob_path_from_key(key, paths[made]);
            check_path(paths[made++]);
        }
    }
    if (made == 2) {
        FUZZ_CHECK((strcmp(paths[0], paths[1]) == 0) ==
                   (strcmp(fields.text[0], fields.text[1]) == 0));
    }
    return 0;
}
