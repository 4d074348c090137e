/* What the files of `tutti doctor` share: the checks, and how they tell what they found. */
#pragma once

#include "boot/place.h"

#include <stdbool.h>

struct blob_store;
struct command_line;
struct config;
struct db;
struct problem;

enum finding_state { FINDING_OK, FINDING_WARNING, FINDING_FAILED };

struct finding {
    enum finding_state state;
    char detail[640];
    char advice[320]; /* what to do; "" where there is nothing */
};

struct doctor {
    const struct command_line *line;
    const struct config *config; /* NULL: it can't be read */
    struct place place;
    bool shut;                              /* by a restore: nothing of the data is looked at */
    struct db *databases[PLACE_DATABASES_]; /* NULL: it isn't there, or can't be opened */
    struct blob_store *objects;             /* likewise */
};

/* What is found replaces what was found before only where it is worse or as bad. */
void finding_ok(struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void finding_warn(struct finding *finding, const char *advice, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void finding_fail(struct finding *finding, const char *advice, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What a problem says. */
const char *finding_words(const struct problem *problem, int error);

/* doctor_system.c: the machine and the files' rights */
void doctor_check_configuration(struct doctor *doctor, struct finding *finding);
void doctor_check_data(struct doctor *doctor, struct finding *finding);
void doctor_check_keys(struct doctor *doctor, struct finding *finding);
void doctor_check_disk(struct doctor *doctor, struct finding *finding);
void doctor_check_clock(struct doctor *doctor, struct finding *finding);
void doctor_check_limits(struct doctor *doctor, struct finding *finding);

/* doctor_data.c: what is stored. The first three open the databases. */
void doctor_check_catalog(struct doctor *doctor, struct finding *finding);
void doctor_check_users(struct doctor *doctor, struct finding *finding);
void doctor_check_activity(struct doctor *doctor, struct finding *finding);
void doctor_check_events(struct doctor *doctor, struct finding *finding);
void doctor_check_jobs(struct doctor *doctor, struct finding *finding);
void doctor_check_objects(struct doctor *doctor, struct finding *finding);
void doctor_check_store(struct doctor *doctor, struct finding *finding);

/* doctor_bytes.c: all objects are read; after doctor_check_objects, which opens the store */
void doctor_check_bytes(struct doctor *doctor, struct finding *finding);

/* doctor_s3.c; it opens the objects too */
void doctor_check_s3(struct doctor *doctor, struct finding *finding);

/* doctor_redis.c */
void doctor_check_redis(struct doctor *doctor, struct finding *finding);

/* doctor_search.c */
void doctor_check_search(struct doctor *doctor, struct finding *finding);

/* doctor_service.c: what must answer */
void doctor_check_media(struct doctor *doctor, struct finding *finding);
void doctor_check_bus(struct doctor *doctor, struct finding *finding);
void doctor_check_server(struct doctor *doctor, struct finding *finding);
void doctor_check_edges(struct doctor *doctor, struct finding *finding);
void doctor_check_mail(struct doctor *doctor, struct finding *finding);
