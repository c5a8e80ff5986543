/* links: egress http spool loop hl7 base config */
/* The store of type google, whole, against tests/support/google_store.mjs. */
#include "base/base64.h"
#include "base/log.h"
#include "egress/store.h"
#include "hl7/charset.h"
#include "support/http2_store.h"

#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY "MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5\rPID|1||\xc3\xa4\xe2\x82\xac|canary-sent\r"
#define BATCH                                                                                      \
    "BHS|^~\\&|A|B|C|D|2026||||B7\rMSH|^~\\&|A|B|C|D|2026||ADT^A01|I1|P|2.5\rPID|1\r"              \
    "MSH|^~\\&|A|B|C|D|2026||ADT^A01|I2|P|2.5\rPID|2\r"                                            \
    "MSH|^~\\&|A|B|C|D|2026||ADT^A01|I3|P|2.5\rBTS|3\r"

static struct http2_store server;
static struct loop *loop;
static struct offload *offload;
static struct metrics *metrics;
static struct http_client *client;
static struct http_origin *control_origin;
static struct config_store config;
static int log_fd = -1;
static char store_name[] = "cloud", project[] = "project", location[] = "europe-west6",
            dataset[] = "dataset", version[] = "v1",
            scope[] = "https://www.googleapis.com/auth/cloud-healthcare";
static char place[64], endpoint[64], credentials[128], ca[128];

struct outcome {
    struct verdict verdict;
    bool done;
    unsigned *left;
};

static void on_done(void *context, struct verdict *verdict)
{
    struct outcome *outcome = context;

    assert_false(outcome->done);
    assert_null(strstr(verdict->reason, "canary"));
    outcome->done = true;
    outcome->verdict = *verdict;
    if (--*outcome->left == 0)
        loop_stop(loop);
}

/* ---- the stand-in ---- */

static void on_control(void *context, const struct http_result *result)
{
    json_t **ret = context;

    assert_int_equal(result->status, 200);
    *ret = json_loadb(result->body.data, result->body.length, 0, NULL);
    loop_stop(loop);
}

/* What it says then; json_decref() it. */
__attribute__((format(printf, 1, 2))) static json_t *control(const char *format, ...)
{
    char wanted[1024], url[128];
    json_t *answer = NULL;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(wanted, sizeof(wanted), format, arguments);
    va_end(arguments);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/control", server.plain_port);
    const struct http_parameters parameters = {.origin = control_origin,
                                               .method = "POST",
                                               .url = url,
                                               .body = span_of_string(wanted),
                                               .timeout_ms = 20000,
                                               .maximum_answer_bytes = 1 << 24};
    assert_non_null(http_request_start(client, &parameters, on_control, &answer));
    loop_run(loop);
    assert_non_null(answer);
    return answer;
}

/* A store of its own that answers so: steps with commas, in quotes. */
static void add_store(const char *name, const char *steps, bool reject_duplicates)
{
    json_decref(control("{\"stores\":{\"%s\":{\"steps\":[%s],\"rejectDuplicateMessage\":%s}}}",
                        name, steps, reject_duplicates ? "true" : "false"));
    snprintf(place, sizeof(place), "%s", name);
}

/* How many messages the store has. */
static size_t count_messages(const char *name)
{
    json_t *all = control("{}");
    const char *key;
    json_t *value;
    size_t count = 0;

    json_object_foreach(json_object_get(all, "stores"), key, value)
    {
        const char *last = strrchr(key, '/');

        if (last != NULL && strcmp(last + 1, name) == 0)
            count = json_array_size(value);
    }
    json_decref(all);
    return count;
}

static unsigned count_requests(const char *part)
{
    unsigned count = 0;

    for (unsigned i = http2_store_requests(&server); i > 0; i--) {
        char *json = http2_store_request(&server, i, "json", NULL);

        count += json != NULL && strstr(json, part) != NULL;
        free(json);
    }
    return count;
}

/* ---- ours ---- */

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

static struct store *open_store(void)
{
    const struct store_context context = {
        .loop = loop, .offload = offload, .http = client, .metrics = metrics};
    char error[512] = "";
    struct store *store = store_new(&config, &context, error);

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

/* One delivery to a store that answers so. */
static struct verdict deliver(const char *name, const char *steps)
{
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store *store;
    struct verdict verdict;

    add_store(name, steps, false);
    store = open_store();
    verdict = deliver_to(store, message, NULL);
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

/* ---- */

static void the_request(void **state)
{
    char quota[] = "project", agent[] = "lab/1", extra[] = "X-Site: north";
    char *labels[] = {(char[]){"from=st-marys"}, (char[]){"empty="}}, *headers[] = {extra};
    size_t length = 0;
    struct verdict verdict;
    char *body, *sent;
    unsigned number;

    (void)state;
    config.quota_project = quota;
    config.user_agent = agent;
    config.labels = (struct config_strings){.items = labels, .count = 2, .present = true};
    config.headers = (struct config_strings){.items = headers, .count = 1, .present = true};
    verdict = deliver("request", "\"ok\"");
    number = http2_store_requests(&server);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_string_equal(verdict.code, "AA");
    assert_true(verdict.answer_is_hl7);
    assert_non_null(memmem(verdict.answer->data, verdict.answer->length, "MSA|AA|ID1", 10));
    verdict_clear(&verdict);
    assert_header(number, "\"url\":\"/v1/projects/project/locations/europe-west6/datasets/dataset/"
                          "hl7V2Stores/request/messages:ingest\"");
    assert_header(number, "\"version\":\"2.0\"");
    assert_header(number, "\"content-type\":\"application/json\"");
    assert_header(number, "\"x-goog-api-format-version\":\"2\"");
    assert_header(number, "\"authorization\":\"Bearer ya29.");
    assert_header(number, "\"x-goog-user-project\":\"project\"");
    assert_header(number, "\"user-agent\":\"lab/1\"");
    assert_header(number, "\"x-site\":\"north\"");
    sent = http2_store_request(&server, number, "hl7", &length);
    assert_int_equal(length, sizeof(BODY) - 1); /* byte for byte */
    assert_memory_equal(sent, BODY, length);
    free(sent);
    body = http2_store_request(&server, number, "body", &length);
    assert_non_null(strstr(body, "\",\"labels\":{\"from\":\"st-marys\",\"empty\":\"\"}}}"));
    free(body);
}

static void what_a_request_has_by_itself(void **state)
{
    unsigned number;
    struct verdict verdict = deliver("defaults", "\"ok\"");
    char *json;

    (void)state;
    verdict_clear(&verdict);
    number = http2_store_requests(&server);
    assert_header(number, "\"user-agent\":\"mllp-gateway/" MLLPGW_VERSION "\"");
    json = http2_store_request(&server, number, "json", NULL);
    assert_null(strstr(json, "x-goog-user-project"));
    free(json);
}

/* A user's file names a quota project. */
static void the_credentials_may_name_a_quota_project(void **state)
{
    struct verdict verdict;

    (void)state;
    snprintf(credentials, sizeof(credentials), "%s",
             http2_store_file(&server, "authorized_user.json"));
    verdict = deliver("quota", "\"ok\"");
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    verdict_clear(&verdict);
    assert_header(http2_store_requests(&server), "\"x-goog-user-project\":\"project\"");
}

static void each_length_of_message_arrives(void **state)
{
    static const char head[] = "MSH|^~\\&|A|B|C|D|2026||ADT^A01|L1|P|2.5\rNTE|1||";
    char body[128];
    struct store *store;

    (void)state;
    add_store("lengths", "\"ok\"", false);
    store = open_store();
    for (size_t more = 1; more <= 4; more++) {
        size_t length = sizeof(head) - 1, got = 0;
        struct message *message;
        struct verdict verdict;
        char *sent;

        memcpy(body, head, length);
        memset(body + length, 'x', more);
        length += more;
        body[length++] = '\r';
        message = message_of(body, length, "L1");
        verdict = deliver_to(store, message, NULL);
        assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
        verdict_clear(&verdict);
        sent = http2_store_request(&server, http2_store_requests(&server), "hl7", &got);
        assert_int_equal(got, length);
        assert_memory_equal(sent, body, length);
        free(sent);
        message_release(&message);
    }
    store_free(&store);
    assert_int_equal(count_messages("lengths"), 4);
}

static void verdicts_end_to_end(void **state)
{
    static const struct {
        const char *steps;
        enum verdict_kind kind;
        const char *code, *reason;
        bool hl7;
    } cases[] = {
        {"\"ok\"", VERDICT_ACCEPTED, "AA", "AA from the store", true},
        {"\"delay:50+ok\"", VERDICT_ACCEPTED, "AA", "AA from the store", true},
        {"\"no-ack\"", VERDICT_ACCEPTED, "", "HTTP 200", false},
        {"\"empty-ack\"", VERDICT_ACCEPTED, "", "HTTP 200", false},
        {"\"nack-first\"", VERDICT_REFUSED, "AE", "AE from the store (ERR 207)", true},
        {"\"nack:AE\"", VERDICT_REFUSED, "AE", "AE from the store (ERR 207)", true},
        {"\"nack:AR:409\"", VERDICT_REFUSED, "AR",
         "HTTP 409, the store has the same message already (rejectDuplicateMessage)", true},
        {"\"nack:AR:422\"", VERDICT_REFUSED, "AR", "AR from the store (ERR 207)", true},
        {"\"nack:AE:500\"", VERDICT_REFUSED, "AE", "AE from the store (ERR 207)", true},
        {"\"nack:AE:503\"", VERDICT_RETRY, "", "HTTP 503", false},
        {"\"nack:AE:429\"", VERDICT_RETRY, "", "HTTP 429", false},
        {"\"nack:AE:401\"", VERDICT_OPERATOR, "",
         "HTTP 401: the token is not taken: check credentials and token_scope", false},
        {"\"400\"", VERDICT_REFUSED, "", "HTTP 400", false},
        {"\"413\"", VERDICT_REFUSED, "", "HTTP 413", false},
        {"\"html:413\"", VERDICT_REFUSED, "", "HTTP 413", false},
        {"\"broken-nack\"", VERDICT_REFUSED, "", "HTTP 400", false},
        {"\"foreign\"", VERDICT_RETRY, "AA", "AA from the store, but MSA-2 is not ours", false},
        {"\"foreign-nack\"", VERDICT_RETRY, "AE", "AE from the store, but MSA-2 is not ours",
         false},
        {"\"broken-json\"", VERDICT_RETRY, "", "HTTP 200, the JSON in the answer cannot be read",
         false},
        {"\"broken-base64\"", VERDICT_RETRY, "",
         "HTTP 200, the hl7Ack in the answer cannot be read", false},
        {"\"not-hl7\"", VERDICT_RETRY, "", "HTTP 200, the HL7 in the answer cannot be read", false},
        {"\"409:ABORTED\"", VERDICT_RETRY, "", "HTTP 409", false},
        {"\"429\"", VERDICT_RETRY, "", "HTTP 429", false},
        {"\"500\"", VERDICT_RETRY, "", "HTTP 500", false},
        {"\"html:502\"", VERDICT_RETRY, "", "HTTP 502", false},
        {"\"bare:503\"", VERDICT_RETRY, "", "HTTP 503", false},
        {"\"504\"", VERDICT_RETRY, "", "HTTP 504", false},
        {"\"huge:2\"", VERDICT_OPERATOR, "", "answer larger than maximum_answer_bytes", false},
        {"\"401\"", VERDICT_OPERATOR, "",
         "HTTP 401: the token is not taken: check credentials and token_scope", false},
        {"\"404\"", VERDICT_OPERATOR, "",
         "HTTP 404: is there store verdict in project project, location europe-west6, dataset "
         "dataset?",
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verdict verdict = deliver("verdict", cases[i].steps);

        if (verdict.kind != cases[i].kind)
            fail_msg("%s: %s, %s", cases[i].steps, verdict_kind_text(verdict.kind), verdict.reason);
        assert_string_equal(verdict.code, cases[i].code);
        assert_string_equal(verdict.reason, cases[i].reason);
        assert_int_equal(verdict.answer_is_hl7, cases[i].hl7);
        assert_false(verdict.not_sent);
        verdict_clear(&verdict);
    }
}

static void retry_after(void **state)
{
    struct verdict verdict = deliver("after", "\"header:retry-after=11+429\"");

    (void)state;
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    assert_int_equal(verdict.retry_after_ms, 11000);
    verdict_clear(&verdict);
}

static void a_store_without_the_account_names_the_role(void **state)
{
    struct verdict verdict;

    (void)state;
    json_decref(control("{\"stores\":{\"closed\":{\"members\":[\"nobody@else\"]}}}"));
    snprintf(place, sizeof(place), "closed");
    struct store *store = open_store();
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_OPERATOR);
    assert_int_equal(verdict.status, 403);
    assert_string_equal(verdict.reason,
                        "HTTP 403: has the account roles/healthcare.hl7V2Ingest on store closed, "
                        "and is it project project, location europe-west6, dataset dataset?");
    assert_non_null(memmem(verdict.answer->data, verdict.answer->length, "canary-google", 13));
    assert_false(verdict.answer_is_hl7);
    verdict_clear(&verdict);
    message_release(&message);
    store_free(&store);
}

/* ---- tokens ---- */

static void a_token_is_used_again_and_a_refused_one_replaced(void **state)
{
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    unsigned tokens, ingests;
    struct store *store;
    struct verdict verdict;

    (void)state;
    add_store("tokens", "\"ok\"", false);
    store = open_store();
    tokens = count_requests("\"/token\"");
    ingests = count_requests("messages:ingest");
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            json_decref(control("{\"revoke\":true}"));
        verdict = deliver_to(store, message, NULL);
        assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
        verdict_clear(&verdict);
    }
    assert_int_equal(count_requests("\"/token\""), tokens + 2);
    assert_int_equal(count_requests("messages:ingest"), ingests + 4); /* the third was 401 first */
    store_free(&store);

    /* Refused again with the new token: the operator's, without a third try. */
    add_store("tokens-never", "\"401\"", false);
    store = open_store();
    tokens = count_requests("\"/token\"");
    ingests = count_requests("messages:ingest");
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_OPERATOR);
    assert_false(verdict.about_message);
    assert_int_equal(count_requests("\"/token\""), tokens + 2);
    assert_int_equal(count_requests("messages:ingest"), ingests + 2);
    verdict_clear(&verdict);
    store_free(&store);
    message_release(&message);
}

static void without_a_token_nothing_is_sent(void **state)
{
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    unsigned ingests = count_requests("messages:ingest");
    struct store *store;
    struct verdict verdict;

    (void)state;
    add_store("no-token", "\"ok\"", false);
    snprintf(credentials, sizeof(credentials), "%s", http2_store_file(&server, "wrong_key.json"));
    store = open_store();
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_OPERATOR);
    assert_true(verdict.not_sent);
    assert_false(verdict.about_message);
    assert_non_null(strstr(verdict.reason, "HTTP 400"));
    verdict_clear(&verdict);
    store_free(&store);
    assert_int_equal(count_requests("messages:ingest"), ingests);
    message_release(&message);
}

/* ---- repeats ---- */

static void the_answer_got_lost(void **state)
{
    static const char *const losses[] = {"\"stored+drop\"",     "\"stored+drop-early\"",
                                         "\"stored+hang\"",     "\"stored+500\"",
                                         "\"stored+bare:503\"", "\"stored+broken-json\""};
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");

    (void)state;
    for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
        char name[32], steps[64];
        struct store_progress progress = {0};
        struct store *store;
        struct verdict verdict;

        snprintf(name, sizeof(name), "lost-%zu", i);
        snprintf(steps, sizeof(steps), "%s,\"ok\"", losses[i]);
        add_store(name, steps, true);
        store = open_store();
        config.attempt_timeout_ms = strcmp(losses[i], "\"stored+hang\"") == 0 ? 2000 : 10000;
        verdict = deliver_to(store, message, &progress);
        config.attempt_timeout_ms = 10000;
        assert_int_equal(verdict.kind, VERDICT_RETRY);
        assert_true(progress.part_in_doubt);
        verdict_clear(&verdict);
        verdict = deliver_to(store, message, &progress); /* ALREADY_EXISTS, with a NACK */
        assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
        assert_int_equal(verdict.status, 409);
        assert_string_equal(verdict.code, "");
        assert_null(verdict.answer);
        assert_false(progress.part_in_doubt);
        assert_int_equal(count_messages(name), 1);
        store_free(&store);
    }
    message_release(&message);
}

/* ---- a server that takes one request more than it answers ---- */

struct taker {
    pthread_t thread;
    int listener, port;
    bool took_both;
};

static bool taker_read_request(int fd)
{
    char text[8192] = "";
    size_t length = 0;

    while (length < sizeof(text) - 1) {
        ssize_t got = recv(fd, text + length, sizeof(text) - 1 - length, 0);
        const char *body, *size;

        if (got <= 0)
            return false;
        length += (size_t)got;
        text[length] = '\0';
        body = strstr(text, "\r\n\r\n");
        size = strstr(text, "Content-Length: ");
        if (body != NULL && size != NULL &&
            length >= (size_t)(body + 4 - text) + strtoul(size + 16, NULL, 10))
            return true;
    }
    return false;
}

static void *taker_run(void *context)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 14\r\n\r\n{\"message\":{}}";
    struct taker *taker = context;
    int fd = accept4(taker->listener, NULL, NULL, SOCK_CLOEXEC);

    taker->took_both = taker_read_request(fd) &&
                       send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) > 0 &&
                       taker_read_request(fd);
    close(taker->listener); /* nothing takes libcurl's own repeat */
    close(fd);
    return NULL;
}

static void taker_start(struct taker *taker)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    taker->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(taker->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(taker->listener, 1), 0);
    assert_int_equal(getsockname(taker->listener, (struct sockaddr *)&address, &size), 0);
    taker->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&taker->thread, NULL, taker_run, taker), 0);
}

/* "Connection refused" says nothing of the request that went out on the connection before. */
static void a_repeat_that_did_not_connect_leaves_doubt(void **state)
{
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store_progress progress = {0};
    struct taker taker = {.listener = -1};
    struct store *store;
    struct verdict verdict;

    (void)state;
    taker_start(&taker);
    snprintf(place, sizeof(place), "taker");
    snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", taker.port);
    store = open_store();
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    verdict_clear(&verdict);
    verdict = deliver_to(store, message, &progress);
    assert_int_equal(pthread_join(taker.thread, NULL), 0);
    assert_true(taker.took_both);
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    assert_string_equal(verdict.reason, "connection refused");
    assert_false(verdict.not_sent);
    assert_true(progress.part_in_doubt);
    /* The next one was certainly not sent, and takes none of it back. */
    verdict = deliver_to(store, message, &progress);
    assert_true(verdict.not_sent);
    assert_true(progress.part_in_doubt);
    store_free(&store);
    message_release(&message);
}

static void what_was_answered_leaves_no_doubt(void **state)
{
    static const char *const answers[] = {"\"429\"", "\"404\"", "\"403\"", "\"409:ABORTED\""};
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct store_progress progress = {0};
        char name[32], steps[64];
        struct store *store;
        struct verdict verdict;

        snprintf(name, sizeof(name), "answered-%zu", i);
        add_store(name, "\"ok\"", true);
        store = open_store();
        verdict = deliver_to(store, message, NULL); /* somebody has brought it before */
        verdict_clear(&verdict);
        snprintf(steps, sizeof(steps), "%s,\"ok\"", answers[i]);
        add_store(name, steps, true);
        verdict = deliver_to(store, message, &progress);
        assert_false(progress.part_in_doubt);
        verdict_clear(&verdict);
        verdict = deliver_to(store, message, &progress);
        assert_int_equal(verdict.kind, VERDICT_REFUSED);
        assert_string_equal(
            verdict.reason,
            "HTTP 409, the store has the same message already (rejectDuplicateMessage)");
        assert_string_equal(verdict.code, "AE");
        verdict_clear(&verdict);
        store_free(&store);
    }
    message_release(&message);
}

static void an_earlier_holder_may_have_brought_it(void **state)
{
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store_progress progress = {.in_doubt = true};
    struct store *store;
    struct verdict verdict;

    (void)state;
    add_store("restarted", "\"ok\"", true);
    store = open_store();
    verdict = deliver_to(store, message, NULL);
    verdict_clear(&verdict);
    verdict = deliver_to(store, message, &progress);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_int_equal(count_messages("restarted"), 1);
    store_free(&store);
    message_release(&message);
}

static void a_store_that_takes_repeats_has_one_message(void **state)
{
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store *store;

    (void)state;
    add_store("repeats", "\"stored+503\",\"ok\"", false);
    store = open_store();
    for (int i = 0; i < 3; i++) {
        struct verdict verdict = deliver_to(store, message, NULL);

        assert_int_equal(verdict.kind, i == 0 ? VERDICT_RETRY : VERDICT_ACCEPTED);
        verdict_clear(&verdict);
    }
    assert_int_equal(count_messages("repeats"), 1);
    store_free(&store);
    message_release(&message);
}

static void a_cancelled_request_leaves_doubt(void **state)
{
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store_progress progress = {0}, waiting = {0};
    unsigned never_left = 100, ingests;
    struct outcome never = {.left = &never_left};
    struct store *store, *other;
    struct store_attempt *attempt;

    (void)state;
    add_store("other", "\"ok\"", false);
    other = open_store();
    add_store("cancelled", "\"stored+hang\"", false);
    /* One whose request is under way ... */
    store = open_store();
    ingests = count_requests("cancelled/messages:ingest");
    attempt = store_deliver(store, message, &progress, 0, on_done, &never);
    for (int i = 0; count_requests("cancelled/messages:ingest") == ingests && i < 1000; i++) {
        snprintf(place, sizeof(place), "other");
        struct verdict verdict = deliver_to(other, message, NULL); /* time passes */

        verdict_clear(&verdict);
    }
    assert_int_equal(count_requests("cancelled/messages:ingest"), ingests + 1);
    store_cancel(&attempt);
    assert_true(progress.part_in_doubt);
    store_free(&store);
    /* ... and one that still waits for a token. */
    store = open_store();
    attempt = store_deliver(store, message, &waiting, 0, on_done, &never);
    store_cancel(&attempt);
    assert_false(waiting.part_in_doubt);
    assert_false(never.done);
    store_free(&store);
    store_free(&other);
    message_release(&message);
}

/* ---- batches and sizes ---- */

static void batches_are_split(void **state)
{
    struct message *message = message_of(BATCH, sizeof(BATCH) - 1, "B7");
    struct store_progress progress = {0};
    struct store *store;
    struct verdict verdict;
    size_t length = 0;
    char *sent;

    (void)state;
    message->batch = true;
    add_store("split", "\"ok\",\"stored+503\",\"ok\"", true);
    store = open_store();
    verdict = deliver_to(store, message, &progress);
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    assert_int_equal(progress.parts, 1);
    assert_true(progress.part_in_doubt);
    verdict_clear(&verdict);
    verdict = deliver_to(store, message, &progress); /* the second is there already */
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_int_equal(progress.parts, 3);
    assert_string_equal(verdict.code, "AA"); /* the last one's */
    assert_non_null(memmem(verdict.answer->data, verdict.answer->length, "MSA|AA|I3", 9));
    verdict_clear(&verdict);
    assert_int_equal(count_messages("split"), 3);
    sent = http2_store_request(&server, http2_store_requests(&server), "hl7", &length);
    assert_string_equal(sent, "MSH|^~\\&|A|B|C|D|2026||ADT^A01|I3|P|2.5\r");
    free(sent);
    store_free(&store);
    message_release(&message);
}

static void the_largest_message_is_taken_and_a_larger_one_never_sent(void **state)
{
    static const char head[] = "MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5\rOBX|1||";
    unsigned requests;
    size_t maximum;
    char *body;

    (void)state;
    config.maximum_request_bytes = 70001;
    maximum = (size_t)config_store_maximum_message_bytes(&config);
    add_store("sizes", "\"ok\"", false);
    for (size_t more = 0; more < 2; more++) {
        struct store *store = open_store();
        struct message *message;
        struct verdict verdict;
        size_t length = 0;

        body = malloc(maximum + more);
        memset(body, 'x', maximum + more);
        memcpy(body, head, sizeof(head) - 1);
        body[maximum + more - 1] = '\r';
        requests = count_requests("sizes/messages:ingest");
        message = message_of(body, maximum + more, "ID1");
        verdict = deliver_to(store, message, NULL);
        assert_int_equal(verdict.kind, more == 0 ? VERDICT_ACCEPTED : VERDICT_REFUSED);
        assert_int_equal(verdict.not_sent, more == 1);
        assert_true(more == 0 || verdict.about_message);
        assert_true(more == 0 || strstr(verdict.reason, "maximum_request_bytes") != NULL);
        assert_int_equal(count_requests("sizes/messages:ingest"), requests + 1 - more);
        if (more == 0) {
            free(http2_store_request(&server, http2_store_requests(&server), "body", &length));
            assert_in_range(length, 69998, 70001); /* a group more would not fit */
        }
        verdict_clear(&verdict);
        message_release(&message);
        store_free(&store);
        free(body);
    }
}

/* ---- character sets ---- */

#define LATIN                                                                                      \
    "MSH|^~\\&|M\xfcnster|B|C|D|2026||ADT^A01|I\xe4|P|2.5||||||8859/1\rPID|1||\xe4|canary-sent\r"
#define LATIN_SENT                                                                                 \
    "MSH|^~\\&|M\xc3\xbcnster|B|C|D|2026||ADT^A01|I\xc3\xa4|P|2.5||||||UNICODE UTF-8\rPID|1||"     \
    "\xc3\xa4|canary-sent\r"

/* The store gets UTF-8 that says so; the sender gets the store's own answer, in its bytes. */
static void a_senders_character_set(void **state)
{
    struct message *message = message_of(LATIN, sizeof(LATIN) - 1, "I\xe4");
    size_t length = 0;
    struct store *store;
    struct verdict verdict;
    char *sent;

    (void)state;
    add_store("latin", "\"ok\",\"nack:AE\"", false);
    store = open_store();
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    sent = http2_store_request(&server, http2_store_requests(&server), "hl7", &length);
    assert_int_equal(length, sizeof(LATIN_SENT) - 1);
    assert_memory_equal(sent, LATIN_SENT, length);
    free(sent);
    assert_true(verdict.answer_is_hl7);
    assert_non_null(memmem(verdict.answer->data, verdict.answer->length, "|M\xfcnster|", 9));
    assert_non_null(memmem(verdict.answer->data, verdict.answer->length, "MSA|AA|I\xe4", 9));
    verdict_clear(&verdict);
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_REFUSED);
    assert_string_equal(verdict.code, "AE");
    assert_non_null(memmem(verdict.answer->data, verdict.answer->length, "MSA|AE|I\xe4|", 10));
    verdict_clear(&verdict);
    store_free(&store);
    message_release(&message);
}

/* Queued when its route led elsewhere, or its sender was not known for what it sends. */
static void what_cannot_become_utf8_is_never_sent(void **state)
{
    static const char body[] =
        "MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5\rPID|1||\xe4|canary-sent\r";
    struct message *message = message_of(body, sizeof(body) - 1, "ID1");
    struct store *store;
    struct verdict verdict;

    (void)state;
    add_store("unknown", "\"ok\"", false);
    store = open_store();
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_REFUSED);
    assert_true(verdict.not_sent);
    assert_true(verdict.about_message);
    assert_string_equal(verdict.reason,
                        "its bytes are not UTF-8, and its character set is not known (byte 48)");
    verdict_clear(&verdict);
    assert_int_equal(count_requests("unknown/messages:ingest"), 0);
    message->character_set = CHARSET_8859_1; /* what it was when it came counts */
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    verdict_clear(&verdict);
    assert_int_equal(count_requests("unknown/messages:ingest"), 1);
    store_free(&store);
    message_release(&message);
}

/* Each message of a batch has its own. */
static void a_batch_of_several_sets(void **state)
{
    static const char body[] =
        "BHS|^~\\&|A|B|C|D|2026||||B7\rMSH|^~\\&|A|B|C|D|2026||ADT^A01|I1|P|2.5||||||8859/2\rPID|\xb1\r"
        "MSH|^~\\&|A|B|C|D|2026||ADT^A01|I2|P|2.5||||||UNICODE UTF-8\rPID|\xc4\x85\rBTS|2\r";
    struct message *message = message_of(body, sizeof(body) - 1, "B7");
    unsigned number = http2_store_requests(&server), right = 0;
    struct store *store;
    struct verdict verdict;
    size_t length = 0;

    (void)state;
    message->batch = true;
    add_store("sets", "\"ok\"", false);
    store = open_store();
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    verdict_clear(&verdict);
    for (unsigned i = http2_store_requests(&server); i > number; i--) {
        char *sent = http2_store_request(&server, i, "hl7", &length);
        right += sent != NULL && strstr(sent, "||UNICODE UTF-8\rPID|\xc4\x85\r") != NULL;
        free(sent);
    }
    assert_int_equal(right, 2);
    assert_int_equal(count_messages("sets"), 2);
    store_free(&store);
    message_release(&message);
}

static void many_in_parallel(void **state)
{
    enum { COUNT = 100 };
    static struct outcome outcomes[COUNT];
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    unsigned left = COUNT, tokens = count_requests("\"/token\"");
    struct store *store;

    (void)state;
    add_store("parallel", "\"delay:20+ok\"", false);
    store = open_store();
    for (size_t i = 0; i < COUNT; i++) {
        outcomes[i] = (struct outcome){.left = &left};
        assert_non_null(store_deliver(store, message, NULL, 0, on_done, &outcomes[i]));
    }
    loop_run(loop);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].verdict.kind, VERDICT_ACCEPTED);
        verdict_clear(&outcomes[i].verdict);
    }
    assert_int_equal(count_requests("\"/token\""), tokens + 1);
    message_release(&message);
    store_free(&store);
}

/* ---- opening ---- */

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
    int fd;

    (void)state;
    config.endpoint = bad;
    expect_no_store("endpoint is not");
    config.endpoint = endpoint;
    config.ca = missing;
    expect_no_store("ca /nonexistent/file cannot be read");
    config.ca = ca;
    config.credentials = missing;
    expect_no_store("/nonexistent/file");
    config.credentials = credentials;
    snprintf(credentials, sizeof(credentials), "%s", http2_store_file(&server, "broken.json"));
    fd = open(credentials, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "{\"type\":\"service_account\"}", 26), 26);
    close(fd);
    expect_no_store("broken.json");
}

static void outcomes_are_counted(void **state)
{
    static const char *const wanted[] = {
        "mllpgw_store_requests_total{store=\"counted\",outcome=\"accepted\"} 1\n",
        "mllpgw_store_requests_total{store=\"counted\",outcome=\"refused\"} 1\n",
        "mllpgw_store_requests_total{store=\"counted\",outcome=\"retry\"} 1\n",
        "mllpgw_store_requests_total{store=\"counted\",outcome=\"operator\"} 1\n",
        "mllpgw_store_connections_total{store=\"counted\"} 1\n",
        "mllpgw_store_answers_total{store=\"counted\",http=\"2\"} 4\n"};
    char name[] = "counted";
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    struct store *store;
    struct buffer text;

    (void)state;
    config.name = name;
    add_store("counted", "\"ok\",\"nack:AE\",\"503\",\"404\"", false);
    store = open_store();
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

/* A file that is replaced by a broken one: the old credentials go on, and somebody is told. */
static void replaced_credentials_that_are_broken_are_reported(void **state)
{
    struct message *message = message_of(BODY, sizeof(BODY) - 1, "ID1");
    char text[4096] = "", *good;
    struct store *store;
    struct verdict verdict;
    size_t length = 0;
    FILE *file;

    (void)state;
    good = NULL;
    file = fopen(http2_store_file(&server, "service_account.json"), "re");
    assert_non_null(file);
    good = malloc(16384);
    length = fread(good, 1, 16384, file);
    fclose(file);
    snprintf(credentials, sizeof(credentials), "%s", http2_store_file(&server, "replaced.json"));
    int fd = open(credentials, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, good, length), length);
    close(fd);
    free(good);
    add_store("replaced", "\"ok\"", false);
    store = open_store();
    assert_int_equal(truncate(credentials, 10), 0);
    verdict = deliver_to(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    verdict_clear(&verdict);
    assert_true(pread(log_fd, text, sizeof(text) - 1, 0) > 0);
    assert_non_null(strstr(text, "event=store-credentials-unusable store=cloud reason="));
    assert_non_null(strstr(text, "replaced.json"));
    assert_null(strstr(text, "PRIVATE"));
    store_free(&store);
    message_release(&message);
}

static int start(void **state)
{
    char logs[] = "/tmp/mllpgw-test-log-XXXXXX";
    const struct http_origin_settings plain = {.connect_timeout_ms = 5000,
                                               .maximum_connections = 1};

    (void)state;
    if (http_global_init() != 0 || !http2_store_make_pki(&server, MLLPGW_TEST_DATA))
        return -1;
    if (!http2_store_start_google(&server, MLLPGW_TEST_DATA, (const char *[]){NULL})) {
        printf("SKIP unit/google_store: node is needed for tests/support/google_store.mjs\n");
        http2_store_stop(&server);
        exit(0);
    }
    log_fd = mkstemp(logs);
    if (log_fd < 0)
        return -1;
    (void)unlink(logs);
    log_set_fd(log_fd);
    snprintf(ca, sizeof(ca), "%s", http2_store_file(&server, "ca.pem"));
    loop = loop_new("test");
    offload = offload_new();
    metrics = metrics_new();
    client = http_client_new(loop);
    control_origin = client == NULL ? NULL : http_origin_new(client, &plain);
    return loop != NULL && offload != NULL && metrics != NULL && control_origin != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_origin_free(&control_origin);
    http_client_free(&client);
    offload_free(&offload);
    loop_free(&loop);
    metrics_free(metrics);
    log_set_fd(2);
    close(log_fd);
    http2_store_stop(&server);
    return 0;
}

static int each_start(void **state)
{
    (void)state;
    snprintf(endpoint, sizeof(endpoint), "https://localhost:%d/", server.port);
    snprintf(credentials, sizeof(credentials), "%s",
             http2_store_file(&server, "service_account.json"));
    config = (struct config_store){.name = store_name,
                                   .type = CONFIG_STORE_GOOGLE,
                                   .batch = CONFIG_BATCH_SPLIT,
                                   .project = project,
                                   .location = location,
                                   .dataset = dataset,
                                   .store = place,
                                   .endpoint = endpoint,
                                   .api_version = version,
                                   .credentials = credentials,
                                   .token_scope = scope,
                                   .ca = ca,
                                   .connect_timeout_ms = 5000,
                                   .attempt_timeout_ms = 10000,
                                   .maximum_connections = 4,
                                   .maximum_request_bytes = 10000000,
                                   .maximum_answer_bytes = 65536};
    return 0;
}

#define STORE_TEST(name) cmocka_unit_test_setup(name, each_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(the_request),
        STORE_TEST(what_a_request_has_by_itself),
        STORE_TEST(the_credentials_may_name_a_quota_project),
        STORE_TEST(each_length_of_message_arrives),
        STORE_TEST(verdicts_end_to_end),
        STORE_TEST(retry_after),
        STORE_TEST(a_store_without_the_account_names_the_role),
        STORE_TEST(a_token_is_used_again_and_a_refused_one_replaced),
        STORE_TEST(without_a_token_nothing_is_sent),
        STORE_TEST(the_answer_got_lost),
        STORE_TEST(a_repeat_that_did_not_connect_leaves_doubt),
        STORE_TEST(what_was_answered_leaves_no_doubt),
        STORE_TEST(an_earlier_holder_may_have_brought_it),
        STORE_TEST(a_store_that_takes_repeats_has_one_message),
        STORE_TEST(a_cancelled_request_leaves_doubt),
        STORE_TEST(batches_are_split),
        STORE_TEST(the_largest_message_is_taken_and_a_larger_one_never_sent),
        STORE_TEST(a_senders_character_set),
        STORE_TEST(what_cannot_become_utf8_is_never_sent),
        STORE_TEST(a_batch_of_several_sets),
        STORE_TEST(many_in_parallel),
        STORE_TEST(what_cannot_be_opened),
        STORE_TEST(outcomes_are_counted),
        STORE_TEST(replaced_credentials_that_are_broken_are_reported),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
