/* Whose something is and whether all may see it (access_store.c). ERR_NOT_FOUND for tombstones. */
#pragma once

#include "service/catalog/catalog.h"

int access_find(struct db_session *session, enum catalog_kind kind, int64_t id,
                int64_t *ret_owner_user_id, bool *ret_published);
