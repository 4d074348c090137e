/* Between blob_s3_call.c, which signs and tries again, and blob_s3_send.c, which sends. */
#pragma once

#include "backend/blob/blob_s3.h"

struct curl_slist;

/* Sends once. 0: there was an answer, of whatever status; else why there was none, and words. */
int blob_s3_send(struct s3_store *store, void *curl, const struct s3_call *call, const char *url,
                 const struct curl_slist *headers, struct s3_answer *answer);
