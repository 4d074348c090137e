/* Pictures (art_http.c). art_sink is where their bytes go as they arrive: straight into the store,
 * visible to nobody until the handler has looked at them. */
#pragma once

#include "net/http.h"

struct db_session;
struct art_row;

extern const struct body_sink art_sink;
/* Inserts the row and tells of the picture, whose sizes are then made. */
int art_create(struct db_session *session, const struct art_row *row);
