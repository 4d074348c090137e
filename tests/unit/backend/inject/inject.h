/* Failures on demand, as SQLite's own tests make them: the n-th call of a kind fails, for each n,
 * until an operation gets through untouched. The calls are those of the program under test (the
 * linker's
 * --wrap, see meson.build), of jansson, and of SQLite (its allocator, and a VFS).
 *
 * A test gives its operation as a struct inject_case; inject_each runs it with every kind, the n-th
 * call alone and the n-th with all that follow, and has it checked after each. Failures hit all
 * threads: the operation's own may be others (SQLite's writer, the bus). One test at a time.
 */
#pragma once

#include <stdbool.h>

enum inject_kind {
    INJECT_MEMORY, /* malloc and its kin: NULL */
    INJECT_FULL,   /* write, pwrite, copy_file_range, ftruncate, of streams fwrite, fflush and
                      fclose: ENOSPC */
    INJECT_WRITE,  /* the same: EIO */
    INJECT_SHORT,  /* write, pwrite, copy_file_range: half of the bytes */
    INJECT_READ,   /* pread: EIO */
    INJECT_SYNC,   /* fsync, fdatasync: EIO */
    INJECT_NAME,   /* rename, link, mkdir: EIO */
    INJECT_OPEN,   /* open and its kin, dup, fdopendir, fopen: EMFILE */
    INJECT_THREAD, /* pthread_create: EAGAIN */
    INJECT_KINDS
};

#define INJECT_BIT(kind) (1u << (kind))

struct inject_case {
    const char *name; /* NULL: not to be run here */
    unsigned
        hits; /* INJECT_BITs: kinds that the operation surely meets; others are tried as well */
    unsigned skip; /* INJECT_BITs: kinds that are not tried */
    bool thin;     /* so many calls that past the 64th only some of them are tried, ever fewer */
    /* Without failures, before each run; may be NULL. */
    void (*prepare)(void);
    /* The operation: 0 or an error. No assertions in here: they would fail for want of memory. */
    int (*run)(void);
    /* Without failures again: looks at what is there, and does it again. */
    void (*check)(int result);
};

/* One case after another; those without a name are left out. */
void inject_each(const struct inject_case *cases, unsigned count);

/* The n-th call of a kind from now on fails, alone or with all that follow. */
void inject_start(enum inject_kind kind, unsigned nth, bool from_then_on);
/* Ends it; how many calls failed. */
unsigned inject_stop(void);
enum inject_kind inject_kind_now(void); /* of the run that is being checked */

/* From now on copy_file_range finds its two files on two file systems, in every run (EXDEV); no
 * failure by itself. */
void inject_apart(bool apart);

/* What is done right after the next rename, by another process, say. */
void inject_after_rename(void (*meanwhile)(void));

/* How many names were made (mkdirat, renameat2, linkat) in folders that were not synced since. What
 * is told as done must leave none. */
unsigned inject_names_unsynced(void);
void inject_names_forget(void);

/* Of a group of cmocka tests: puts the failures under SQLite and jansson. Before SQLite is used. */
int inject_install(void **state);
/* Of each test: a folder, gone at its end, when no descriptor may be open that was not before. */
int inject_setup(void **state);
int inject_teardown(void **state);
const char *inject_folder(void);
