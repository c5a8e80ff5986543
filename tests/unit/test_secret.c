/* links: config */
#include "config/secret.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/mllpgw-secret-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(directory)) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/secret", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void write_secret(const char *bytes, size_t count, mode_t mode)
{
    unlink(path);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, count, out), count);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void modes(void **state)
{
    static const struct {
        mode_t mode;
        int result;
    } cases[] = {
        {0600, 0},      {0400, 0},      {0640, 0},      {0440, 0},      {0604, -EPERM},
        {0602, -EPERM}, {0601, -EPERM}, {0620, -EPERM}, {0660, -EPERM}, {0644, -EPERM},
    };
    char error[SECRET_ERROR_BYTES], *text;
    size_t length;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_secret("canary", 6, cases[i].mode);
        error[0] = '\0';
        assert_int_equal(secret_check_mode(path, error), cases[i].result);
        assert_int_equal(secret_read(path, 100, &text, &length, error), cases[i].result);
        if (cases[i].result == 0) {
            assert_string_equal(text, "canary");
            secret_free(&text, length);
            assert_null(text);
        } else {
            assert_non_null(strstr(error, path));
            assert_non_null(strstr(error, "chmod"));
            assert_null(strstr(error, "canary"));
        }
    }
}

static void whole_files(void **state)
{
    char error[SECRET_ERROR_BYTES], *text = NULL;
    size_t length;
    (void)state;
    write_secret("a\0b\n", 4, 0600);
    assert_int_equal(secret_read(path, 4, &text, &length, error), 0);
    assert_int_equal(length, 4);
    assert_memory_equal(text, "a\0b\n", 5);
    secret_free(&text, length);
    assert_int_equal(secret_read(path, 3, &text, &length, error), -EFBIG);
    assert_non_null(strstr(error, "3 bytes"));
    assert_int_equal(secret_read(path, 3, &text, &length, NULL), -EFBIG);
    assert_null(text);
    write_secret("", 0, 0600);
    assert_int_equal(secret_read(path, 3, &text, &length, error), 0);
    assert_int_equal(length, 0);
    secret_free(&text, length);
    secret_free(&text, 0);
    secret_free(NULL, 0);
}

static void lines(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *line, *error;
    } cases[] = {
        {"pw", 2, "pw", NULL},
        {"pw\n", 3, "pw", NULL},
        {"pw\r\n", 4, "pw", NULL},
        {" p w \n", 6, " p w ", NULL},
        {"", 0, NULL, "is empty"},
        {"\n", 1, NULL, "is empty"},
        {"\r\n", 2, NULL, "is empty"},
        {"pw\n\n", 4, NULL, "more than one line"},
        {"pw\nqx\n", 6, NULL, "more than one line"},
        {"p\0w", 3, NULL, "NUL"},
    };
    char error[SECRET_ERROR_BYTES], *text;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_secret(cases[i].bytes, cases[i].count, 0600);
        int result = secret_read_line(path, 100, &text, error);
        if (cases[i].line) {
            assert_int_equal(result, 0);
            assert_string_equal(text, cases[i].line);
            secret_free(&text, strlen(text));
        } else {
            assert_int_equal(result, -EINVAL);
            assert_non_null(strstr(error, cases[i].error));
        }
    }
}

static void other_kinds(void **state)
{
    char error[SECRET_ERROR_BYTES], *text;
    size_t length;
    (void)state;
    unlink(path);
    assert_int_equal(secret_read(path, 9, &text, &length, error), -ENOENT);
    assert_int_equal(secret_check_mode(path, error), -ENOENT);
    assert_int_equal(secret_check_mode(directory, error), -EINVAL);
    /* Nobody writes to it: opening it must not wait. */
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(secret_read(path, 9, &text, &length, error), -EINVAL);
    assert_non_null(strstr(error, "regular file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes),
        cmocka_unit_test(whole_files),
        cmocka_unit_test(lines),
        cmocka_unit_test(other_kinds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
