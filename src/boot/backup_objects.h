/* Copying objects from one store into another, with a word about it: what backup and restore share.
 * Main thread. */
#pragma once

#include "backend/blob/blob.h"

#include <stdbool.h>
#include <stdint.h>

struct command_line;
struct place;
struct problem;

/* BACKUP_NAMED_MAX: of what was mended so many are named; of what wants a person, all.
 * BACKUP_TURNS: in so many backups each copy is read once, if they are made at even times: it is a
 * prime, so that one of any number of days apart (but a multiple of it) comes to every turn. */
enum { BACKUP_NAMED_MAX = 20, BACKUP_TURNS = 31 };

/* read: which of the objects that are there already are to be read. The rest is counted: kept are
 * those that were newer where they were to be copied to; damaged are those that were left out, and
 * copies whose bytes are wrong and could not be copied again. */
struct backup_objects {
    struct blob_share read;
    bool keep_newer; /* copies go back into a store that may be written to (struct blob_mirror) */
    uint64_t seen, copied, copied_bytes, was_read, mended, kept, damaged;
};

/* All of them where the line says --verify, else none. */
struct blob_share backup_read_all(const struct command_line *line);

/* A store by its URL ("file:DIR"), for copying alone. keys: where the keys of encrypted objects
 * are, so that these can be checked; they may be missing. */
int backup_store_open(const char *url, const char *keys, struct blob_store **ret_store,
                      struct problem *problem);
/* ERR_NOT_FOUND with words: a folder is no store, so it holds no objects. Who opens it makes it
 * one. */
int backup_store_check_folder(const char *folder, struct problem *problem);
/* The store in a folder that must be one already, or (make) may be made. */
int backup_store_open_folder(const char *folder, int make, const char *keys,
                             struct blob_store **ret_store, struct problem *problem);
/* Whether objects can be copied from one folder to the other, which needn't be there yet.
 * ERR_INVALID with words: they are one folder, whatever they are called, or one is inside the
 * other. */
int backup_check_apart(const char *from, const char *to, struct problem *problem);
/* Whether --blobs can be this folder (NULL: there is none): it has a name, and is apart from the
 * store, where that is a folder. */
int backup_check_copies(const struct place *place, const char *folder, struct problem *problem);
/* All buckets, or one. Adds to *sums; damaged and mended objects are named on standard error. */
int backup_objects_copy(struct blob_store *from, struct blob_store *to, const char *bucket,
                        const char *label, struct backup_objects *sums, struct problem *problem);
