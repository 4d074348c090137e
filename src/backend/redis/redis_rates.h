/* Rate limits shared by all processes (net/rates.h): buckets in Redis under tutti:rate:KEY, each
 * the time at which it would be full again by Redis' own clock, gone when it is. */
#pragma once

#include "net/rates.h"

/* A rates_exchange; context: the struct redis. One script, one round trip, up to
 * RATES_EXCHANGE_MAX buckets. */
int redis_rates_exchange(void *redis, struct rates_spent *spent, unsigned count);
