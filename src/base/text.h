/* Text from outside: validity, normal form, small parsers. Any thread. */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct problem;

/* The bytes of the character of well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates) that
 * the length bytes begin with; 0: they begin with none. */
size_t text_utf8_step(const char *bytes, size_t length);
/* Well-formed UTF-8, of exactly length bytes. */
bool text_is_utf8(const char *bytes, size_t length);
/* What people typed, made storable: NFC, outer white space cut, control characters refused
 * (newlines and tabs allowed if lines), 1 (or 0 if empty_ok) to characters_max code points. 0 with
 * *ret_text in the arena, or ERR_INVALID with the field named in problem, or ERR_NO_MEMORY. */
struct text_rule {
    const char *field;
    unsigned characters_max;
    bool empty_ok, lines;
};
int text_clean(struct arena *arena, const struct text_rule *rule, const char *text,
               struct problem *problem, const char **ret_text);
/* Case-folded NFKC for comparing names (utf8proc's NFKC_Casefold). NULL: out of memory. */
const char *text_fold(struct arena *arena, const char *text);
/* Copies text with its NUL into out[size]. Where it does not fit: false, and out is "". */
bool text_copy(char *out, size_t size, const char *text);
/* Decimal digits only, all of text, within [min, max]. */
bool text_number(const char *text, int64_t min, int64_t max, int64_t *ret_number);
/* A decimal fraction such as "0.25" or "1", all of text, within [0, 1]. */
bool text_ratio(const char *text, double *ret_ratio);
/* Base64 (RFC 4648), all of length bytes, in constant time for a length: with padding (section 4),
 * or URL-safe without (section 5). One value has one text. False for anything else and for what
 * does not fit out[size]. (libsodium 1.0.18 by itself takes every byte from 128 for its 63rd.) */
enum text_base64 { TEXT_BASE64, TEXT_BASE64_URL };
bool text_base64_decode(const char *text, size_t length, enum text_base64 form, void *out,
                        size_t size, size_t *ret_length);
/* The byte that "%XX" at text stands for (RFC 3986 section 2.1), 0 to 255; -1 where the left bytes
 * there don't begin so. */
int text_percent_byte(const char *text, size_t left);
/* Decodes length bytes with such in them into out[size]. False, and out is "": a % that stands for
 * nothing, a control character in the result, or it does not fit. */
bool text_percent_decode(const char *text, size_t length, char *out, size_t size);
/* Equal in constant time for equal lengths (lengths are not secret). */
bool text_equal_secret(const char *left, const char *right);
