/* Whether something changed in a folder (watch.h), on real folders. */
#include "service/ingest/import/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
    char root[64];
    struct watch watch;
};

static char path[128];

static const char *below(const struct world *world, const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", world->root, name);
    return path;
}

static int setup(void **state)
{
    static struct world world;
    (void)snprintf(world.root, sizeof world.root, "/tmp/tutti-watch-XXXXXX");
    if (mkdtemp(world.root) == NULL || mkdir(below(&world, "in"), 0700) != 0) {
        return -1;
    }
    watch_init(&world.watch, false);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    static const char *const names[] = {"in/a", "in", "a"};
    watch_done(&world->watch);
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)remove(below(world, names[i]));
    }
    return rmdir(world->root);
}

static void enter(struct world *world, const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    watch_enter(&world->watch, fd);
    (void)close(fd);
}

static void look(struct world *world)
{
    watch_begin(&world->watch);
    enter(world, world->root);
    if (access(below(world, "in"), F_OK) == 0) {
        enter(world, below(world, "in"));
    }
}

static void touch(const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static bool hears(struct world *world, int64_t now_ms)
{
    struct pollfd one = {.fd = world->watch.inotify, .events = POLLIN};
    (void)poll(&one, 1, 0); /* what the kernel tells of is there when the call returns */
    watch_hear(&world->watch, now_ms);
    return world->watch.changed;
}

static void files_below_are_heard_of(void **state)
{
    struct world *world = *state;
    look(world);
    assert_int_equal(world->watch.by, WATCH_TOLD);
    assert_false(hears(world, 1));
    assert_int_equal(watch_due_ms(&world->watch), INT64_MAX);
    touch(below(world, "in/a"));
    assert_true(hears(world, 1000));
    assert_int_equal(watch_due_ms(&world->watch), 1000 + WATCH_QUIET_MS);
    look(world);
    assert_false(hears(world, 2000)); /* the look saw it */
    assert_int_equal(unlink(below(world, "in/a")), 0);
    assert_true(hears(world, 3000));
}

static void reading_is_no_change(void **state)
{
    struct world *world = *state;
    char byte;
    touch(below(world, "a"));
    look(world);
    int fd = open(below(world, "a"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &byte, 1), 0);
    (void)close(fd);
    assert_false(hears(world, 1));
}

static void what_goes_on_is_waited_for_but_not_for_ever(void **state)
{
    struct world *world = *state;
    look(world);
    for (int64_t now_ms = 0; now_ms <= 60000; now_ms += 1000) {
        touch(below(world, "a"));
        assert_true(hears(world, now_ms));
        assert_int_equal(unlink(below(world, "a")), 0);
        int64_t due = watch_due_ms(&world->watch);
        assert_true(due == now_ms + WATCH_QUIET_MS || due == WATCH_PATIENCE_MS);
    }
    assert_int_equal(watch_due_ms(&world->watch), WATCH_PATIENCE_MS);
}

static void a_folder_that_moved_out_is_not_heard_of_any_more(void **state)
{
    struct world *world = *state;
    char in[128], out[80], file[96];
    look(world);
    (void)snprintf(in, sizeof in, "%s", below(world, "in"));
    (void)snprintf(out, sizeof out, "%s-out", world->root);
    (void)snprintf(file, sizeof file, "%s/x", out);
    assert_int_equal(rename(in, out), 0);
    assert_true(hears(world, 1));
    look(world);
    touch(file);
    bool heard = hears(world, 2);
    (void)remove(file);
    (void)remove(out);
    assert_false(heard);
}

static void what_is_polled_stays_polled(void **state)
{
    struct world *world = *state;
    watch_done(&world->watch);
    watch_init(&world->watch, true);
    look(world);
    assert_int_equal(world->watch.by, WATCH_POLLED);
    assert_int_equal(world->watch.inotify, -1);
    assert_string_not_equal(world->watch.reason, "");
    touch(below(world, "a"));
    assert_false(hears(world, 1));
}

static void file_systems_of_a_network_are_deaf(void **state)
{
    (void)state;
    static const int64_t deaf[] = {0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546, 0x01021997};
    static const int64_t local[] = {0xef53, 0x9123683e, 0x58465342, 0x01021994, 0x794c7630};
    for (unsigned i = 0; i < sizeof deaf / sizeof deaf[0]; i++) {
        assert_true(watch_is_deaf(deaf[i]));
    }
    assert_true(watch_is_deaf((int32_t)0xff534d42)); /* as some machines have it */
    for (unsigned i = 0; i < sizeof local / sizeof local[0]; i++) {
        assert_false(watch_is_deaf(local[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_below_are_heard_of, setup, teardown),
        cmocka_unit_test_setup_teardown(reading_is_no_change, setup, teardown),
        cmocka_unit_test_setup_teardown(what_goes_on_is_waited_for_but_not_for_ever, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_moved_out_is_not_heard_of_any_more, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_polled_stays_polled, setup, teardown),
        cmocka_unit_test(file_systems_of_a_network_are_deaf),
    };
    return cmocka_run_group_tests_name("service/ingest/import/watch", tests, NULL, NULL);
}
