/* What tutti-media says of a file it made, and the manifests that players are given of it: a JSON
 * array of renditions. One that is taken is told truly: its fragments lie in its file one behind
 * the other and their lengths add up; and every manifest over what was taken is well-formed, names
 * no other file, and no address that leads elsewhere.
 *
 * Covers: src/service/catalog/rendition.c src/service/streaming/manifest.c */
#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "fuzz.h"
#include "service/catalog/catalog.h"
#include "service/streaming/manifest.h"

#include <expat.h>

enum { ARENA_BYTES = 8 << 20, RENDITIONS_MAX = 12 };

static void check_dash(const struct buffer *text)
{
    XML_Parser parser = XML_ParserCreate("UTF-8");
    FUZZ_CHECK(parser != NULL);
    FUZZ_CHECK(XML_Parse(parser, text->data, (int)text->length, XML_TRUE) == XML_STATUS_OK);
    XML_ParserFree(parser);
}

static bool is_name(const char *text, size_t length)
{
    return length > 0 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") >=
               length;
}

/* Every line is a tag or the name of a file of the version's folder. */
static void check_hls(const struct buffer *text)
{
    FUZZ_CHECK(strncmp(text->data, "#EXTM3U\n", 8) == 0);
    for (const char *line = text->data; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        FUZZ_CHECK(line[length] == '\n');
        FUZZ_CHECK(strncmp(line, "#EXT", 4) == 0 || is_name(line, length));
        line += length + 1;
    }
}

static void check_manifest(const struct manifest *manifest, const struct rendition *renditions,
                           unsigned count)
{
    struct buffer text;
    FUZZ_CHECK(is_name(manifest->name, strlen(manifest->name)));
    buffer_init(&text, MANIFEST_BYTES_MAX);
    int error = manifest_build(manifest, renditions, count, &text);
    FUZZ_CHECK(error == 0 || error == ERR_INVALID || error == ERR_TOO_LARGE);
    if (error == 0) {
        if (manifest->kind == MANIFEST_DASH) {
            check_dash(&text);
        } else {
            check_hls(&text);
        }
    }
    buffer_done(&text);
}

static void check_rendition(const struct rendition *rendition)
{
    int64_t bytes = rendition->init_bytes + rendition->index_bytes, samples = 0;
    FUZZ_CHECK(rendition->bytes >= 0 && rendition->init_bytes >= 0 && rendition->index_bytes >= 0);
    FUZZ_CHECK(is_name(rendition->file, strlen(rendition->file)));
    for (unsigned i = 0; i < rendition->fragment_count; i++) {
        bytes += rendition->fragments[2 * i];
        samples += rendition->fragments[2 * i + 1];
    }
    FUZZ_CHECK(rendition->fragment_count == 0 ||
               (bytes == rendition->bytes && samples == rendition->samples));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_JSON json_t *list = NULL;
    if (json_read((const char *)data, size, NULL, &list) != 0) {
        return 0;
    }
    struct arena *arena = arena_new(ARENA_BYTES);
    struct rendition renditions[RENDITIONS_MAX];
    struct manifest manifests[MANIFESTS_MAX];
    unsigned count = 0;
    FUZZ_CHECK(arena != NULL);
    for (size_t i = 0; i < json_array_size(list) && count < RENDITIONS_MAX; i++) {
        if (catalog_rendition_read(arena, json_array_get(list, i), &renditions[count]) == 0) {
            check_rendition(&renditions[count++]);
        }
    }
    unsigned manifest_count = manifest_names(renditions, count, false, manifests);
    FUZZ_CHECK(manifest_count <= MANIFESTS_MAX);
    for (unsigned i = 0; i < manifest_count; i++) {
        check_manifest(&manifests[i], renditions, count);
    }
    arena_free(arena);
    return 0;
}
