/* links: egress http spool loop hl7 base config */
/* The store of type http against a real HTTP/2 server. */
#include "egress/store.h"
#include "support/http2_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct http2_store server;
static struct loop *loop;
static struct http_client *client;
static struct config_store config;
static char name[] = "nginx", content_type[] = "x-application/hl7-v2+er7";
static char url[128], ca[128], certificate[128], key[128];

struct deliveries {
    struct store *store;
    struct message *message;
    unsigned to_start, running, accepted;
    struct verdict last;
};

static void on_done(void *context, struct verdict *verdict);

static void start_one(struct deliveries *deliveries)
{
    deliveries->to_start--;
    deliveries->running++;
    assert_non_null(
        store_deliver(deliveries->store, deliveries->message, NULL, 0, on_done, deliveries));
}

static void on_done(void *context, struct verdict *verdict)
{
    struct deliveries *deliveries = context;

    deliveries->running--;
    deliveries->accepted += verdict->kind == VERDICT_ACCEPTED;
    answer_bytes_release(&verdict->answer);
    deliveries->last = *verdict;
    if (deliveries->to_start > 0)
        start_one(deliveries);
    else if (deliveries->running == 0)
        loop_stop(loop);
}

static struct deliveries run(const char *path, size_t bytes, unsigned count, unsigned parallel)
{
    const struct store_context context = {.loop = loop, .http = client};
    struct deliveries deliveries = {.to_start = count};
    char error[512] = "";
    char *body = malloc(bytes);

    memset(body, 'x', bytes);
    memcpy(body, "MSH|^~\\&|", 9);
    snprintf(url, sizeof(url), "https://localhost:%d%s", server.port, path);
    deliveries.message = message_new("lab", "adt", body, bytes);
    deliveries.store = store_new(&config, &context, error);
    if (deliveries.store == NULL)
        fail_msg("%s", error);
    while (deliveries.to_start > 0 && deliveries.running < parallel)
        start_one(&deliveries);
    loop_run(loop);
    store_free(&deliveries.store);
    message_release(&deliveries.message);
    return deliveries;
}

static void small_messages(void **state)
{
    (void)state;
    assert_int_equal(run("/", 600, 2000, 64).accepted, 2000);
}

static void large_messages(void **state)
{
    (void)state;
    assert_int_equal(run("/", 64 * 1024, 200, 64).accepted, 200);
    assert_int_equal(run("/", 20 * 1024 * 1024, 2, 2).accepted, 2);
}

/* nginx takes many bodies that it never reads for an attack and cuts the connection: some of the
 * answers are lost, none of them is worse than that. */
static void early_answers(void **state)
{
    struct deliveries deliveries = run("/early", 64 * 1024, 500, 64);

    (void)state;
    assert_true(deliveries.accepted > 300);
    assert_true(deliveries.last.kind == VERDICT_ACCEPTED || deliveries.last.kind == VERDICT_RETRY);
}

static void a_missing_certificate_is_the_operators_fault(void **state)
{
    struct deliveries deliveries;

    (void)state;
    http2_store_end(&server);
    assert_true(http2_store_start_nginx(&server, MLLPGW_TEST_DATA,
                                        (const char *[]){"--client-ca", "@ca.pem", NULL}));
    deliveries = run("/", 600, 1, 1);
    assert_int_equal(deliveries.last.kind, VERDICT_OPERATOR);
    assert_string_equal(deliveries.last.reason,
                        "HTTP 400, the server does not take our certificate");
    config.certificate = certificate;
    config.key = key;
    assert_int_equal(run("/", 600, 10, 4).accepted, 10);
}

static void a_server_that_comes_back(void **state)
{
    struct deliveries deliveries;

    (void)state;
    http2_store_end(&server);
    deliveries = run("/", 600, 1, 1);
    assert_int_equal(deliveries.last.kind, VERDICT_RETRY);
    assert_true(deliveries.last.not_sent);
    assert_true(http2_store_start_nginx(&server, MLLPGW_TEST_DATA, (const char *[]){NULL}));
    assert_int_equal(run("/", 600, 1, 1).accepted, 1);
}

static int start(void **state)
{
    (void)state;
    if (http_global_init() != 0 || !http2_store_make_pki(&server, MLLPGW_TEST_DATA))
        return -1;
    if (!http2_store_start_nginx(&server, MLLPGW_TEST_DATA, (const char *[]){NULL})) {
        printf("SKIP unit/http_nginx: nginx is needed for tests/support/nginx_store\n");
        http2_store_stop(&server);
        exit(0);
    }
    snprintf(ca, sizeof(ca), "%s", http2_store_file(&server, "ca.pem"));
    snprintf(certificate, sizeof(certificate), "%s", http2_store_file(&server, "client1.pem"));
    snprintf(key, sizeof(key), "%s", http2_store_file(&server, "client1.key"));
    config = (struct config_store){.name = name,
                                   .type = CONFIG_STORE_HTTP,
                                   .batch = CONFIG_BATCH_SPLIT,
                                   .url = url,
                                   .content_type = content_type,
                                   .ca = ca,
                                   .connect_timeout_ms = 5000,
                                   .attempt_timeout_ms = 30000,
                                   .maximum_connections = 4,
                                   .maximum_answer_bytes = 65536};
    loop = loop_new("test");
    client = http_client_new(loop);
    return loop != NULL && client != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_client_free(&client);
    loop_free(&loop);
    http2_store_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_messages),
        cmocka_unit_test(large_messages),
        cmocka_unit_test(early_answers),
        cmocka_unit_test(a_missing_certificate_is_the_operators_fault),
        cmocka_unit_test(a_server_that_comes_back),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
