/* backend/folder: folders are made for their owner, and again does no harm. That they last is shown
 * by tests/fault. */
#include "backend/folder.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int enter(void **state)
{
    (void)state;
    static char folder[] = "/tmp/tutti-folder-XXXXXX";
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    char path[64];
    return getcwd(path, sizeof path) != NULL && chdir("/") == 0 && rmdir(path) == 0 ? 0 : -1;
}

static void made_once(void **state)
{
    (void)state;
    struct stat status;
    assert_int_equal(folder_make("one"), 0);
    assert_int_equal(folder_make("one"), 0);
    assert_int_equal(stat("one", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(folder_make("one/two/"), 0);
    assert_int_equal(folder_make("none/two"), ERR_NOT_FOUND);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(rmdir("one/two"), 0);
    assert_int_equal(rmdir("one"), 0);
}

static void synced_by_every_way_to_write_a_path(void **state)
{
    (void)state;
    assert_int_equal(folder_sync("."), 0);
    assert_int_equal(folder_sync("none"), ERR_NOT_FOUND);
    static const char *const fine[] = {"here", "here/", "./here", "/here", "/tmp//", "/"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        assert_int_equal(folder_sync_of(fine[i]), 0);
    }
    assert_int_equal(folder_sync_of("none/here"), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_once),
        cmocka_unit_test(synced_by_every_way_to_write_a_path),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
