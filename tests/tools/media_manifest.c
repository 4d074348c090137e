/* media-manifest OUTDIR: reads media-encode's JSON from standard input, writes the HLS and DASH
 * manifests that a server would into OUTDIR. For tests of players without a server. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/mem.h"
#include "service/streaming/manifest.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { RENDITIONS_MAX = 16 };

static void die(const char *what)
{
    (void)fprintf(stderr, "media-manifest: %s\n", what);
    exit(1);
}

static unsigned read_renditions(struct arena *arena, struct rendition *renditions)
{
    json_t *list = json_loadf(stdin, 0, NULL);
    unsigned count = (unsigned)json_array_size(list);
    if (count < 1 || count > RENDITIONS_MAX) {
        die("no list of renditions");
    }
    for (unsigned i = 0; i < count; i++) {
        if (catalog_rendition_read(arena, json_array_get(list, i), &renditions[i]) != 0) {
            die("a rendition makes no sense");
        }
    }
    json_decref(list);
    return count;
}

static void write_manifest(const char *directory, const struct manifest *manifest,
                           const struct rendition *renditions, unsigned count)
{
    struct buffer text CLEANUP(buffer_done);
    char path[4096];
    buffer_init(&text, MANIFEST_BYTES_MAX);
    if (manifest_build(manifest, renditions, count, &text) != 0) {
        die("a manifest can't be built");
    }
    (void)snprintf(path, sizeof path, "%s/%s", directory, manifest->name);
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(text.data, 1, text.length, file) != text.length ||
        fclose(file) != 0) {
        die("a manifest can't be written");
    }
}

int main(int argc, char **argv)
{
    struct rendition renditions[RENDITIONS_MAX];
    struct manifest manifests[MANIFESTS_MAX];
    struct arena *arena = arena_new(0);
    if (argc != 2 || arena == NULL) {
        die("usage: media-manifest OUTDIR < RENDITIONS.json");
    }
    unsigned count = read_renditions(arena, renditions);
    unsigned wanted = manifest_names(renditions, count, true, manifests);
    for (unsigned i = 0; i < wanted; i++) {
        write_manifest(argv[1], &manifests[i], renditions, count);
    }
    arena_free(arena);
    return 0;
}
