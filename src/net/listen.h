/* The listening socket. */
#pragma once

struct problem;

/* Whether listen_open would understand it: 0, or ERR_INVALID with words. */
int listen_check(const char *listen_address, struct problem *problem);
/* Opens "127.0.0.1:4040", "[::1]:4040" or "*:4040" (all addresses of both families); port 0: any,
 * told in *ret_port. ERR_INVALID for what is no address, ERR_UNAVAILABLE where it can't be had,
 * with words in problem. */
int listen_open(const char *listen_address, int *ret_fd, unsigned *ret_port,
                struct problem *problem);
/* Stops listening while an event loop goes on with fd: its number becomes a socket that hears
 * nothing. Connections that were accepted stay. Any thread. */
int listen_end(int fd);
