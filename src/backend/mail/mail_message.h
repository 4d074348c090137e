/* The text of a mail (RFC 5322, MIME). Any thread; no I/O. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer;

enum { MAIL_ADDRESS_SIZE = 256, MAIL_NAME_SIZE = 128, MAIL_SUBJECT_BYTES_MAX = 512 };

struct mail_sender {
    char address[MAIL_ADDRESS_SIZE];
    char name[MAIL_NAME_SIZE]; /* "": none */
};

/* "name@example.org" or "Some Name <name@example.org>". ERR_INVALID otherwise. */
int mail_sender_parse(const char *text, struct mail_sender *ret_sender);
/* One bare address: no white space, no control characters, no brackets or commas, so that neither a
 * second recipient nor a header can hide in it. */
int mail_address_check(const char *address);
/* The whole message with CRLF line ends. date: seconds since 1970; id: unique text for Message-ID.
 * The subject may be any UTF-8 without control characters (RFC 2047 where it isn't ASCII), the body
 * any UTF-8 text. ERR_INVALID for what could break out of its header. */
int mail_message_write(struct buffer *out, const struct mail_sender *sender, const char *to,
                       const char *subject, const char *text_body, int64_t date, const char *id);
