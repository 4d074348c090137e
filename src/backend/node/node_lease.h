/* Node numbers for ids (base/id.h), leased in the database so that no two living processes share
 * one. Taken once at start, on the main thread; a thread of its own holds it from then on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct db;
struct node_lease;
struct problem;

enum {
    NODE_LEASE_MS = 5 * 60 * 1000,  /* a killed process's number is free again after this */
    NODE_HEARTBEAT_MS = 100 * 1000, /* seldom, so that an idle server leaves the disk alone */
};

/* Takes the lowest free node number in db and calls id_init with it and with a floor above all ids
 * that earlier holders can have given out. Runs its migrations. lost(argument) is called once, from
 * the lease's thread, when the lease could not be held: the process must make no more ids, so it
 * should end. ERR_UNAVAILABLE: all are taken. */
int node_lease_take(struct db *db, void (*lost)(void *argument), void *argument,
                    struct node_lease **ret_lease, struct problem *problem);
unsigned node_lease_number(const struct node_lease *lease);
bool node_lease_is_held(const struct node_lease *lease);
/* Gives it back, for the next to start; no ids may be made afterwards. NULL is fine. Before
 * db_close.
 */
void node_lease_release(struct node_lease *lease);

/* For tests: other times than the above. */
int node_lease_take_for(struct db *db, int64_t lease_ms, int64_t heartbeat_ms,
                        void (*lost)(void *argument), void *argument, struct node_lease **ret_lease,
                        struct problem *problem);
