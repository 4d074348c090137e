/* Pictures that were found in tracks' files become covers (art_found.c). */
#pragma once

struct catalog;

#define ART_FOUND_CONSUMER "catalog.art"
extern const char *const art_found_types[];

/* Subscribes the consumer of media.art. */
int art_found_subscribe(struct catalog *catalog);
