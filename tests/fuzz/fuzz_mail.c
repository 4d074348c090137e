/* Mail: sender, recipient, subject, body, a line each. Whatever is in them, a message that is
 * written has each of its headers once, in lines within RFC 5322's limits, nothing but printable
 * ASCII (and what the addresses themselves hold), and its body is the text.
 *
 * Covers: src/backend/mail/mail_message.c */
#include "backend/mail/mail_message.h"
#include "base/buffer.h"
#include "base/error.h"
#include "fuzz.h"

#include <sodium.h>

enum { MESSAGE_BYTES_MAX = 1 << 20, LINE_MAX_BYTES = 998, BASE64_LINE_MAX = 76 };

static const char *const names[] = {
    "Date: ",         "From: ",         "To: ",
    "Subject: ",      "Message-ID: ",   "Auto-Submitted: ",
    "MIME-Version: ", "Content-Type: ", "Content-Transfer-Encoding: "};
enum { NAMES = sizeof names / sizeof names[0] };

/* Headers in the order of names, then an empty line; where the body begins. */
static const char *check_head(const char *text)
{
    unsigned next = 0;
    for (;;) {
        const char *end = strstr(text, "\r\n");
        FUZZ_CHECK(end != NULL);
        size_t length = (size_t)(end - text);
        FUZZ_CHECK(length <= LINE_MAX_BYTES);
        FUZZ_CHECK(memchr(text, '\r', length) == NULL && memchr(text, '\n', length) == NULL);
        if (length == 0) {
            FUZZ_CHECK(next == NAMES);
            return end + 2;
        }
        if (*text != ' ') { /* not the former line's rest */
            FUZZ_CHECK(next < NAMES && strncmp(text, names[next], strlen(names[next])) == 0);
            next++;
        }
        text = end + 2;
    }
}

static void check_body(const char *text, const char *body)
{
    size_t size = strlen(text) + 1, length = 0;
    unsigned char *decoded = malloc(size);
    FUZZ_CHECK(decoded != NULL);
    for (const char *line = text; *line != '\0';) { /* each is whole groups of its own */
        const char *end = strstr(line, "\r\n");
        size_t some = 0;
        FUZZ_CHECK(end != NULL && end > line && end - line <= BASE64_LINE_MAX);
        FUZZ_CHECK(sodium_base642bin(decoded + length, size - length, line, (size_t)(end - line),
                                     NULL, &some, NULL, sodium_base64_VARIANT_ORIGINAL) == 0);
        length += some;
        line = end + 2;
    }
    FUZZ_CHECK(length == strlen(body) && memcmp(decoded, body, length) == 0);
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_FIELDS fields = fuzz_split(data, size, 4);
    struct mail_sender sender;
    struct buffer out;
    const char *body = fuzz_or_empty(fields.text[3]);
    if (mail_sender_parse(fuzz_or_empty(fields.text[0]), &sender) != 0) {
        return 0;
    }
    FUZZ_CHECK(mail_address_check(sender.address) == 0);
    buffer_init(&out, MESSAGE_BYTES_MAX);
    int error = mail_message_write(&out, &sender, fuzz_or_empty(fields.text[1]),
                                   fuzz_or_empty(fields.text[2]), body, 1790000000, "0123456789");
    FUZZ_CHECK(error == 0 || error == ERR_INVALID);
    if (error == 0) {
        check_body(check_head(out.data), body);
    }
    buffer_done(&out);
    return 0;
}
