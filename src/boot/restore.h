/* What the files of `tutti restore` share (restore.c says what happens in which order). Functions
 * return 0, or an error with words in restore->problem. */
#pragma once

#include "base/problem.h"
#include "boot/archive.h"
#include "boot/backup_objects.h"
#include "boot/place.h"
#include "boot/progress.h"
#include "boot/renames.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct command_line;

#define RESTORE_STAGED ".restoring"
#define RESTORE_ASIDE  "before-restore-"

struct restore {
    const struct command_line *line;
    const char *path;
    struct archive_secret *secret;
    struct archive_about about;
    struct place place;
    struct problem problem;
    struct backup_objects sums;
    struct progress progress;
    uint64_t read_bytes;
    bool has_configuration, has_environment;
    bool has_database[PLACE_DATABASES_];
    char configuration[PATH_MAX], environment[PATH_MAX]; /* where they go */
    char files[PLACE_DATABASES_]
              [PATH_MAX]; /* the databases; of one that is no file, where it is staged */
    bool put_aside;       /* what a server had is under another name there */
    bool names_objects;   /* the archive's catalog does */
    char keys[PATH_MAX];  /* place.keys, without a slash at its end */
    char aside[64];       /* the folder beside what was there that it goes into */
    struct renames renames;
    unsigned asides; /* so many of them, the first, put aside what was there */
    char journal[PATH_MAX];
    bool journaled; /* its journal is there: names may be changed, and servers filled */
};

/* restore.c */

/* "PATH.restoring"; false: too long. */
bool restore_staged(const char *path, char ret_staged[PATH_MAX]);
/* A name in the folder that holds a path; false: too long. */
bool restore_beside(const char *path, const char *name, char ret_path[PATH_MAX]);
bool restore_exists(const char *path);
/* Words of an errno; the error. */
int restore_trouble(struct restore *restore, const char *path, int cause);

/* restore_stage.c */

/* Authenticates the archive and writes what it holds to staged files, durably. */
int restore_stage(struct restore *restore);
/* Removes what was staged, of this restore or one that was killed. */
void restore_remove_staged(const struct restore *restore);
/* The same of one database. */
void restore_remove_staged_file(const char *file);

/* restore_place.c */

/* This process alone works on what is there. ERR_BUSY: another one does. */
int restore_claim(struct restore *restore);
/* Takes back what a restore that was cut off had changed. */
int restore_recover(struct restore *restore);
/* Plans the renames and writes their journal: from here on nobody else opens the data. */
int restore_begin_placing(struct restore *restore);
int restore_fill_servers(struct restore *restore);
int restore_place_all(struct restore *restore);
/* After a failure behind begin_placing; complains where it can't. Whether what is staged may go:
 * not where names are left changed. */
bool restore_take_back(struct restore *restore);
/* The folders of what was there before, each once, in words. */
void restore_write_asides(const struct restore *restore, FILE *out);
