/* Rows as the JSON of answers (docs/api/paths/catalog.yaml). NULL: out of memory. */
#pragma once

#include "service/catalog/catalog_rows.h"

#include <jansson.h>

json_t *artist_json(const struct artist_row *row);
json_t *album_json(const struct album_row *row);
json_t *track_json(const struct track_row *row);
json_t *genre_json(const struct genre_row *row);
