/* links: ctl config */
/* wrap: calloc reallocarray strdup open_memstream */
/* Guards while memory runs out, at every allocation once: an error, never half a table. */
#include "ctl/guards.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/config_case.h"

static long countdown = -1; /* -1: all succeed */

void *__real_calloc(size_t count, size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
char *__real_strdup(const char *text);
FILE *__real_open_memstream(char **text, size_t *length);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);
char *__wrap_strdup(const char *text);
FILE *__wrap_open_memstream(char **text, size_t *length);

static bool fails(void)
{
    return countdown >= 0 && countdown-- == 0;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
    return fails() ? NULL : __real_reallocarray(old, count, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

FILE *__wrap_open_memstream(char **text, size_t *length)
{
    return fails() ? NULL : __real_open_memstream(text, length);
}

static const struct config_case wanted = {
    .peers = "peers = ( { name = \"p\"; addresses = [ \"10.10.0.1\" ]; tunnel = \"a\"; } );",
    .listeners =
        "listeners = ( { name = \"l\"; address = \"10.20.0.1:2575\"; peers = [ \"p\" ]; } );",
    .more = "tunnels = ( { name = \"a\"; remote = \"192.0.2.1\"; psk_file = \"k\"; pair = \"b\"; "
            "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/24\" ]; }, "
            "{ name = \"b\"; remote = \"192.0.2.2\"; psk_file = \"l\"; "
            "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/24\" ]; } );"};

static struct config *load(void)
{
    const char *text = config_case_text(&wanted);
    struct problems problems;

    problems_init(&problems);
    struct config *config = config_load_text(text, strlen(text), "case.cfg", "base", &problems);
    if (config == NULL)
        problems_print(&problems, stderr);
    assert_non_null(config);
    problems_free(&problems);
    return config;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    struct config *config = load();
    struct guards_options options = {.esp = GUARDS_USERSPACE};
    long nth = 0;
    bool reached = true;

    for (; reached; nth++) {
        struct guards guards = {0};
        countdown = nth;
        int error = guards_make(config, &options, &guards);
        reached = countdown == -1;
        countdown = -1;
        /* -EIO: it was the digest's. */
        assert_true(reached ? error == -ENOMEM || error == -EIO : error == 0);
        assert_int_equal(guards.rule_count > 0, !reached);
        guards_free(&guards);
    }
    assert_true(nth > 20);
    config_free(&config);
}

/* What can't be compared is not there as wanted, nor missing. */
static void comparing_without_memory_verifies_nothing(void **state)
{
    (void)state;
    static const char json[] =
        "{\"nftables\": [{\"rule\": {\"chain\": \"made_from\", \"comment\": \"mllpgw-guard 1 "
        "userspace 0123456789abcdef0123456789abcdef\"}}]}";
    const struct guards_listing listing = {.table = {json, sizeof json - 1}};
    struct config *config = load();
    char text[GUARDS_TEXT_BYTES];

    assert_int_equal(guards_compare(config, &listing, text), GUARDS_DIFFER);
    countdown = 0;
    assert_int_equal(guards_compare(config, &listing, text), GUARDS_NOT_VERIFIED);
    assert_int_equal(countdown, -1);
    config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(comparing_without_memory_verifies_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
