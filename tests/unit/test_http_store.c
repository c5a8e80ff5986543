/* links: egress http spool loop hl7 base config */
/* The store of type http, whole, against tests/support/http2_store.mjs. */
#include "egress/store.h"
#include "support/http2_store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY "MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5\rPID|1||\xe4\x00\xff\rZZZ\r"
#define LATIN "MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5||||||8859/1\rPID|1\r"
#define BATCH                                                                                      \
    "BHS|^~\\&|A|B|C|D|2026||||B7\rMSH|^~\\&|A|B|C|D|2026||ADT|I1|P|2.5\rPID|1\r"                  \
    "MSH|^~\\&|A|B|C|D|2026||ADT|I2|P|2.5\rPID|2\rMSH|^~\\&|A|B|C|D|2026||ADT|I3|P|2.5\rBTS|3\r"
#define HEX "abababababababababababababababab"

static struct http2_store server;
static struct loop *loop;
static struct offload *offload;
static struct metrics *metrics;
static struct http_client *client;
static struct config_store config;
static char store_name[] = "cloud", content_type[] = "x-application/hl7-v2+er7";
static char url[512], ca[128];

struct outcome {
    struct verdict verdict;
    bool done;
    unsigned *left;
};

static void on_done(void *context, struct verdict *verdict)
{
    struct outcome *outcome = context;

    assert_false(outcome->done);
    outcome->done = true;
    outcome->verdict = *verdict;
    if (--*outcome->left == 0)
        loop_stop(loop);
}

static struct message *message_of(const char *body, size_t length, const char *control_id)
{
    char *copy = malloc(length);
    struct message *message;

    memcpy(copy, body, length);
    message = message_new("lab", "adt", copy, length);
    message->control_id = span_of_string(control_id);
    memset(message->digest, 0xab, sizeof(message->digest));
    return message;
}

static struct store *open_store(const char *name, const char *steps)
{
    const struct store_context context = {
        .loop = loop, .offload = offload, .http = client, .metrics = metrics};
    char error[512] = "";
    struct store *store;

    snprintf(url, sizeof(url), "%s", http2_store_url(&server, name, steps));
    store = store_new(&config, &context, error);
    if (store == NULL)
        fail_msg("%s", error);
    return store;
}

static struct verdict deliver_to(struct store *store, struct message *message,
                                 struct store_progress *progress)
{
    unsigned left = 1;
    struct outcome outcome = {.left = &left};

    assert_non_null(store_deliver(store, message, progress, 0, on_done, &outcome));
    assert_false(outcome.done);
    loop_run(loop);
    assert_true(outcome.done);
    return outcome.verdict;
}

/* One delivery to a store of its own; the answer is dropped. */
static struct verdict deliver(const char *name, const char *steps)
{
    struct store *store = open_store(name, steps);
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct verdict verdict = deliver_to(store, message, NULL);

    answer_bytes_release(&verdict.answer);
    message_release(&message);
    store_free(&store);
    return verdict;
}

static void assert_header(unsigned number, const char *text)
{
    char *json = http2_store_request(&server, number, "json", NULL);

    assert_non_null(json);
    if (strstr(json, text) == NULL)
        fail_msg("no %s in %s", text, json);
    free(json);
}

static void write_secret(const char *name, const char *text, mode_t mode)
{
    const char *path = http2_store_file(&server, name);
    int fd;

    (void)unlink(path);
    fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static char *secret_path(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s", http2_store_file(&server, name));
    return path;
}

static void the_request(void **state)
{
    unsigned number = http2_store_requests(&server) + 1;
    struct store *store = open_store("request", "AA");
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct verdict verdict = deliver_to(store, message, NULL);
    size_t length = 0;
    char *body = http2_store_request(&server, number, "body", &length);

    (void)state;
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_string_equal(verdict.code, "AA");
    assert_true(verdict.answer_is_hl7);
    assert_non_null(memmem(verdict.answer->data, verdict.answer->length, "MSA|AA|ID1\r", 11));
    assert_int_equal(length, sizeof(BODY) - 1); /* byte for byte */
    assert_memory_equal(body, BODY, length);
    free(body);
    assert_header(number, "\"content-type\":\"x-application/hl7-v2+er7\"");
    assert_header(number, "\"idempotency-key\":\"" HEX "\"");
    assert_header(number, " GMT\"");
    assert_header(number, "\"version\":\"2.0\"");
    verdict_clear(&verdict);
    message_release(&message);
    store_free(&store);
}

static void the_charset_is_msh_18s(void **state)
{
    unsigned number = http2_store_requests(&server) + 1;
    struct message *message = message_of(LATIN, sizeof(LATIN) - 1, "ID1");
    char own[] = "application/hl7-v2+er7; charset=utf-8";
    struct store *store = open_store("charset", "204");

    (void)state;
    assert_int_equal(deliver_to(store, message, NULL).kind, VERDICT_ACCEPTED);
    assert_header(number, "\"x-application/hl7-v2+er7; charset=iso-8859-1\"");
    store_free(&store);
    config.content_type = own;
    store = open_store("charset", "204");
    assert_int_equal(deliver_to(store, message, NULL).kind, VERDICT_ACCEPTED);
    assert_header(number + 1, "\"application/hl7-v2+er7; charset=utf-8\"");
    store_free(&store);
    message_release(&message);
}

static void headers_and_basic(void **state)
{
    unsigned number = http2_store_requests(&server) + 1;
    char *headers[] = {(char[]){"X-Tenant: north"}, (char[]){"X-Empty:"}};
    char user[] = "edge";

    (void)state;
    write_secret("password", "p\xc3\xa4ss\n", 0600);
    config.headers = (struct config_strings){.items = headers, .count = 2, .present = true};
    config.username = user;
    config.password_file = secret_path("password");
    assert_int_equal(deliver("basic", "204").kind, VERDICT_ACCEPTED);
    assert_header(number, "\"x-tenant\":\"north\"");
    assert_header(number, "\"authorization\":\"Basic ZWRnZTpww6Rzcw==\"");
    assert_header(number, "\"idempotency-key\":\"" HEX "\"");
}

static void bearer_files_are_read_again(void **state)
{
    unsigned number = http2_store_requests(&server) + 1;
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store *store;
    struct verdict verdict;

    (void)state;
    write_secret("bearer", "old\n", 0600);
    config.bearer_file = secret_path("bearer");
    store = open_store("bearer", "bearer:old,bearer:new");
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_header(number, "\"Bearer old\"");
    verdict_clear(&verdict);
    /* Refused, and there is another in the file by now: one more try at once. */
    write_secret("bearer", "new\n", 0600);
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_header(http2_store_requests(&server), "\"Bearer new\"");
    verdict_clear(&verdict);
    store_free(&store);
    /* Refused, and there is no other. */
    number = http2_store_requests(&server);
    store = open_store("bearer-no", "bearer:other");
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_OPERATOR);
    assert_int_equal(http2_store_requests(&server), number + 1);
    store_free(&store);
    message_release(&message);
}

static void oauth2(void **state)
{
    unsigned number = http2_store_requests(&server) + 1;
    char token_url[256], id[] = "edge";
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store *store;
    struct verdict verdict;

    (void)state;
    snprintf(token_url, sizeof(token_url), "%s",
             http2_store_url(&server, "oauth2",
                             "json:%7B%22access_token%22:%22one%22%7D,"
                             "json:%7B%22access_token%22:%22two%22%7D"));
    write_secret("client-secret", "s3cret\n", 0600);
    config.oauth2_token_url = token_url;
    config.oauth2_client_id = id;
    config.oauth2_client_secret_file = secret_path("client-secret");
    store = open_store("oauth2-store", "bearer:one,bearer:one,bearer:two");
    for (int i = 0; i < 3; i++) { /* the third is refused at first */
        verdict = deliver_to(store, message, NULL);
        assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
        verdict_clear(&verdict);
    }
    assert_int_equal(http2_store_requests(&server), number - 1 + 6);
    assert_header(number, "\"Basic ZWRnZTpzM2NyZXQ=\"");
    assert_header(number + 1, "\"Bearer one\"");
    assert_header(number + 5, "\"Bearer two\"");
    store_free(&store);

    /* Refused again with the new token: the operator's. */
    store = open_store("oauth2-never", "401");
    number = http2_store_requests(&server);
    assert_int_equal(deliver_to(store, message, NULL).kind, VERDICT_OPERATOR);
    assert_int_equal(http2_store_requests(&server), number + 4); /* token, 401, token, 401 */
    store_free(&store);
    message_release(&message);
}

static void tokens_that_cannot_be_had(void **state)
{
    char token_url[256], id[] = "edge";
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store *store;
    struct verdict verdict;

    (void)state;
    write_secret("client-secret", "s3cret\n", 0600);
    config.oauth2_token_url = token_url;
    config.oauth2_client_id = id;
    config.oauth2_client_secret_file = secret_path("client-secret");
    snprintf(token_url, sizeof(token_url), "%s",
             http2_store_url(&server, "no-token", "token-error:invalid_client"));
    store = open_store("unused", "200");
    for (int i = 0; i < 2; i++) { /* the second within the hold-off */
        verdict = deliver_to(store, message, NULL);
        assert_int_equal(verdict.kind, VERDICT_OPERATOR);
        assert_true(verdict.not_sent);
        assert_string_equal(verdict.reason, "token endpoint: HTTP 400 (invalid_client)");
    }
    store_free(&store);
    snprintf(token_url, sizeof(token_url), "%s",
             http2_store_url(&server, "later-token", "header:retry-after=3+503"));
    store = open_store("unused", "200");
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    assert_int_equal(verdict.retry_after_ms, 3000);
    assert_false(verdict.about_message);
    store_free(&store);
    message_release(&message);
}

static void verdicts_end_to_end(void **state)
{
    static const struct {
        const char *steps;
        enum verdict_kind kind;
        bool about_message;
        const char *reason;
    } cases[] = {
        {"204", VERDICT_ACCEPTED, true, "HTTP 204"},
        {"200:json", VERDICT_ACCEPTED, true, "HTTP 200"},
        {"CA", VERDICT_ACCEPTED, true, "CA from the store"},
        {"untyped:AA", VERDICT_ACCEPTED, true, "AA from the store"},
        {"framed:AA", VERDICT_ACCEPTED, true, "AA from the store"},
        {"delay:200+AA", VERDICT_ACCEPTED, true, "AA from the store"},
        {"goaway", VERDICT_ACCEPTED, true, "AA from the store"},
        {"AE", VERDICT_REFUSED, true, "AE from the store (ERR 207)"},
        {"CR", VERDICT_REFUSED, true, "CR from the store (ERR 207)"},
        {"422:json", VERDICT_REFUSED, true, "HTTP 422"},
        {"early:413", VERDICT_REFUSED, true, "HTTP 413"},
        {"redirect", VERDICT_OPERATOR, false, "HTTP 302"},
        {"401", VERDICT_OPERATOR, false, "HTTP 401"},
        {"404:html", VERDICT_OPERATOR, false, "HTTP 404"},
        {"503:html", VERDICT_RETRY, false, "HTTP 503"},
        {"500", VERDICT_RETRY, true, "HTTP 500"},
        {"foreign:AA", VERDICT_RETRY, true, "AA from the store, but MSA-2 is not ours"},
        {"garbage", VERDICT_RETRY, true, "HTTP 200, the HL7 in the answer cannot be read"},
        {"broken", VERDICT_RETRY, true, "HTTP 200, the HL7 in the answer cannot be read"},
        {"huge:64", VERDICT_ACCEPTED, true, "HTTP 200, the answer is too large"},
        {"huge-hl7:64", VERDICT_OPERATOR, false, "answer larger than maximum_answer_bytes"},
        {"hang", VERDICT_RETRY, false, "no whole answer in time"},
        {"reset", VERDICT_RETRY, false, "HTTP/2 stream or connection ended early"},
    };

    (void)state;
    config.attempt_timeout_ms = 2000;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verdict verdict;

        if (strcmp(cases[i].steps, "hang") == 0)
            config.attempt_timeout_ms = 300;
        verdict = deliver("verdict", cases[i].steps);
        config.attempt_timeout_ms = 2000;
        if (verdict.kind != cases[i].kind || verdict.about_message != cases[i].about_message)
            fail_msg("%s: %s", cases[i].steps, verdict_kind_text(verdict.kind));
        assert_string_equal(verdict.reason, cases[i].reason);
        assert_false(verdict.not_sent);
    }
}

static void retry_after_and_location(void **state)
{
    struct verdict verdict = deliver("after", "header:retry-after=11+429");

    (void)state;
    assert_int_equal(verdict.retry_after_ms, 11000);
    verdict = deliver("location", "AE");
    assert_string_equal(verdict.error_location, "PID^1^5^1^2");
    assert_int_equal(verdict.error_code, 207);
}

static void faults_of_connecting(void **state)
{
    struct verdict verdict;
    char other[] = "/etc/hostname";

    (void)state;
    config.ca = other;
    verdict = deliver("tls", "200");
    assert_int_equal(verdict.kind, VERDICT_OPERATOR);
    assert_true(verdict.not_sent);
    config.ca = ca;

    struct store *store = open_store("refused", "200");
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    snprintf(url, sizeof(url), "https://127.0.0.1:1/");
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    assert_true(verdict.not_sent);
    assert_string_equal(verdict.reason, "connection refused");
    message_release(&message);
    store_free(&store);
}

static void a_deadline_shortens_the_attempt(void **state)
{
    struct store *store = open_store("deadline", "hang");
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    unsigned left = 1;
    struct outcome outcome = {.left = &left};
    int64_t started_ms;

    (void)state;
    uv_update_time(loop_uv(loop));
    started_ms = loop_now_ms(loop);
    assert_non_null(store_deliver(store, message, NULL, started_ms + 200, on_done, &outcome));
    loop_run(loop);
    assert_int_equal(outcome.verdict.kind, VERDICT_RETRY);
    assert_in_range(loop_now_ms(loop) - started_ms, 150, 1500);
    message_release(&message);
    store_free(&store);
}

static void cancelled_attempts_say_nothing(void **state)
{
    struct store *store = open_store("cancel", "hang");
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    unsigned never_left = 100, left = 1;
    struct outcome never = {.left = &never_left}, last = {.left = &left};
    struct store_attempt *attempts[4];
    struct store *other = open_store("other", "delay:100+204");

    (void)state;
    for (size_t i = 0; i < 4; i++)
        attempts[i] = store_deliver(store, message, NULL, 0, on_done, &never);
    for (size_t i = 0; i < 3; i++)
        store_cancel(&attempts[i]); /* the fourth goes with its store */
    store_free(&store);
    assert_non_null(store_deliver(other, message, NULL, 0, on_done, &last));
    loop_run(loop);
    assert_false(never.done);
    message_release(&message);
    store_free(&other);
}

static void batches_are_split(void **state)
{
    unsigned number = http2_store_requests(&server) + 1;
    struct message *message = message_of(BATCH, sizeof(BATCH) - 1, "B7");
    struct store *store = open_store("split", "AA,503,AA");
    struct store_progress progress = {0};
    size_t length = 0;
    struct verdict verdict;
    char *body;

    (void)state;
    message->batch = true;
    verdict = deliver_to(store, message, &progress);
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    assert_int_equal(progress.parts, 1);
    verdict_clear(&verdict);
    verdict = deliver_to(store, message, &progress);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_int_equal(progress.parts, 3);
    verdict_clear(&verdict);
    assert_int_equal(http2_store_requests(&server), number + 3);
    assert_header(number, "\"idempotency-key\":\"" HEX "-1\"");
    assert_header(number + 1, "\"idempotency-key\":\"" HEX "-2\"");
    assert_header(number + 2, "\"idempotency-key\":\"" HEX "-2\"");
    assert_header(number + 3, "\"idempotency-key\":\"" HEX "-3\"");
    body = http2_store_request(&server, number + 2, "body", &length);
    assert_string_equal(body, "MSH|^~\\&|A|B|C|D|2026||ADT|I2|P|2.5\rPID|2\r");
    free(body);
    store_free(&store);

    store = open_store("split-refused", "AA,AE,AA");
    progress = (struct store_progress){0};
    verdict = deliver_to(store, message, &progress);
    assert_int_equal(verdict.kind, VERDICT_REFUSED);
    assert_int_equal(progress.parts, 1);
    verdict_clear(&verdict);
    store_free(&store);
    message_release(&message);
}

static void batches_go_whole(void **state)
{
    unsigned number = http2_store_requests(&server) + 1;
    struct message *message = message_of(BATCH, sizeof(BATCH) - 1, "B7");
    struct store *store;
    struct verdict verdict;
    size_t length = 0;
    char *body;

    (void)state;
    config.batch = CONFIG_BATCH_WHOLE;
    message->batch = true;
    store = open_store("whole", "AA,batch:AA,batch:AE");
    for (int i = 0; i < 3; i++) {
        verdict = deliver_to(store, message, NULL);
        assert_int_equal(verdict.kind, i < 2 ? VERDICT_ACCEPTED : VERDICT_REFUSED);
        verdict_clear(&verdict);
    }
    body = http2_store_request(&server, number, "body", &length);
    assert_int_equal(length, sizeof(BATCH) - 1);
    assert_header(number, "\"idempotency-key\":\"" HEX "\"");
    free(body);
    message_release(&message);
    store_free(&store);
}

static void many_in_parallel(void **state)
{
    enum { COUNT = 200 };
    static struct outcome outcomes[COUNT];
    struct store *store = open_store("parallel", "delay:20+AA");
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    unsigned left = COUNT;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        outcomes[i] = (struct outcome){.left = &left};
        assert_non_null(store_deliver(store, message, NULL, 0, on_done, &outcomes[i]));
    }
    loop_run(loop);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].verdict.kind, VERDICT_ACCEPTED);
        verdict_clear(&outcomes[i].verdict);
    }
    message_release(&message);
    store_free(&store);
}

static void expect_no_store(const char *sentence)
{
    const struct store_context context = {
        .loop = loop, .offload = offload, .http = client, .metrics = metrics};
    char error[512] = "";

    assert_null(store_new(&config, &context, error));
    if (strstr(error, sentence) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", sentence, error);
}

static void what_cannot_be_opened(void **state)
{
    char bad[] = "ftp://store.example/", missing[] = "/nonexistent/file";
    char *headers[] = {(char[]){"no colon"}};

    (void)state;
    config.url = bad;
    expect_no_store("url is not");
    config.url = url;
    snprintf(url, sizeof(url), "https://localhost/");
    config.ca = missing;
    expect_no_store("ca /nonexistent/file cannot be read");
    config.ca = ca;
    config.bearer_file = missing;
    expect_no_store("/nonexistent/file");
    write_secret("open", "x", 0644);
    config.bearer_file = secret_path("open");
    expect_no_store("open");
    write_secret("lines", "a\nb\n", 0600);
    config.bearer_file = secret_path("lines");
    expect_no_store("one line");
    config.bearer_file = NULL;
    config.headers = (struct config_strings){.items = headers, .count = 1, .present = true};
    expect_no_store("\"Name: value\"");
}

static void outcomes_are_counted(void **state)
{
    static const char *const wanted[] = {
        "mllpgw_store_requests_total{store=\"counted\",outcome=\"accepted\"} 1\n",
        "mllpgw_store_requests_total{store=\"counted\",outcome=\"refused\"} 1\n",
        "mllpgw_store_requests_total{store=\"counted\",outcome=\"retry\"} 1\n",
        "mllpgw_store_requests_total{store=\"counted\",outcome=\"operator\"} 1\n",
        "mllpgw_store_seconds_count{store=\"counted\"} 4\n",
        "mllpgw_store_connections_total{store=\"counted\"} 1\n",
        "mllpgw_store_answers_total{store=\"counted\",http=\"2\"} 4\n"};
    char name[] = "counted";
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store *store;
    struct buffer text;

    (void)state;
    config.name = name;
    store = open_store("counted", "AA,AE,503,404");
    for (int i = 0; i < 4; i++) {
        struct verdict verdict = deliver_to(store, message, NULL);

        verdict_clear(&verdict);
    }
    buffer_init(&text, 1 << 20);
    assert_int_equal(metrics_render(metrics, &text), 0);
    assert_int_equal(buffer_append_byte(&text, '\0'), 0);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (strstr(text.data, wanted[i]) == NULL)
            fail_msg("no %s", wanted[i]);
    }
    buffer_free(&text);
    message_release(&message);
    store_free(&store);
}

static int start(void **state)
{
    (void)state;
    if (http_global_init() != 0 || !http2_store_make_pki(&server, MLLPGW_TEST_DATA))
        return -1;
    if (!http2_store_start(&server, MLLPGW_TEST_DATA, (const char *[]){NULL})) {
        printf("SKIP unit/http_store: node is needed for tests/support/http2_store.mjs\n");
        http2_store_stop(&server);
        exit(0);
    }
    snprintf(ca, sizeof(ca), "%s", http2_store_file(&server, "ca.pem"));
    loop = loop_new("test");
    offload = offload_new();
    metrics = metrics_new();
    client = http_client_new(loop);
    return loop != NULL && offload != NULL && metrics != NULL && client != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_client_free(&client);
    offload_free(&offload);
    loop_free(&loop);
    metrics_free(metrics);
    http2_store_stop(&server);
    return 0;
}

static int each_start(void **state)
{
    (void)state;
    config = (struct config_store){.name = store_name,
                                   .type = CONFIG_STORE_HTTP,
                                   .batch = CONFIG_BATCH_SPLIT,
                                   .url = url,
                                   .content_type = content_type,
                                   .ca = ca,
                                   .connect_timeout_ms = 5000,
                                   .attempt_timeout_ms = 10000,
                                   .maximum_connections = 4,
                                   .maximum_answer_bytes = 65536};
    return 0;
}

#define EACH(test) cmocka_unit_test_setup(test, each_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(the_request),
        EACH(the_charset_is_msh_18s),
        EACH(headers_and_basic),
        EACH(bearer_files_are_read_again),
        EACH(oauth2),
        EACH(tokens_that_cannot_be_had),
        EACH(verdicts_end_to_end),
        EACH(retry_after_and_location),
        EACH(faults_of_connecting),
        EACH(a_deadline_shortens_the_attempt),
        EACH(cancelled_attempts_say_nothing),
        EACH(batches_are_split),
        EACH(batches_go_whole),
        EACH(many_in_parallel),
        EACH(what_cannot_be_opened),
        EACH(outcomes_are_counted),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
