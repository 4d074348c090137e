/* What the files of the file engine share. Nobody else includes this.
 *
 * The folder:
 *   objects/{bucket}/…      one file an object (blob_file_path.h), bytes then trailer
 *   multipart/{2}/{id}/     one upload: "upload.obj" (its bytes: bucket, newline, key; its trailer:
 * the object's types) and a file "00001.obj" a part, of the same make (its headers: the part's
 * checksum)
 *   temporary/              what is being written; each file is locked (flock) by its writer
 * Invariants:
 *   1. A file under objects/ or multipart/ is whole: it came by rename, after its fsync.
 *   2. It is never changed in place, so a hard link is a copy.
 *   3. What is acknowledged is durable: the folder that took the name is fsynced before that, and a
 *      folder that was made is fsynced in its parent before it is used (make_lock).
 *   4. An unlocked file in temporary/ belongs to nobody: whoever opens the store removes it.
 *   5. Whoever renames into a folder of objects or removes from it holds its lock (flock), shared;
 *      who looks before that (if_match) holds it alone.
 */
#pragma once

#include "backend/blob/blob_engine.h"
#include "backend/blob/blob_file_path.h"
#include "backend/blob/blob_file_trailer.h"
#include "backend/blob/blob_keys.h"
#include "base/buffer.h"

#include <nettle/md5.h>
#include <pthread.h>

enum { BLOB_TEMPORARY_MAX = 40 };

struct file_store {
    struct blob_store head;
    struct blob_keys *keys;                  /* of sealed objects; NULL: none */
    bool seal;                               /* what is written is sealed */
    int root, objects, multipart, temporary; /* folders */
    pthread_mutex_t make_lock;               /* held while folders are looked up or made */
};

/* What a writer of a sealed object holds: the chunk that is being filled. It is sealed when the
 * next byte comes, or at the end as the last. */
struct file_seal {
    unsigned char secret[BLOB_SECRET_BYTES];
    unsigned char key[SEAL_KEY_BYTES]; /* of the chunks */
    uint64_t index;
    size_t used;
    unsigned char plain[SEAL_PLAIN_BYTES];
    unsigned char sealed[SEAL_CHUNK_BYTES];
    char place[BLOB_PLACE_SIZE];
};

/* A file being written. base and path say where it goes. */
struct file_writer {
    struct blob_writer head;
    struct file_store *store;
    int fd;
    int base;          /* owned: the folder path starts from */
    bool make_parents; /* folders of path may be made (objects), or must be there (parts) */
    bool by_descriptor;
    bool unread; /* what is spliced can't be read: it is not this file that failed */
    int error;   /* the first failure; commit answers it */
    struct md5_ctx md5;
    uint64_t synced; /* bytes whose writing back has been started */
    struct blob_stat stat;
    char *headers;          /* owned; NULL: none */
    struct file_seal *seal; /* owned; NULL: the bytes are written as they come */
    char temporary[BLOB_TEMPORARY_MAX];
    char path[BLOB_PATH_MAX];
};

static inline struct file_store *file_store_of(struct blob_store *store)
{
    return (struct file_store *)(void *)store;
}

/* blob_file_folder.c */
/* openat, below base only and through no symbolic link. The descriptor or an error. */
int blob_file_open_beneath(int base, const char *path, int flags);
/* The bucket's folder; ERR_NOT_FOUND where there is none. */
int blob_file_open_bucket(struct file_store *store, const char *bucket);
/* Makes a folder, durably; where that fails there is none. ERR_EXISTS. */
int blob_file_make_synced(int parent, const char *name);
/* Makes the folder if it is not there, durably (invariant 3), and opens it. The descriptor or an
 * error. */
int blob_file_make_folder(int parent, const char *name);
/* Opens the folder that holds path's last name, making what is missing if make. The descriptor, or
 * an error (ERR_NOT_FOUND). *ret_leaf points into path. */
int blob_file_open_parent(struct file_store *store, int base, const char *path, bool make,
                          const char **ret_leaf);

/* blob_file_write.c */
/* A writer to path below base (taken, also on failure). */
int blob_file_writer_new(struct file_store *store, int base, const char *path, bool make_parents,
                         const struct blob_meta *meta, struct file_writer **ret_writer);
/* Makes the writer's object a sealed one, at its place; before the first byte. secret: the
 * object's, for one whose sealed bytes are spliced; NULL: a new one. */
int blob_file_writer_seal(struct file_writer *writer, const char *prefix, const char *path,
                          const unsigned char *secret);
/* As put_commit, with the ETag given (NULL: the MD5 of the bytes). Frees the writer. */
int blob_file_writer_commit(struct file_writer *writer, const char *etag,
                            const struct blob_condition *condition, struct blob_stat *ret_stat);
/* Appends the first bytes of a file as they are, in the kernel where it can (not to another file
 * system); not part of the MD5. */
int blob_file_writer_splice(struct file_writer *writer, int from, uint64_t bytes);
/* Appends all of an object's bytes by way of the writer. Takes the source. */
int blob_file_writer_append(struct file_writer *writer, struct blob_source *source);

/* Whether the object that has the name in the folder now has this ETag ("*": any): 0,
 * ERR_PRECONDITION, or ERR_NOT_FOUND where there is none. Under the folder's lock, held alone. */
int blob_file_check_match(int parent, const char *leaf, const char *etag);
/* Renames the temporary file to its place, if the condition holds there, and syncs that folder. */
int blob_file_writer_publish(struct file_writer *writer, const struct blob_condition *condition);
/* Forgets the writer; the temporary file, if it still has its name, stays. */
void blob_file_writer_free(struct file_writer *writer);
int blob_file_put_open(struct blob_store *store, const char *bucket, const char *key,
                       const struct blob_meta *meta, struct blob_writer **ret_writer);
int blob_file_put_write(struct blob_writer *writer, const void *bytes, size_t length);
int blob_file_put_target(struct blob_writer *writer, struct blob_source *ret_target);
/* A part's headers are its sum. */
int blob_file_put_sum(struct blob_writer *writer, const char *sum);
int blob_file_put_commit(struct blob_writer *writer, const struct blob_condition *condition,
                         struct blob_stat *ret_stat);
void blob_file_put_abort(struct blob_writer *writer);

/* blob_file.c and blob_file_copy.c */
/* Removes what nobody writes to any more (invariant 4). A killed process's child may hold a lock a
 * little longer than it, so this is done again with every sweep of uploads. */
int blob_file_sweep_temporary(struct file_store *store);
int blob_file_open_object(struct blob_store *store, const char *bucket, const char *key,
                          struct blob_source *ret_source, struct blob_stat *ret_stat);
/* As open_object; secret: of a sealed object. */
int blob_file_open_secret(struct file_store *store, const char *bucket, const char *key,
                          struct blob_source *ret_source, struct blob_stat *ret_stat,
                          unsigned char *secret);
/* The source of an open file (which it takes, also when it fails) whose trailer was read. secret:
 * NULL, or where the sealed object's secret goes. */
int blob_file_source(struct file_store *store, int fd, const char *prefix, const char *path,
                     const struct blob_stat *stat, struct blob_source *ret_source,
                     unsigned char *secret);
int blob_file_copy(struct blob_store *store, const char *bucket, const char *key, const char *etag,
                   const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                   const struct blob_condition *condition, struct blob_stat *ret_stat);

/* blob_file_list.c */
int blob_file_list(struct blob_store *store, const char *bucket, const char *prefix,
                   const char *after, unsigned limit,
                   int (*visit)(void *argument, const char *key, const struct blob_stat *stat),
                   void *argument);

/* blob_file_mirror.c */
int blob_file_mirror(struct blob_store *from, struct blob_store *to, const char *bucket,
                     const struct blob_mirror *mirror, struct problem *problem);

/* blob_file_multipart.c */
int blob_file_multipart_create(struct blob_store *store, const char *bucket, const char *key,
                               const struct blob_meta *meta,
                               char ret_upload_id[BLOB_UPLOAD_ID_MAX]);
int blob_file_multipart_put_open(struct blob_store *store, const char *bucket, const char *key,
                                 const char *upload_id, unsigned number,
                                 struct blob_writer **ret_writer);
int blob_file_multipart_list(struct blob_store *store, const char *bucket, const char *key,
                             const char *upload_id, unsigned after_number, unsigned limit,
                             int (*visit)(void *argument, const struct blob_part *part),
                             void *argument);
int blob_file_multipart_complete(struct blob_store *store, const char *bucket, const char *key,
                                 const char *upload_id, const struct blob_part *parts,
                                 unsigned count, const struct blob_condition *condition,
                                 struct blob_stat *ret_stat, struct problem *problem);
int blob_file_multipart_uploads(struct blob_store *store, const char *bucket,
                                int (*visit)(void *argument, const char *key, const char *upload_id,
                                             int64_t begun_ms),
                                void *argument);
int blob_file_multipart_abort(struct blob_store *store, const char *bucket, const char *key,
                              const char *upload_id);
/* Appends the ids of the bucket's uploads to ret_ids, which is made here and the caller's; as many
 * as it has room for. */
int blob_file_multipart_collect(struct blob_store *head, const char *bucket,
                                struct buffer *ret_ids);
void blob_file_multipart_remove(struct file_store *store, const struct buffer *ids);
int blob_file_multipart_sweep(struct blob_store *store, int64_t before_ms);
