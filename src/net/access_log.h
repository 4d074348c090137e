/* The access log: a line a request, after its last byte. Loop threads. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct request_private;

void access_log_request(struct request_private *request, int64_t duration_us, bool sent);
