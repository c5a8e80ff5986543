/* links: http loop base config */
/* OAuth2 client credentials against the stand-in of tests/support/http2_store.mjs. */
#include "http/client_credentials.h"
#include "support/http2_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct http2_store server;
static struct loop *loop;
static struct http_client *client;
static struct http_origin *origin;
static struct token_grant *grant; /* of the last source_of() */

static bool running;

struct caller {
    struct token_waiter waiter; /* first */
    bool called, inside;        /* inside: before token_source_get() returned */
    char token[64], words[96];
    int status;
    unsigned *left;
};

static void on_token(struct token_waiter *waiter, const char *token, int status, const char *words)
{
    struct caller *caller = (struct caller *)waiter;

    assert_false(caller->called);
    caller->called = true;
    caller->status = status;
    snprintf(caller->token, sizeof(caller->token), "%s", token == NULL ? "" : token);
    snprintf(caller->words, sizeof(caller->words), "%s", words);
    if (--*caller->left == 0 && running)
        loop_stop(loop);
}

static struct token_source *source_of(const char *name, const char *steps)
{
    const struct client_credentials settings = {.token_url = http2_store_url(&server, name, steps),
                                                .client_id = "edge one",
                                                .client_secret = "p:ss w%rd+",
                                                .scope = "hl7.write other",
                                                .audience = "https://store.example/"};
    struct token_source *source;

    grant = client_credentials_grant_new(origin, &settings);
    source = token_source_new(client, grant, NULL);
    assert_non_null(source);
    return source;
}

static void run_loop(void)
{
    running = true;
    loop_run(loop);
    running = false;
}

static struct caller get(struct token_source *source)
{
    unsigned left = 1;
    struct caller caller = {.waiter.on_token = on_token, .left = &left};

    token_source_get(source, &caller.waiter);
    caller.inside = caller.called;
    if (!caller.called)
        run_loop();
    assert_true(caller.called);
    return caller;
}

static void on_wait_over(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    loop_stop(loop);
}

static void wait_ms(int ms)
{
    uv_timer_t timer;

    uv_timer_init(loop_uv(loop), &timer);
    uv_timer_start(&timer, on_wait_over, (uint64_t)ms, 0);
    run_loop();
    uv_run(loop_uv(loop), UV_RUN_NOWAIT); /* the close */
}

static void a_token_is_asked_for_once(void **state)
{
    struct token_source *source = source_of("once", "token:3600");
    unsigned before = http2_store_requests(&server), left = 20;
    struct caller callers[20];
    char *json, *body;

    (void)state;
    for (size_t i = 0; i < 20; i++) {
        callers[i] = (struct caller){.waiter.on_token = on_token, .left = &left};
        token_source_get(source, &callers[i].waiter);
    }
    run_loop();
    for (size_t i = 1; i < 20; i++)
        assert_string_equal(callers[i].token, callers[0].token);
    assert_true(get(source).inside);
    assert_int_equal(http2_store_requests(&server), before + 1);
    json = http2_store_request(&server, before + 1, "json", NULL);
    body = http2_store_request(&server, before + 1, "body", NULL);
    /* edge+one... : RFC 6749 appendix B, here with %20: "edge%20one:p%3Ass%20w%25rd%2B" */
    assert_non_null(
        strstr(json, "\"authorization\":\"Basic ZWRnZSUyMG9uZTpwJTNBc3MlMjB3JTI1cmQlMkI=\""));
    assert_non_null(strstr(json, "\"content-type\":\"application/x-www-form-urlencoded\""));
    assert_string_equal(body, "grant_type=client_credentials&scope=hl7.write%20other"
                              "&audience=https%3A%2F%2Fstore.example%2F");
    free(json);
    free(body);
    token_source_free(&source);
}

static void a_token_is_refreshed_early_without_a_stall(void **state)
{
    struct token_source *source = source_of("early", "token:5");
    struct caller first = get(source), second, third;
    unsigned after_first = http2_store_requests(&server);

    (void)state;
    wait_ms(4200); /* in its last fifth */
    second = get(source);
    assert_true(second.inside);
    assert_string_equal(second.token, first.token);
    wait_ms(300);
    third = get(source);
    assert_true(third.inside);
    assert_string_not_equal(third.token, first.token);
    assert_int_equal(http2_store_requests(&server), after_first + 1);
    token_source_free(&source);
}

static void an_expired_token_is_not_used(void **state)
{
    struct token_source *source = source_of("expired", "token:1");
    struct caller first = get(source), second;

    (void)state;
    wait_ms(1100);
    second = get(source);
    assert_false(second.inside);
    assert_string_not_equal(second.token, first.token);
    token_source_free(&source);
}

static void a_rejected_token_is_replaced_once(void **state)
{
    struct token_source *source = source_of("rejected", "token:3600");
    struct caller first = get(source), second;
    unsigned before = http2_store_requests(&server);

    (void)state;
    for (int i = 0; i < 10; i++)
        token_source_reject(source, first.token);
    second = get(source);
    assert_string_not_equal(second.token, first.token);
    for (int i = 0; i < 10; i++) /* latecomers of the burst */
        token_source_reject(source, first.token);
    assert_true(get(source).inside);
    assert_int_equal(http2_store_requests(&server), before + 1);
    token_source_free(&source);
}

static void failures(void **state)
{
    static const struct {
        const char *steps;
        int status;
        const char *words;
    } cases[] = {
        {"token-error:invalid_client", 400, "token endpoint: HTTP 400 (invalid_client)"},
        {"token-error:canary", 400, "token endpoint: HTTP 400"},
        {"401", 401, "token endpoint: HTTP 401"},
        {"503", 503, "token endpoint: HTTP 503"},
        {"302", 302, "token endpoint: HTTP 302"},
        {"200", 200, "token endpoint: HTTP 200 (no bearer token in the answer)"},
        {"200:html", 200, "token endpoint: HTTP 200 (no bearer token in the answer)"},
        {"json:%7B%22access_token%22:%22a%5Cr%5Cnb%22%7D", 200,
         "token endpoint: HTTP 200 (no bearer token in the answer)"},
        {"json:%7B%22access_token%22:%22a%22%2C%22token_type%22:%22mac%22%7D", 200,
         "token endpoint: HTTP 200 (no bearer token in the answer)"},
        {"json:%7B%22access_token%22:7%7D", 200,
         "token endpoint: HTTP 200 (no bearer token in the answer)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[32];
        struct token_source *source;
        struct caller caller;

        snprintf(name, sizeof(name), "failure-%zu", i);
        source = source_of(name, cases[i].steps);
        caller = get(source);
        assert_string_equal(caller.token, "");
        assert_int_equal(caller.status, cases[i].status);
        assert_string_equal(caller.words, cases[i].words);
        assert_int_equal(caller.waiter.failure, HTTP_OK);
        token_source_free(&source);
    }
}

static void odd_but_good_answers(void **state)
{
    static const char *const steps[] = {
        "json:%7B%22access_token%22:%22abc%22%7D",
        "json:%7B%22access_token%22:%22abc%22%2C%22expires_in%22:%22600%22%7D",
        "json:%7B%22access_token%22:%22abc%22%2C%22token_type%22:%22bearer%22%7D",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct token_source *source = source_of("odd", steps[i]);

        assert_string_equal(get(source).token, "abc");
        token_source_free(&source);
    }
}

static void a_failure_holds_for_a_second(void **state)
{
    struct token_source *source = source_of("hold-off", "header:retry-after=9+503,token:3600");
    struct caller caller = get(source);
    unsigned before = http2_store_requests(&server);

    (void)state;
    assert_int_equal(caller.waiter.retry_after_ms, 9000);
    caller = get(source);
    assert_true(caller.inside);
    assert_int_equal(caller.status, 503);
    assert_int_equal(http2_store_requests(&server), before);
    wait_ms(1100);
    caller = get(source);
    assert_int_equal(caller.status, 200);
    assert_string_not_equal(caller.token, "");
    token_source_free(&source);
}

static void a_transport_failure_is_told(void **state)
{
    const struct client_credentials settings = {
        .token_url = "https://127.0.0.1:1/", .client_id = "a", .client_secret = "b"};
    struct token_source *source =
        token_source_new(client, client_credentials_grant_new(origin, &settings), NULL);
    struct caller caller = get(source);

    (void)state;
    assert_int_equal(caller.waiter.failure, HTTP_CONNECT);
    assert_string_equal(caller.words, "token endpoint: connection refused");
    token_source_free(&source);
}

static void a_new_secret_ends_the_hold_off(void **state)
{
    struct token_source *source = source_of("secret", "401,token:60");
    unsigned before = http2_store_requests(&server);
    char *json;

    (void)state;
    assert_int_equal(get(source).status, 401);
    client_credentials_set_secret(grant, "new");
    token_source_try_again(source);
    assert_int_equal(get(source).status, 200);
    json = http2_store_request(&server, before + 2, "json", NULL);
    assert_non_null(strstr(json, "\"Basic ZWRnZSUyMG9uZTpuZXc=\"")); /* edge%20one:new */
    free(json);
    token_source_free(&source);
}

static void waiters_may_leave(void **state)
{
    struct token_source *source = source_of("leave", "delay:100+token:60");
    unsigned left = 1;
    struct caller stays = {.waiter.on_token = on_token, .left = &left};
    struct caller leaves = {.waiter.on_token = on_token, .left = &left};

    (void)state;
    token_source_get(source, &leaves.waiter);
    token_source_get(source, &stays.waiter);
    token_source_cancel(&leaves.waiter);
    run_loop();
    assert_true(stays.called);
    assert_false(leaves.called);
    token_source_reject(source, stays.token);
    token_source_get(source, &leaves.waiter); /* under way when the source goes */
    token_source_free(&source);
    assert_false(leaves.called);
}

static int start(void **state)
{
    struct http_origin_settings settings = {.connect_timeout_ms = 5000, .maximum_connections = 1};

    (void)state;
    if (http_global_init() != 0 || !http2_store_make_pki(&server, MLLPGW_TEST_DATA))
        return -1;
    if (!http2_store_start(&server, MLLPGW_TEST_DATA, (const char *[]){NULL})) {
        printf("SKIP unit/token: node is needed for tests/support/http2_store.mjs\n");
        http2_store_stop(&server);
        exit(0);
    }
    loop = loop_new("test");
    client = http_client_new(loop);
    settings.ca_file = http2_store_file(&server, "ca.pem");
    origin = http_origin_new(client, &settings);
    return origin != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_origin_free(&origin);
    http_client_free(&client);
    loop_free(&loop);
    http2_store_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_asked_for_once),
        cmocka_unit_test(a_token_is_refreshed_early_without_a_stall),
        cmocka_unit_test(an_expired_token_is_not_used),
        cmocka_unit_test(a_rejected_token_is_replaced_once),
        cmocka_unit_test(failures),
        cmocka_unit_test(odd_but_good_answers),
        cmocka_unit_test(a_failure_holds_for_a_second),
        cmocka_unit_test(a_transport_failure_is_told),
        cmocka_unit_test(a_new_secret_ends_the_hold_off),
        cmocka_unit_test(waiters_may_leave),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
