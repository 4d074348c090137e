/* What the fuzz targets share. A target is one file, fuzz_NAME.c, with LLVMFuzzerTestOneInput; its
 * opening comment says what must hold and names the files whose line coverage counts:
 *
 *     Covers: src/net/range.c
 *
 * It checks properties, not only that nothing crashes: what is read and written again is the same,
 * what is accepted lies within its limits. ASan and UBSan watch beside it, so text is given to a
 * parser in memory of exactly its size.
 *
 * Header only, so that a target of any layer can use it. One thread, as libFuzzer runs. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argument_count, char ***arguments);

/* Ends the run as a crash, which keeps the input. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A copy with a NUL behind it, of exactly that size. */
static inline char *fuzz_text(const void *bytes, size_t length)
{
    char *text = malloc(length + 1);
    FUZZ_CHECK(text != NULL);
    if (length > 0) {
        memcpy(text, bytes, length);
    }
    text[length] = '\0';
    return text;
}

/* An input of several texts, a line each; the last takes what is left. Those that are not there are
 * NULL. */
enum { FUZZ_FIELDS_MAX = 8 };
struct fuzz_fields {
    char *text[FUZZ_FIELDS_MAX];
    size_t length[FUZZ_FIELDS_MAX];
};

static inline struct fuzz_fields fuzz_split(const uint8_t *data, size_t size, unsigned count)
{
    struct fuzz_fields fields = {{NULL}, {0}};
    const uint8_t *end = data + size;
    for (unsigned i = 0; i < count && i < FUZZ_FIELDS_MAX; i++) {
        const uint8_t *stop = size > 0 ? memchr(data, '\n', (size_t)(end - data)) : NULL;
        if (stop == NULL || i + 1 == count) {
            fields.length[i] = (size_t)(end - data);
            fields.text[i] = fuzz_text(data, fields.length[i]);
            break;
        }
        fields.length[i] = (size_t)(stop - data);
        fields.text[i] = fuzz_text(data, fields.length[i]);
        data = stop + 1;
    }
    return fields;
}

static inline void fuzz_fields_done(struct fuzz_fields *fields)
{
    for (unsigned i = 0; i < FUZZ_FIELDS_MAX; i++) {
        free(fields->text[i]);
    }
}
#define FUZZ_FIELDS __attribute__((cleanup(fuzz_fields_done))) struct fuzz_fields

/* "" where it is not there. */
static inline const char *fuzz_or_empty(const char *text)
{
    return text != NULL ? text : "";
}
