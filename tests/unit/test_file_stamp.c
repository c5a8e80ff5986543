/* links: base */
#include "base/file_stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/file-stamp-XXXXXX";
static char path[64], other[64];

static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_file_that_stays_is_the_same(void **state)
{
    struct stat a, b;

    (void)state;
    put(path, "one");
    assert_int_equal(stat(path, &a), 0);
    assert_int_equal(stat(path, &b), 0);
    assert_false(file_stamp_differs(&a, &b));
    assert_true(file_stamp_mix(0, path) == file_stamp_mix(0, path));
}

static void another_in_its_place_differs(void **state)
{
    uint64_t before;
    struct stat a, b;

    (void)state;
    put(path, "one");
    put(other, "two");
    before = file_stamp_mix(0, path);
    assert_int_equal(stat(path, &a), 0);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(stat(path, &b), 0);
    assert_true(file_stamp_differs(&a, &b));
    assert_true(file_stamp_mix(0, path) != before);
}

static void one_that_is_not_there_counts(void **state)
{
    (void)state;
    put(path, "one");
    assert_true(file_stamp_mix(0, path) != file_stamp_mix(0, "/nowhere/at/all"));
    assert_true(file_stamp_mix(0, NULL) == file_stamp_mix(0, "/nowhere/at/all"));
    /* which of two is missing */
    assert_true(file_stamp_mix(file_stamp_mix(0, NULL), path) !=
                file_stamp_mix(file_stamp_mix(0, path), NULL));
}

static int make(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/file", directory);
    snprintf(other, sizeof(other), "%s/other", directory);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(other);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_stays_is_the_same),
        cmocka_unit_test(another_in_its_place_differs),
        cmocka_unit_test(one_that_is_not_there_counts),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
