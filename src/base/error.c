/* The closed list of errors: names, titles and statuses (error.h). */
#include "base/error.h"

#include <errno.h>
#include <stddef.h>

struct error_row {
    const char *name;
    const char *title;
    int status;
};

static const struct error_row rows[] = {
#define X(constant, type, status_code, title_text)                                                 \
    [(constant)-ERR_FIRST_] = {type, title_text, status_code},
    ERROR_LIST(X)
#undef X
};

static const struct error_row *find(int code)
{
    if (code <= ERR_FIRST_ || code >= ERR_END_) {
        return NULL;
    }
    return &rows[code - ERR_FIRST_];
}

const char *error_name(int code)
{
    const struct error_row *row = find(code);
    if (code >= 0) {
        return "ok";
    }
    return row != NULL ? row->name : "unknown";
}

const char *error_title(int code)
{
    const struct error_row *row = find(code);
    return row != NULL ? row->title : "Unknown error";
}

int error_http_status(int code)
{
    const struct error_row *row = find(code);
    return row != NULL ? row->status : 500;
}

bool error_is_refusal(int code)
{
    return code < 0 && error_http_status(code) < 500;
}

int error_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return 0;
    case ENOSPC:
    case EDQUOT:
        return ERR_DISK_FULL;
    case ENOENT:
        return ERR_NOT_FOUND;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case EEXIST:
        return ERR_EXISTS;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_IO;
    }
}
