/* Whose something is and whether all may see it (access_store.c). ERR_NOT_FOUND for tombstones. */
#pragma once

#include "service/catalog/catalog.h"

struct sight;
int access_find(struct db_session *session, enum catalog_kind kind, int64_t id,
                struct sight *ret_sight);
