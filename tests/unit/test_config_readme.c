/* links: config */
/* config/README.md's tables are the program's own. With --write they are made anew. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define README MLLPGW_TEST_DATA "/../../config/README.md"
#define FROM "run with --write -->\n"
#define TO "<!-- end of settings -->"
#define README_BYTES (256 * 1024)

static char readme[README_BYTES];

static char *settings(void)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    config_print_settings(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void read_readme(const char **ret_from, const char **ret_to)
{
    FILE *in = fopen(README, "r");
    assert_non_null(in);
    readme[fread(readme, 1, sizeof readme - 1, in)] = '\0';
    fclose(in);
    const char *from = strstr(readme, FROM);
    assert_non_null(from);
    *ret_from = from + strlen(FROM);
    *ret_to = strstr(*ret_from, TO);
    assert_non_null(*ret_to);
}

static void tables_are_current(void **state)
{
    (void)state;
    const char *from, *to;
    char *wanted = settings();
    read_readme(&from, &to);
    size_t length = (size_t)(to - from);
    if (strlen(wanted) != length || memcmp(wanted, from, length) != 0) {
        free(wanted);
        fail_msg("config/README.md is behind config/table.c: run this program with --write");
    }
    free(wanted);
}

/* A row that breaks the table's own rules would surprise a user, not a reader of the code. */
static void every_setting_says_what_it_is(void **state)
{
    (void)state;
    char *text = settings(), *rest = NULL;
    size_t rows = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        size_t bars = 0;
        for (const char *c = line; *c; c++) {
            bars += *c == '|';
        }
        assert_true(bars == 0 || bars == 6);
        assert_null(strstr(line, "|  |"));
        rows += line[0] == '|' && line[2] == '`';
    }
    free(text);
    assert_true(rows > 90);
}

static void write_tables(void)
{
    const char *from, *to;
    char *wanted = settings();
    read_readme(&from, &to);
    FILE *out = fopen(README, "w");
    if (out) {
        fprintf(out, "%.*s%s%s", (int)(from - readme), readme, wanted, to);
        fclose(out);
    }
    free(wanted);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_current),
        cmocka_unit_test(every_setting_says_what_it_is),
    };
    if (count > 1 && strcmp(arguments[1], "--write") == 0) {
        write_tables();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
