/* Open media files: a bounded cache of descriptors with what is known of each, so that a loop can
 * answer without opening anything. Any thread; the locks are held for a few instructions. */
#pragma once

#include "backend/blob/blob.h"

#include <stdbool.h>

struct media_files;

enum { MEDIA_KEY_SIZE = 160 };

int media_files_new(struct blob_store *blobs, struct media_files **ret_files);
void media_files_free(struct media_files *files); /* NULL is fine */
/* The media bucket's object, opened, the caller's to close, and its description. may_block false:
 * only what is cached, else ERR_BUSY. ERR_NOT_FOUND. */
int media_files_open(struct media_files *files, const char *key, bool may_block,
                     struct blob_source *ret_source, struct blob_stat *ret_stat);
