/* links: config */
/* Files, @include, places, and what libconfig alone would get wrong. */
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

static char directory[] = "/tmp/mllpgw-source-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"main.cfg", "a.cfg", "sub/b.cfg", "sub/c.cfg", "fifo"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        unlink(files[i]);
    }
    rmdir("sub");
    return chdir("/") == 0 ? rmdir(directory) : -1;
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

/* Loads main.cfg; the problems, sorted, one a line. */
static char *problems_of(const char *text)
{
    char *printed = NULL;
    size_t length;
    struct problems problems;
    problems_init(&problems);
    write_file("main.cfg", text);
    struct config *config = config_load("main.cfg", NULL, &problems);
    FILE *out = open_memstream(&printed, &length);
    problems_print(&problems, out);
    fclose(out);
    problems_free(&problems);
    config_free(&config);
    return printed;
}

static void expect(const char *text, const char *problem)
{
    char *printed = problems_of(text);
    if (!strstr(printed, problem)) {
        fprintf(stderr, "wanted: %s\ngot:\n%s", problem, printed);
        free(printed);
        fail();
    }
    free(printed);
}

static void includes_keep_their_places(void **state)
{
    (void)state;
    mkdir("sub", 0700);
    write_file("a.cfg", "# a comment\nadmin = { addr = \"x\"; };");
    write_file("sub/b.cfg", "spool = { };\n@include \"c.cfg\"\n\nx = 1;\n");
    write_file("sub/c.cfg", "gateway = { workers = \"x\"; };\n");
    static const char text[] = "/* one\n two */\n@include \"a.cfg\" /* behind */ y = 1;\n"
                               "  @include \t\"sub/b.cfg\"\nz = 1;\n";
    expect(text, "a.cfg:2: error: admin.addr: there is no such setting; did you mean \"address\"?");
    expect(text, "main.cfg:3: error: y: ");
    expect(text, "sub/c.cfg:1: error: gateway.workers: ");
    expect(text, "sub/b.cfg:4: error: x: ");
    expect(text, "main.cfg:5: error: z: ");
    expect(text, "sub/b.cfg:1: error: spool.key_file: is missing");
    expect("@include \"sub/b.cfg\"\n= 5;\n", "main.cfg:2: error: syntax error");
}

static void absolute_includes_work(void **state)
{
    char text[128];
    (void)state;
    mkdir("sub", 0700);
    write_file("sub/c.cfg", "gateway = { workers = \"x\"; };\n");
    (void)snprintf(text, sizeof text, "@include \"%s/sub/c.cfg\"\n", directory);
    expect(text, "/sub/c.cfg:1: error: gateway.workers: ");
}

static void bad_includes_are_errors(void **state)
{
    (void)state;
    mkdir("sub", 0700);
    mkfifo("fifo", 0600);
    expect("\n@include \"none.cfg\"\n", "main.cfg:2: error: cannot read none.cfg: No such file");
    /* libconfig 1.5 would end the process here. */
    expect("@include \"sub\"\n", "main.cfg:1: error: cannot read sub: is a directory");
    expect("@include \"fifo\"\n", "main.cfg:1: error: cannot read fifo: is not a regular file");
    expect("@include none\n", "main.cfg:1: error: @include wants a file's name in quotes");
    expect("@include \"none\n", "main.cfg:1: error: @include wants a file's name in quotes");
    expect("@include \"\"\n", "main.cfg:1: error: @include wants a file's name in quotes");
    expect("@include \"main.cfg\"\n", "main.cfg:1: error: @include goes more than 8 files deep");
    expect("# @include \"none\"\n/*\n@include \"none\"\n*/ x = \"\n@include y\n\";\n",
           "main.cfg:4: error: x: ");
}

static void bad_files_are_errors(void **state)
{
    struct problems problems;
    (void)state;
    static const char *const files[][2] = {
        {"none.cfg", "No such file"}, {".", "is a directory"}, {"fifo", "not a regular file"}};
    mkfifo("fifo", 0600);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        problems_init(&problems);
        assert_null(config_load(files[i][0], NULL, &problems));
        assert_int_equal(problems.errors, 1);
        assert_true(config_case_has(&problems, PROBLEM_ERROR, 0, NULL, files[i][1]));
        assert_string_equal(problems.items[0].file, files[i][0]);
        problems_free(&problems);
    }
    problems_init(&problems);
    assert_null(config_load_text("x = 1;\0y", 8, "nul.cfg", NULL, &problems));
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 0, NULL, "NUL byte"));
    problems_free(&problems);
}

static void text_is_taken_as_people_write_it(void **state)
{
    (void)state;
    expect("\xef\xbb\xbfx = 1;\n", "main.cfg:1: error: x: ");
    expect("// \"\n# /* \"\nx = 1;\n", "main.cfg:3: error: x: ");
    expect("a = \"\\\"\"; /* \" */\nx = 1;\n", "main.cfg:2: error: x: ");
    expect("a = 1;\r\nx = 1;\r\n", "main.cfg:2: error: x: ");
    expect("spool = { group_rows = -3000000000; };\n",
           "spool.group_rows: -3000000000 is out of range");
    expect("spool = { group_rows = 0xffffffff; };\n",
           "spool.group_rows: 4294967295 is out of range");
    expect("spool = { group_rows = 12345678901234567890L; };\n",
           "main.cfg:1: error: a number here is larger");
    expect("oauth2_9999999999 = 1;\n", "error: oauth2_9999999999: there is no such section");
    expect("gateway = { user = \"a\\x1b[31m\"; };\n", "gateway.user: has a control character");
}

static void directories(void **state)
{
    struct problems problems;
    static const struct {
        const char *file, *directory, *wanted;
    } cases[] = {
        {"/etc/gw/x.cfg", NULL, "/etc/gw/k"}, {"/x.cfg", NULL, "//k"},
        {"/etc/x.cfg", "/d", "/d/k"},         {"x.cfg", NULL, "=/k"},
        {"x.cfg", "./sub", "=/sub/k"},        {"sub/x.cfg", NULL, "=/sub/k"},
    };
    (void)state;
    const char *text = config_case_text(&(struct config_case){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char wanted[128];
        bool here = cases[i].wanted[0] == '=';
        (void)snprintf(wanted, sizeof wanted, "%s%s", here ? directory : "",
                       cases[i].wanted + here);
        problems_init(&problems);
        struct config *config =
            config_load_text(text, strlen(text), cases[i].file, cases[i].directory, &problems);
        assert_non_null(config);
        assert_string_equal(config->spool.key_file, wanted);
        config_free(&config);
        problems_free(&problems);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(includes_keep_their_places),
        cmocka_unit_test(absolute_includes_work),
        cmocka_unit_test(bad_includes_are_errors),
        cmocka_unit_test(bad_files_are_errors),
        cmocka_unit_test(text_is_taken_as_people_write_it),
        cmocka_unit_test(directories),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
