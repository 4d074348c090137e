/* An arena: memory that is taken piece by piece and freed at once, at the end of a request or a
 * job. Not thread-safe; one owner at a time. Blocks grow from 4 KiB by doubling up to 256 KiB.
 */
#pragma once

#include <stddef.h>

struct arena;

/* A new arena that never holds more than bytes_max (0: 64 MiB). NULL: out of memory. */
struct arena *arena_new(size_t bytes_max);
void arena_free(struct arena *arena);  /* NULL is fine */
void arena_reset(struct arena *arena); /* forgets all, keeps the first block */

/* Aligned for any type, zeroed. NULL: out of memory or past the arena's maximum. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* As arena_alloc, of count × bytes, checked against overflow. */
void *arena_array(struct arena *arena, size_t count, size_t bytes);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t bytes);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Registers a function to run when the arena is reset or freed (last in, first out).
 * 0 or ERR_NO_MEMORY (then nothing is registered). */
int arena_at_end(struct arena *arena, void (*run)(void *), void *argument);
size_t arena_bytes(const struct arena *arena); /* taken from the system */

#define arena_new_of(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
