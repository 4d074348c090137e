/* S3's errors (s3_errors.h). The answer itself, XML with the request's id, is made by net. */
#include "service/objectstore/s3_errors.h"

#include "base/error.h"
#include "net/http.h"

struct row {
    const char *word;
    int code;
    const char *message;
};

static const struct row rows[] = {
#define X(constant, word_text, error_code, message_text)                                           \
    [constant] = {word_text, error_code, message_text},
    S3_ERROR_LIST(X)
#undef X
};

int s3_fail(struct request *request, enum s3_error error)
{
    return s3_fail_with(request, error, rows[error].message);
}

int s3_fail_with(struct request *request, enum s3_error error, const char *message)
{
    request->xml_code = rows[error].word;
    return problem_set(&request->call.problem, rows[error].code, "%s", message);
}

int s3_fail_code(struct request *request, int code)
{
    if (code == ERR_BUSY || code == ERR_UNAVAILABLE) {
        request->xml_code = "SlowDown";
    } else if (code == ERR_DISK_FULL) {
        request->xml_code = "InsufficientStorage";
    }
    return code;
}
