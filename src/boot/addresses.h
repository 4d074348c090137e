/* The addresses, and the roles, in a configuration, looked at without connecting. Main thread. */
#pragma once

struct config;
struct problem;

/* ERR_INVALID with words that name the setting and hold no secret. */
int addresses_check(const struct config *config, struct problem *problem);
