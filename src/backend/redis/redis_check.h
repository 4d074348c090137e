/* A Redis looked at by a person (`tutti doctor`): does it answer as what the address says, may this
 * user do there all that the program does, and will it refuse writes one day? Blocks. */
#pragma once

#include "backend/redis/redis_address.h"

#include <stdbool.h>
#include <stdint.h>

struct problem;

struct redis_report {
    char primary[REDIS_TEXT_SIZE];
    char version[32];
    int64_t answer_us;      /* the time of a round trip */
    char missing[256];      /* what the ACL lacks, as ACL SETUSER takes it: "+evalsha &tutti:*"; "":
                               nothing */
    bool refuses_when_full; /* maxmemory is set, and its policy is noeviction */
    char silent[256];       /* Sentinels that don't answer or don't know the primary; "": none */
};
/* 0 with a report, or what stands in the way at all, in one line of words without secrets. */
int redis_check(const char *url, struct redis_report *ret_report, struct problem *problem);
