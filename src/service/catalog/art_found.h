/* Pictures that were found in tracks' files become covers (art_found.c). */
#pragma once

struct catalog;

/* Subscribes the consumer of media.art. */
int art_found_subscribe(struct catalog *catalog);
