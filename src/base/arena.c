/* An arena (arena.h): a list of blocks, each twice the one before up to BLOCK_MAX; larger pieces
 * get a block of their own. Callbacks registered with arena_at_end live in the arena itself. */
#include "base/arena.h"

#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_MIN = 4096, BLOCK_MAX = 256 * 1024, ALIGNMENT = 16 };
static const size_t BYTES_MAX_DEFAULT = 64u << 20;

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

struct at_end {
    struct at_end *next;
    void (*run)(void *argument);
    void *argument;
};

struct arena {
    struct block *blocks; /* newest first; the first block is last */
    struct at_end *at_end;
    size_t bytes, bytes_max;
};

static struct block *block_add(struct arena *arena, size_t at_least)
{
    size_t size = arena->blocks != NULL ? arena->blocks->size * 2 : BLOCK_MIN;
    if (size > BLOCK_MAX) {
        size = BLOCK_MAX;
    }
    if (size < at_least) {
        size = at_least;
    }
    if (size > arena->bytes_max - arena->bytes) {
        size = at_least;
    }
    if (size > arena->bytes_max - arena->bytes) {
        return NULL;
    }
    struct block *block = malloc(sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){.next = arena->blocks, .size = size};
    arena->blocks = block;
    arena->bytes += size;
    return block;
}

struct arena *arena_new(size_t bytes_max)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL) {
        return NULL;
    }
    arena->bytes_max = bytes_max != 0 ? bytes_max : BYTES_MAX_DEFAULT;
    return arena;
}

static void run_at_end(struct arena *arena)
{
    while (arena->at_end != NULL) {
        struct at_end *entry = arena->at_end;
        arena->at_end = entry->next;
        entry->run(entry->argument);
    }
}

static void free_blocks(struct arena *arena, struct block *keep)
{
    struct block *block = arena->blocks;
    while (block != keep) {
        struct block *next = block->next;
        arena->bytes -= block->size;
        free(block);
        block = next;
    }
    arena->blocks = keep;
}

void arena_free(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    run_at_end(arena);
    free_blocks(arena, NULL);
    free(arena);
}

void arena_reset(struct arena *arena)
{
    run_at_end(arena);
    struct block *first = arena->blocks;
    while (first != NULL && first->next != NULL) {
        first = first->next;
    }
    free_blocks(arena, first);
    if (first != NULL) {
        first->used = 0;
    }
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    assert(arena != NULL);
    if (bytes > SIZE_MAX - ALIGNMENT) {
        return NULL;
    }
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded == 0) {
        rounded = ALIGNMENT;
    }
    struct block *block = arena->blocks;
    if (block == NULL || block->size - block->used < rounded) {
        block = block_add(arena, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    void *piece = block->bytes + block->used;
    block->used += rounded;
    return memset(piece, 0, rounded);
}

void *arena_array(struct arena *arena, size_t count, size_t bytes)
{
    size_t product;
    if (__builtin_mul_overflow(count, bytes, &product)) {
        return NULL;
    }
    return arena_alloc(arena, product);
}

char *arena_strndup(struct arena *arena, const char *text, size_t bytes)
{
    char *copy = arena_alloc(arena, bytes + 1);
    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length >= 0 ? arena_alloc(arena, (size_t)length + 1) : NULL;
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    return text;
}

int arena_at_end(struct arena *arena, void (*run)(void *argument), void *argument)
{
    struct at_end *entry = arena_new_of(arena, struct at_end);
    if (entry == NULL) {
        return ERR_NO_MEMORY;
    }
    *entry = (struct at_end){.next = arena->at_end, .run = run, .argument = argument};
    arena->at_end = entry;
    return 0;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->bytes;
}
