/* links: config */
/* The files that the settings name: kinds, owners, modes. */
#include "config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/config_case.h"

static char directory[] = "/tmp/mllpgw-files-XXXXXX";
static const char *const files[] = {"k", "c", "ca", "state", "m", "main.cfg"};

static char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, mode_t mode)
{
    FILE *out = fopen(path_of(name), "w");
    assert_non_null(out);
    assert_true(fputs("x\n", out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static int good_files(void **state)
{
    (void)state;
    if (!strchr(directory, 'X') || mkdtemp(directory)) {
        write_file("k", 0600);
        write_file("c", 0644);
        write_file("ca", 0644);
        mkdir(path_of("state"), 0700);
        mkdir(path_of("m"), 0700);
    }
    return 0;
}

static int no_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (unlink(path_of(files[i])) < 0) {
            rmdir(path_of(files[i]));
        }
    }
    return rmdir(directory) == 0 ? (memcpy(directory + strlen(directory) - 6, "XXXXXX", 6), 0) : -1;
}

static void check(const char *more, struct problems *problems)
{
    char gateway[256];
    (void)snprintf(gateway, sizeof gateway, "gateway = { state_directory = \"state\"; %s };", more);
    const char *text = config_case_text(&(struct config_case){.gateway = gateway});
    problems_init(problems);
    struct config *config =
        config_load_text(text, strlen(text), path_of("main.cfg"), directory, problems);
    assert_non_null(config);
    config_check_files(config, problems);
    config_free(&config);
}

static void expect(enum problem_severity severity, unsigned line, const char *setting,
                   const char *text)
{
    struct problems problems;
    check("", &problems);
    bool fine = config_case_has(&problems, severity, line, setting, text);
    if (!fine) {
        fprintf(stderr, "wanted %u %s: %s\n", line, setting, text);
        problems_print(&problems, stderr);
    }
    problems_free(&problems);
    assert_true(fine);
}

static void good_ones(void **state)
{
    struct problems problems;
    (void)state;
    check("", &problems);
    problems_print(&problems, stderr);
    assert_int_equal(problems.count, 0);
    problems_free(&problems);
    /* What is not there yet is made at the start. */
    rmdir(path_of("state"));
    rmdir(path_of("m"));
    check("", &problems);
    assert_int_equal(problems.count, 0);
    problems_free(&problems);
}

static void missing_ones(void **state)
{
    (void)state;
    unlink(path_of("k"));
    expect(PROBLEM_ERROR, 2, "spool.key_file", "No such file");
    unlink(path_of("ca"));
    expect(PROBLEM_ERROR, 4, "tls.t.client_ca", "No such file");
}

static void secrets_open_to_others(void **state)
{
    (void)state;
    chmod(path_of("k"), 0644);
    expect(PROBLEM_ERROR, 2, "spool.key_file", "open to others (mode 0644): chmod o=");
    expect(PROBLEM_ERROR, 4, "tls.t.key", "open to others");
    chmod(path_of("k"), 0660);
    expect(PROBLEM_ERROR, 2, "spool.key_file", "its group");
}

static void trust_open_to_others(void **state)
{
    (void)state;
    chmod(path_of("ca"), 0666);
    expect(PROBLEM_ERROR, 4, "tls.t.client_ca", "can be changed by anybody");
    write_file("main.cfg", 0666);
    expect(PROBLEM_ERROR, 0, NULL, "who is admitted");
}

static void wrong_kinds(void **state)
{
    (void)state;
    rmdir(path_of("m"));
    write_file("m", 0600);
    expect(PROBLEM_ERROR, 7, "stores.s.path", "is not a directory");
    unlink(path_of("c"));
    mkdir(path_of("c"), 0700);
    expect(PROBLEM_ERROR, 4, "tls.t.certificate", "not a regular file");
}

static void directories_open_to_others(void **state)
{
    (void)state;
    chmod(path_of("m"), 0755);
    expect(PROBLEM_WARNING, 7, "stores.s.path", "open to others");
    chmod(path_of("state"), 0777);
    expect(PROBLEM_ERROR, 1, "gateway.state_directory", "changed by anybody");
}

static void users_and_groups(void **state)
{
    struct problems problems;
    (void)state;
    check("user = \"no-such-user-here\"; control_group = \"no-such-group\";", &problems);
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 1, "gateway.user", "no user"));
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 1, "gateway.control_group", "no group"));
    problems_free(&problems);
}

/* Root can read everything; the user that the gateway becomes cannot. */
static void as_the_user_it_will_be(void **state)
{
    struct problems problems;
    (void)state;
    if (geteuid() != 0) {
        return; /* then it is this user already, whose own files the other tests look at */
    }
    check("user = \"nobody\";", &problems);
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 2, "spool.key_file", "cannot be read"));
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 7, "stores.s.path", "cannot write"));
    problems_free(&problems);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, good_files, no_files)
    const struct CMUnitTest tests[] = {
        TEST(good_ones),
        TEST(missing_ones),
        TEST(secrets_open_to_others),
        TEST(trust_open_to_others),
        TEST(wrong_kinds),
        TEST(directories_open_to_others),
        TEST(users_and_groups),
        TEST(as_the_user_it_will_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
