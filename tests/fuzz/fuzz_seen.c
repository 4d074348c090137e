/* What somebody says to have seen, in a header or cookie. Whatever it is, it counts for the
 * databases that there are, each at a place that can be; said again it is the same; and what we
 * write of it fits the limit that is read.
 *
 * Covers: src/boot/seen.c src/backend/db/db_view.c */
#include "fuzz.h"

#include "boot/seen.c" /* NOLINT(bugprone-suspicious-include) */

static struct seen seen = {.cookie_path = "/"};

static void close_databases(void)
{
    for (unsigned i = 0; i < SEEN_DATABASES; i++) {
        db_close(seen.databases[i]);
    }
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    static const char *const names[SEEN_DATABASES] = {"catalog", "users", "activity"};
    (void)argument_count;
    (void)arguments;
    for (unsigned i = 0; i < SEEN_DATABASES; i++) {
        FUZZ_CHECK(db_open("sqlite::memory:", names[i], &seen.databases[i], NULL) == 0);
    }
    FUZZ_CHECK(atexit(close_databases) == 0);
    return 0;
}

/* The view after a value was read. */
static struct db_view view_of(const char *value)
{
    view = (struct db_view){.replicas = false};
    read_value(&seen, value);
    return view;
}

static bool has(const struct db_view *one, const struct db *db, int64_t position)
{
    for (unsigned i = 0; i < DB_VIEW_MAX; i++) {
        if (one->seen[i].db == db && one->seen[i].position == position) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct arena *arena = arena_new(0);
    struct request request = {.call = {.arena = arena}};
    FUZZ_CHECK(arena != NULL);
    const struct db_view first = view_of(text);
    FUZZ_CHECK(first.wrote[0].db == NULL && !first.replicas);
    const char *written = value_of(&request);
    FUZZ_CHECK(written != NULL && strlen(written) < VALUE_MAX);
    const struct db_view second = view_of(written);
    for (unsigned i = 0; i < DB_VIEW_MAX && first.seen[i].db != NULL; i++) {
        FUZZ_CHECK(first.seen[i].position >= 0);
        FUZZ_CHECK(has(&second, first.seen[i].db, first.seen[i].position));
    }
    FUZZ_CHECK(size <= VALUE_MAX || first.seen[0].db == NULL || strlen(text) <= VALUE_MAX);
    arena_free(arena);
    free(text);
    return 0;
}
