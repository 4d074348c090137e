/* Where the bytes of a picture go as they arrive: straight into the store, visible to nobody until
 * the handler has looked at them (art_http.c). */
#pragma once

#include "net/http.h"

extern const struct body_sink art_sink;
