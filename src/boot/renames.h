/* Renames that belong together: all are made, or none, whatever ends the process or the machine in
 * between. For `tutti restore`. Main thread.
 *
 *   1. Before the first is made, their list is in a file, the journal; after the last it goes.
 *   2. Each lasts before the next is made. So of a list that is found later some first ones are
 *      made and the others are not, unless people undid some by hand, in whatever order.
 *   3. What is renamed goes where nothing is, or where an earlier one made room. So one is made
 *      where its target is there and its source is not, and is undone by renaming back.
 *
 * A folder that a target lacks is made, and goes again when it is empty after undoing.
 */
#pragma once

struct problem;

enum { RENAMES_MAX = 64 };

/* All zero to begin with. */
struct renames {
    unsigned count;
    char *from[RENAMES_MAX], *to[RENAMES_MAX]; /* absolute */
};

/* Adds one to the end of the list; nothing is renamed yet. ERR_INVALID with words: one too many, or
 * a path that a line can't hold. */
int renames_add(struct renames *renames, const char *from, const char *to, struct problem *problem);
/* Makes them in their order. After an error some are made: undo. */
int renames_make(const struct renames *renames, struct problem *problem);
/* Renames those back that are made, the last first. After an error some still are. ERR_CONFLICT
 * with words: of one both names are gone; then none is renamed. */
int renames_undo(const struct renames *renames, struct problem *problem);
/* Frees the list; it may be added to again. */
void renames_done(struct renames *renames);

/* Writes the journal, which appears whole and durable or not at all. words: its first line, for
 * people who find it. */
int renames_write(const struct renames *renames, const char *journal, const char *words,
                  struct problem *problem);
/* The list of a journal, added to an empty one. */
int renames_read(struct renames *renames, const char *journal, struct problem *problem);
/* Removes a journal, durably. */
int renames_forget(const char *journal, struct problem *problem);
