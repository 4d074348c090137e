/* The text of a mail (mail_message.h). */
#include "backend/mail/mail_message.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* 45 bytes are 60 characters of base64: with "=?UTF-8?B?" and "?=" an encoded word stays under
 * RFC 2047's 75. A body's line of 57 bytes becomes MIME's 76 characters. */
enum { WORD_BYTES = 45, BODY_LINE_BYTES = 57, BASE64_SIZE = 128 };

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F) {
            return true;
        }
    }
    return false;
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80) {
            return false;
        }
    }
    return true;
}

int mail_address_check(const char *address)
{
    size_t length = strlen(address);
    const char *at = strchr(address, '@');
    bool sound = length < MAIL_ADDRESS_SIZE && text_is_utf8(address, length) &&
                 !has_control(address) && strpbrk(address, " <>(),:;\"[]\\") == NULL &&
                 at != NULL && at != address && at[1] != '\0' && strchr(at + 1, '@') == NULL;
    return sound ? 0 : ERR_INVALID;
}

static int parse_named(const char *text, const char *open, struct mail_sender *sender)
{
    size_t name_length = (size_t)(open - text), address_length = strcspn(open + 1, ">");
    while (name_length > 0 && text[name_length - 1] == ' ') {
        name_length--;
    }
    if (strcmp(open + 1 + address_length, ">") != 0 || name_length >= sizeof sender->name ||
        address_length >= sizeof sender->address) {
        return ERR_INVALID;
    }
    memcpy(sender->name, text, name_length);
    memcpy(sender->address, open + 1, address_length);
    bool sound = text_is_utf8(sender->name, name_length) && !has_control(sender->name) &&
                 strpbrk(sender->name, "\"<>") == NULL;
    return sound ? mail_address_check(sender->address) : ERR_INVALID;
}

int mail_sender_parse(const char *text, struct mail_sender *ret_sender)
{
    struct mail_sender sender = {0};
    const char *open = strchr(text, '<');
    int error;
    if (open != NULL) {
        error = parse_named(text, open, &sender);
    } else {
        error = mail_address_check(text);
        if (error == 0) {
            (void)snprintf(sender.address, sizeof sender.address, "%s", text);
        }
    }
    if (error == 0) {
        *ret_sender = sender;
    }
    return error;
}

static void add_base64(struct buffer *out, const char *bytes, size_t length)
{
    char text[BASE64_SIZE];
    (void)sodium_bin2base64(text, sizeof text, (const unsigned char *)bytes, length,
                            sodium_base64_VARIANT_ORIGINAL);
    (void)buffer_add(out, text);
}

/* Encoded words end at a character's border (RFC 2047 section 5). */
static size_t word_length(const char *text)
{
    size_t length = strnlen(text, WORD_BYTES);
    while (text[length] != '\0' && ((unsigned char)text[length] & 0xC0) == 0x80) {
        length--;
    }
    return length;
}

static void add_encoded_words(struct buffer *out, const char *text)
{
    const char *separator = "";
    while (*text != '\0') {
        size_t length = word_length(text);
        (void)buffer_printf(out, "%s=?UTF-8?B?", separator);
        add_base64(out, text, length);
        (void)buffer_add(out, "?=");
        separator = "\r\n ";
        text += length;
    }
}

static void add_subject(struct buffer *out, const char *subject)
{
    (void)buffer_add(out, "Subject: ");
    /* A text that looks like an encoded word must not be decoded by the reader. */
    if (is_ascii(subject) && strlen(subject) <= 60 && strstr(subject, "=?") == NULL) {
        (void)buffer_add(out, subject);
    } else {
        add_encoded_words(out, subject);
    }
    (void)buffer_add(out, "\r\n");
}

static void add_from(struct buffer *out, const struct mail_sender *sender)
{
    (void)buffer_add(out, "From: ");
    if (sender->name[0] == '\0') {
        (void)buffer_printf(out, "%s\r\n", sender->address);
        return;
    }
    if (is_ascii(sender->name)) {
        (void)buffer_printf(out, "\"%s\"", sender->name);
    } else {
        add_encoded_words(out, sender->name);
    }
    (void)buffer_printf(out, " <%s>\r\n", sender->address);
}

/* RFC 5322 wants English names whatever the locale. */
static void add_date(struct buffer *out, int64_t date)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)date;
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    (void)buffer_printf(out, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n",
                        days + 3 * utc.tm_wday, utc.tm_mday, months + 3 * utc.tm_mon,
                        utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/* Base64 throughout: no line can be too long, begin with a dot or be changed on the way. */
static void add_body(struct buffer *out, const char *text)
{
    (void)buffer_add(out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                          "Content-Transfer-Encoding: base64\r\n\r\n");
    for (size_t length; *text != '\0'; text += length) {
        length = strnlen(text, BODY_LINE_BYTES);
        add_base64(out, text, length);
        (void)buffer_add(out, "\r\n");
    }
}

int mail_message_write(struct buffer *out, const struct mail_sender *sender, const char *to,
                       const char *subject, const char *text_body, int64_t date, const char *id)
{
    if (mail_address_check(to) != 0 || strlen(subject) > MAIL_SUBJECT_BYTES_MAX ||
        !text_is_utf8(subject, strlen(subject)) || has_control(subject) ||
        !text_is_utf8(text_body, strlen(text_body))) {
        return ERR_INVALID;
    }
    add_date(out, date);
    add_from(out, sender);
    (void)buffer_printf(out, "To: %s\r\n", to);
    add_subject(out, subject);
    (void)buffer_printf(out, "Message-ID: <%s%s>\r\nAuto-Submitted: auto-generated\r\n", id,
                        strchr(sender->address, '@'));
    add_body(out, text_body);
    return buffer_error(out);
}
