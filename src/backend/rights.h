/* Root's rights over files, in a command that root runs on what another user owns (boot/owner.h).
 * They are kept, but not in effect: what that user wrote, links and lists of names among it, is
 * followed with that user's own rights. They are in effect for what the operator named beside it (a
 * backup's file, a folder of music), and only where the user could lead nobody elsewhere.
 *
 * Everybody else keeps none; then all of this is as if it were not there. Rights in effect are a
 * thread's, and those that it starts meanwhile; one begin before the next needs an end.
 */
#pragma once

struct stat;

/* Keeps them, not in effect. Right after the change of the user, before there are other threads. */
void rights_keep(void);

/* In effect from here on if the path, from folder (AT_FDCWD: the working directory), is firm: there
 * is no folder on the way, links' ways included, in which the user could change a name. */
void rights_begin(int folder, const char *path);
/* In effect from here on: for what works below descriptors and follows no links. */
void rights_begin_beneath(void);
/* Not in effect any more; errno stays. */
void rights_end(void);

/* openat(2) and fstatat(2): as the user, and where that is not allowed, with the rights as far as
 * the path is firm, and from there on as the user. Nothing is made. */
int rights_open(int folder, const char *path, int flags);
int rights_stat(int folder, const char *path, struct stat *ret_status);
