/* Listing of the file engine: keys in byte order, with a prefix and after a key, reading only the
 * folders that can hold such keys. A folder's entries are read, those that can't match dropped, the
 * rest sorted and walked; folders are walked in their place. Any thread; memory of a folder's
 * entries is an arena of its own, freed when it has been walked.
 */
#include "backend/blob/blob_file.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDER_ARENA_BYTES_MAX = 512 * 1024 * 1024 };

struct listing {
    const char *prefix, *after;
    size_t prefix_length, after_length;
    unsigned left;
    int (*visit)(void *argument, const char *key, const struct blob_stat *stat);
    void *argument;
    size_t length; /* of key, so far */
    char key[BLOB_KEY_MAX + 2];
};

/* An entry: its name on disk, and the text by which it is ordered (and, without its last byte for
 * chunks, what it adds to the key). */
struct entry {
    const char *name;
    const char *order;
    enum blob_entry_kind kind;
};

struct folder {
    struct entry *entries;
    size_t count, capacity;
};

static const char order_mark[] = {[BLOB_ENTRY_OBJECT] = '\0',
                                  [BLOB_ENTRY_LOW] = '\1',
                                  [BLOB_ENTRY_FOLDER] = '/',
                                  [BLOB_ENTRY_TOP] = '0'};

/* What the entry adds to the key. */
static size_t addition(const struct entry *entry)
{
    size_t length = strlen(entry->order);
    bool chunk = entry->kind == BLOB_ENTRY_LOW || entry->kind == BLOB_ENTRY_TOP;
    return chunk ? length - 1 : length;
}

static size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* True if keys that begin with the first `length` bytes of key (or are it, for an object) can
 * match. */
static bool may_match(const struct listing *listing, size_t length, bool object)
{
    const char *key = listing->key;
    if (memcmp(key, listing->prefix, least(length, listing->prefix_length)) != 0) {
        return false;
    }
    if (object) {
        return length >= listing->prefix_length && strcmp(key, listing->after) > 0;
    }
    return memcmp(key, listing->after, least(length, listing->after_length)) >= 0;
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct entry *)left)->order, ((const struct entry *)right)->order);
}

static int add_entry(struct folder *folder, const struct entry *entry)
{
    if (folder->count == folder->capacity) {
        size_t capacity = folder->capacity == 0 ? 64 : folder->capacity * 2;
        struct entry *grown = reallocarray(folder->entries, capacity, sizeof *grown);
        if (grown == NULL) {
            return ERR_NO_MEMORY;
        }
        folder->entries = grown;
        folder->capacity = capacity;
    }
    folder->entries[folder->count++] = *entry;
    return 0;
}

static int consider(struct listing *listing, struct folder *folder, struct arena *arena,
                    const char *name)
{
    int kind = blob_path_kind(name);
    if (kind < 0) {
        return 0;
    }
    struct entry entry = {
        .name = arena_strdup(arena, name),
        .order = arena_printf(arena, "%.*s%c", (int)(strlen(name) - BLOB_SUFFIX_BYTES), name,
                              order_mark[kind]),
        .kind = (enum blob_entry_kind)kind,
    };
    if (entry.name == NULL || entry.order == NULL) {
        return ERR_NO_MEMORY;
    }
    size_t adds = addition(&entry);
    if (listing->length + adds > BLOB_KEY_MAX + 1) {
        return 0;
    }
    memcpy(listing->key + listing->length, entry.order, adds);
    listing->key[listing->length + adds] = '\0';
    bool wanted = may_match(listing, listing->length + adds, kind == BLOB_ENTRY_OBJECT);
    return wanted ? add_entry(folder, &entry) : 0;
}

static int read_folder(struct listing *listing, int fd, struct folder *folder, struct arena *arena)
{
    int copy = blob_file_open_beneath(fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (stream == NULL) {
        if (copy >= 0) {
            (void)close(copy);
        }
        return copy < 0 ? copy : ERR_NO_MEMORY;
    }
    int error = 0;
    for (struct dirent *entry; error == 0 && (entry = readdir(stream)) != NULL;) {
        error = consider(listing, folder, arena, entry->d_name);
    }
    (void)closedir(stream);
    if (error == 0 && folder->count > 1) {
        qsort(folder->entries, folder->count, sizeof *folder->entries, compare);
    }
    return error;
}

static int visit_object(struct listing *listing, int folder, const char *name)
{
    int fd CLEANUP_CLOSE = blob_file_open_beneath(folder, name, O_RDONLY);
    if (fd < 0) {
        return fd == ERR_NOT_FOUND ? 0 : fd; /* deleted meanwhile */
    }
    struct blob_stat stat;
    int error = blob_trailer_read(fd, &stat);
    if (error == ERR_CORRUPT) {
        stat = (struct blob_stat){0}; /* listed all the same: who can't see it can't remove it */
        error = 0;
    }
    if (error != 0) {
        return error;
    }
    listing->left--;
    return listing->visit(listing->argument, listing->key, &stat);
}

static int walk(struct listing *listing, int fd);

static int walk_entry(struct listing *listing, int fd, const struct entry *entry)
{
    size_t before = listing->length;
    size_t adds = addition(entry);
    memcpy(listing->key + before, entry->order, adds);
    listing->length = before + adds;
    listing->key[listing->length] = '\0';
    int result;
    if (entry->kind == BLOB_ENTRY_OBJECT) {
        result = visit_object(listing, fd, entry->name);
    } else {
        int inner CLEANUP_CLOSE = blob_file_open_beneath(fd, entry->name, O_RDONLY | O_DIRECTORY);
        result = inner >= 0 ? walk(listing, inner) : inner == ERR_NOT_FOUND ? 0 : inner;
    }
    listing->length = before;
    return result;
}

/* Depth is bounded by the key's: 64 parts and the chunks of 1024 bytes. */
static int walk(struct listing *listing, int fd)
{
    struct folder folder = {0};
    struct arena *arena = arena_new(FOLDER_ARENA_BYTES_MAX);
    int result = arena != NULL ? read_folder(listing, fd, &folder, arena) : ERR_NO_MEMORY;
    for (size_t i = 0; result == 0 && listing->left > 0 && i < folder.count; i++) {
        result = walk_entry(listing, fd, &folder.entries[i]);
    }
    free(folder.entries);
    arena_free(arena);
    return result;
}

int blob_file_list(struct blob_store *store, const char *bucket, const char *prefix,
                   const char *after, unsigned limit,
                   int (*visit)(void *argument, const char *key, const struct blob_stat *stat),
                   void *argument)
{
    int base CLEANUP_CLOSE = blob_file_open_bucket(file_store_of(store), bucket);
    if (base < 0) {
        return base;
    }
    struct listing listing = {
        .prefix = prefix,
        .after = after,
        .prefix_length = strlen(prefix),
        .after_length = strlen(after),
        .left = limit,
        .visit = visit,
        .argument = argument,
    };
    return walk(&listing, base);
}
