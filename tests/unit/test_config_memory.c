/* links: config */
/* wrap: malloc calloc realloc strdup */
/* Every allocation of ours fails once: no crash, no leak, an error. (libconfig's own are not
 * wrapped: version 1.5 does not look at them.) */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/config_case.h"

static long countdown = -1; /* -1: all succeed */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
    return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __real_realloc(old, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* True while the nth allocation is one that happens. */
static bool load_with(long nth, const char *text)
{
    struct problems problems;
    problems_init(&problems);
    countdown = nth;
    struct config *config = config_load_text(text, strlen(text), "case.cfg", "base", &problems);
    bool reached = countdown == -1;
    countdown = -1;
    assert_true((config == NULL) == (problems.errors > 0));
    assert_false(config && reached);
    config_free(&config);
    problems_free(&problems);
    return reached;
}

static void run_out(const struct config_case *wanted)
{
    const char *text = config_case_text(wanted);
    long nth = 0;
    while (load_with(nth, text)) {
        nth++;
    }
    assert_true(nth > 30);
    fprintf(stderr, "%ld allocations\n", nth);
}

static void good_one(void **state)
{
    (void)state;
    run_out(&(struct config_case){0});
}

static void bad_one(void **state)
{
    (void)state;
    run_out(&(struct config_case){
        .gateway = "gateway = { worker = 1; name = \"a b\"; log_level = \"x\"; };",
        .stores = "stores = ( { name = \"s\"; type = \"http\"; url = \"x\"; headers = [ \"a\" ];"
                  " verdicts = ( { status = 1; }, { } ); } );",
        .routes = "routes = ( { name = \"r\"; from = \"x\"; to = \"y\"; } );"});
}

static void tunnels(void **state)
{
    (void)state;
    run_out(&(struct config_case){
        .peers = "peers = ( { name = \"p\"; addresses = [ \"10.10.0.1\" ]; tunnel = \"a\"; } );",
        .more =
            "tunnels = ( { name = \"a\"; remote = \"192.0.2.1\"; psk_file = \"k\"; "
            "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/24\" ]; }, "
            "{ name = \"b\"; remote = \"%any\"; pair = \"c\"; preset = \"aws\"; "
            "esp_proposals = [ \"aes256-sha1\" ]; remote_subnets = [ \"10.10.0.0/24\" ]; } );"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_one),
        cmocka_unit_test(bad_one),
        cmocka_unit_test(tunnels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
