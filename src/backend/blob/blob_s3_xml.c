/* The XML of an S3 store's answers (blob_s3.h): elements, told with their text as they end. Pure
 * functions, any thread. */
#include "backend/blob/blob_s3.h"

#include "base/error.h"
#include "base/text.h"
#include "base/xml.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct taking {
    int (*element)(void *argument, const char *parent, const char *name, const char *text);
    void *argument;
};

static int take(void *argument, const struct xml_element *element)
{
    const struct taking *taking = argument;
    return taking->element(taking->argument, element->parent, element->name, element->text);
}

int blob_s3_xml_read(const struct buffer *body,
                     int (*element)(void *argument, const char *parent, const char *name,
                                    const char *text),
                     void *argument)
{
    static const struct xml_form form = {.depth_max = 8, .text_max = XML_TEXT_MAX, .end = take};
    struct taking taking = {element, argument};
    int error = xml_read(body->data, body->length, &form, &taking, NULL);
    return error == ERR_MALFORMED ? ERR_CORRUPT : error; /* not by who asked */
}

int64_t blob_s3_xml_time(const char *text)
{
    struct tm parts = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    int64_t milliseconds = 0;
    if (rest == NULL) {
        return 0;
    }
    if (*rest == '.') {
        char digits[4] = "000";
        size_t count = strspn(rest + 1, "0123456789");
        memcpy(digits, rest + 1, count < 3 ? count : 3);
        (void)text_number(digits, 0, 999, &milliseconds);
    }
    return (int64_t)timegm(&parts) * 1000 + milliseconds;
}

void blob_s3_copy_etag(const char *text, char out[BLOB_ETAG_MAX])
{
    size_t length = strlen(text);
    bool quoted = length >= 2 && text[0] == '"' && text[length - 1] == '"';
    (void)snprintf(out, BLOB_ETAG_MAX, "%.*s", (int)(quoted ? length - 2 : length), text + quoted);
}
