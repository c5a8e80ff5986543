/* links: http loop base config */
/* wrap: free */
/* The client against a real HTTP/2 TLS server, tests/support/http2_store.mjs. */
#include "base/clock.h"
#include "http/client.h"
#include "http/private.h"
#include "support/free_port.h"
#include "support/http2_store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct http2_store server;
static struct loop *loop;
static struct http_client *client;

struct answer {
    bool done;
    struct http_result result; /* the spans and texts below are copies */
    char body[4096], content_type[64], words[96];
    unsigned *left; /* stops the loop at 0 */
    void (*then)(struct answer *answer);
};

static void on_done(void *context, const struct http_result *result)
{
    struct answer *answer = context;
    size_t length = result->body.length < sizeof(answer->body) ? result->body.length : 0;

    assert_false(answer->done);
    answer->done = true;
    answer->result = *result;
    if (length > 0)
        memcpy(answer->body, result->body.data, length);
    answer->body[length] = '\0';
    snprintf(answer->content_type, sizeof(answer->content_type), "%s", result->content_type);
    snprintf(answer->words, sizeof(answer->words), "%s", result->words);
    if (answer->then != NULL)
        answer->then(answer);
    if (--*answer->left == 0)
        loop_stop(loop);
}

static struct http_origin_settings plain_settings(void)
{
    return (struct http_origin_settings){.ca_file = http2_store_file(&server, "ca.pem"),
                                         .connect_timeout_ms = 5000,
                                         .maximum_connections = 4};
}

static struct http_parameters parameters_of(struct http_origin *origin, const char *url)
{
    return (struct http_parameters){.origin = origin,
                                    .method = "POST",
                                    .url = url,
                                    .body =
                                        span_of_string("MSH|^~\\&|A|B|C|D|2026||ADT|ID1|P|2.5\r"),
                                    .timeout_ms = 5000,
                                    .maximum_answer_bytes = 65536};
}

static struct answer run_one(const struct http_parameters *parameters)
{
    unsigned left = 1;
    struct answer answer = {.left = &left};

    assert_non_null(http_request_start(client, parameters, on_done, &answer));
    assert_false(answer.done);
    loop_run(loop);
    assert_true(answer.done);
    return answer;
}

static struct answer ask_with(const struct http_origin_settings *settings, const char *url)
{
    struct http_origin *origin = http_origin_new(client, settings);
    struct http_parameters parameters = parameters_of(origin, url);
    struct answer answer = run_one(&parameters);

    http_origin_free(&origin);
    return answer;
}

static struct answer ask(const char *name, const char *steps)
{
    struct http_origin_settings settings = plain_settings();

    return ask_with(&settings, http2_store_url(&server, name, steps));
}

static void an_answer_comes(void **state)
{
    struct answer answer = ask("plain", "AA");

    (void)state;
    assert_int_equal(answer.result.failure, HTTP_OK);
    assert_int_equal(answer.result.status, 200);
    assert_int_equal(answer.result.http_version, 2);
    assert_int_equal(answer.result.new_connections, 1);
    assert_false(answer.result.not_sent);
    assert_string_equal(answer.content_type, "x-application/hl7-v2+er7");
    assert_string_equal(answer.words, "HTTP 200");
    assert_non_null(strstr(answer.body, "MSA|AA|ID1\r"));
}

/* ---- what must not lie about ---- */

static const char *watched; /* text that no block may hold when it is freed; NULL: any */
static unsigned spilled;

void __real_free(void *block);
void __wrap_free(void *block);

void __wrap_free(void *block)
{
    if (watched != NULL && block != NULL &&
        memmem(block, malloc_usable_size(block), watched, strlen(watched)) != NULL)
        spilled++;
    __real_free(block);
}

/* A token's answer: neither in a handle that waits for its next request, nor in freed memory. */
static void answers_are_wiped(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    struct http_parameters parameters = parameters_of(
        origin, http2_store_url(&server, "wiped", "json:%22a%20canary%22,huge-hl7:1"));
    struct answer answer;
    const struct http_request *idle;

    (void)state;
    spilled = 0;
    watched = "a canary";
    answer = run_one(&parameters);
    assert_string_equal(answer.body, "\"a canary\"");
    assert_int_equal(origin->idle_count, 1);
    idle = LIST_ENTRY(origin->idle.next, struct http_request, node);
    assert_true(idle->answer.capacity >= strlen(watched));
    assert_null(memmem(idle->answer.data, idle->answer.capacity, watched, strlen(watched)));
    watched = "MSH|"; /* too large to be kept */
    parameters.body = span_of_string("x");
    parameters.maximum_answer_bytes = 2u << 20;
    answer = run_one(&parameters);
    assert_int_equal(answer.result.status, 200);
    assert_int_equal(idle->answer.capacity, 0);
    http_origin_free(&origin);
    watched = NULL;
    assert_int_equal(spilled, 0);
}

static void the_request_is_what_was_asked_for(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    const char *const headers[] = {"X-One: 1", "Content-Type: x-test/a", NULL};
    struct http_parameters parameters =
        parameters_of(origin, http2_store_url(&server, "request", "200"));
    unsigned before = http2_store_requests(&server);
    char *json, *body;
    size_t length = 0;

    (void)state;
    parameters.headers = headers;
    parameters.basic_username = "user";
    parameters.basic_password = "pass:word";
    parameters.body = span_of("a\0b", 3);
    assert_int_equal(run_one(&parameters).result.status, 200);
    json = http2_store_request(&server, before + 1, "json", NULL);
    body = http2_store_request(&server, before + 1, "body", &length);
    assert_non_null(strstr(json, "\"x-one\":\"1\""));
    assert_non_null(strstr(json, "\"content-type\":\"x-test/a\""));
    assert_non_null(strstr(json, "\"authorization\":\"Basic dXNlcjpwYXNzOndvcmQ=\""));
    assert_non_null(strstr(json, "\"method\":\"POST\""));
    assert_null(strstr(json, "expect"));
    assert_null(strstr(json, "cookie"));
    assert_int_equal(length, 3);
    assert_memory_equal(body, "a\0b", 3);
    free(json);
    free(body);

    /* The handle is used again and nothing of the first request stays behind. */
    parameters = parameters_of(origin, parameters.url);
    parameters.method = "PUT";
    assert_int_equal(run_one(&parameters).result.status, 200);
    json = http2_store_request(&server, before + 2, "json", NULL);
    assert_non_null(strstr(json, "\"method\":\"PUT\""));
    assert_null(strstr(json, "x-one"));
    assert_null(strstr(json, "authorization"));
    free(json);
    parameters.method = "GET";
    assert_int_equal(run_one(&parameters).result.status, 200);
    json = http2_store_request(&server, before + 3, "json", NULL);
    assert_non_null(strstr(json, "\"method\":\"GET\""));
    free(json);
    http_origin_free(&origin);
}

static void connections_are_used_again(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    struct http_parameters parameters =
        parameters_of(origin, http2_store_url(&server, "again", "200"));

    (void)state;
    assert_int_equal(run_one(&parameters).result.new_connections, 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(run_one(&parameters).result.new_connections, 0);
    http_origin_free(&origin);
}

static unsigned run_many(struct http_origin *origin, const char *url, unsigned count,
                         unsigned *ret_connections)
{
    struct http_parameters parameters = parameters_of(origin, url);
    struct answer *answers = calloc(count, sizeof(*answers));
    unsigned left = count, good = 0;

    *ret_connections = 0;
    for (unsigned i = 0; i < count; i++) {
        answers[i].left = &left;
        assert_non_null(http_request_start(client, &parameters, on_done, &answers[i]));
    }
    loop_run(loop);
    for (unsigned i = 0; i < count; i++) {
        good += answers[i].result.failure == HTTP_OK && answers[i].result.status == 200;
        *ret_connections += (unsigned)answers[i].result.new_connections;
    }
    free(answers);
    return good;
}

static void streams_share_one_connection(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    unsigned connections;

    (void)state;
    assert_int_equal(
        run_many(origin, http2_store_url(&server, "many", "delay:50+200"), 64, &connections), 64);
    assert_int_equal(connections, 1);
    http_origin_free(&origin);
}

static void http1_keeps_to_its_connections(void **state)
{
    struct http2_store old;
    struct http_origin_settings settings;
    struct http_origin *origin;
    unsigned connections;

    (void)state;
    assert_true(http2_store_make_pki(&old, MLLPGW_TEST_DATA));
    assert_true(http2_store_start(&old, MLLPGW_TEST_DATA, (const char *[]){"--http1", NULL}));
    settings = plain_settings();
    settings.ca_file = http2_store_file(&old, "ca.pem");
    origin = http_origin_new(client, &settings);
    assert_int_equal(
        run_many(origin, http2_store_url(&old, "h1", "delay:20+200"), 20, &connections), 20);
    assert_in_range(connections, 1, 4);
    http_origin_free(&origin);
    http2_store_stop(&old);
}

static void a_refused_connection_is_not_sent(void **state)
{
    struct http_origin_settings settings = plain_settings();
    char url[64];
    struct answer answer;

    (void)state;
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", free_port());
    answer = ask_with(&settings, url);
    assert_int_equal(answer.result.failure, HTTP_CONNECT);
    assert_true(answer.result.not_sent);
    assert_int_equal(answer.result.status, 0);
    assert_string_equal(answer.words, "connection refused");
}

static void an_unknown_name_is_not_sent(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct answer answer = ask_with(&settings, "https://nowhere.invalid/");

    (void)state;
    assert_int_equal(answer.result.failure, HTTP_RESOLVE);
    assert_true(answer.result.not_sent);
    assert_string_equal(answer.words, "the host's name cannot be resolved");
}

/* The program's own getaddrinfo() goes before the C library's, in libcurl too. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    struct sockaddr_in *address;
    struct addrinfo *made;

    (void)hints;
    if (strcmp(name, "slow.example") == 0)
        nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
    if (strcmp(name, "nowhere.invalid") == 0 || strcmp(name, "slow.example") == 0)
        return EAI_NONAME;
    made = calloc(1, sizeof(*made) + sizeof(*address));
    address = (struct sockaddr_in *)(void *)(made + 1);
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)strtol(service, NULL, 10)),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *made = (struct addrinfo){.ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM,
                              .ai_addrlen = sizeof(*address),
                              .ai_addr = (struct sockaddr *)address};
    *result = made;
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    free(info);
}

static void a_slow_look_up_blocks_nobody(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    struct http_parameters slow = parameters_of(origin, "https://slow.example/");
    struct http_parameters quick = parameters_of(origin, http2_store_url(&server, "beside", "200"));
    unsigned left = 1;
    struct answer slow_answer = {.left = &left}, quick_answer = {.left = &left};
    int64_t started_ns = clock_monotonic_ns();
    struct http_request *request;

    (void)state;
    request = http_request_start(client, &slow, on_done, &slow_answer);
    assert_non_null(request);
    assert_non_null(http_request_start(client, &quick, on_done, &quick_answer));
    loop_run(loop);
    assert_true(quick_answer.done);
    assert_false(slow_answer.done);
    http_request_cancel(&request); /* without waiting for the look-up either */
    assert_null(request);
    http_origin_free(&origin);
    assert_true(clock_monotonic_ns() - started_ns < 2000000000);
}

static void a_look_up_that_takes_too_long(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct answer answer;

    (void)state;
    settings.connect_timeout_ms = 200;
    answer = ask_with(&settings, "https://slow.example/");
    assert_true(answer.result.failure == HTTP_CONNECT || answer.result.failure == HTTP_RESOLVE);
    assert_true(answer.result.not_sent);
}

static void an_unknown_ca_is_the_operators_fault(void **state)
{
    struct http2_store other;
    struct http_origin_settings settings = plain_settings();
    struct answer answer;

    (void)state;
    assert_true(http2_store_make_pki(&other, MLLPGW_TEST_DATA));
    settings.ca_file = http2_store_file(&other, "ca.pem");
    answer = ask_with(&settings, http2_store_url(&server, "ca", "200"));
    http2_store_stop(&other);
    assert_int_equal(answer.result.failure, HTTP_TLS);
    assert_true(answer.result.not_sent);
    assert_string_equal(answer.words, "the server's certificate does not chain to the CA file");
    settings.ca_file = "/nonexistent/ca.pem";
    answer = ask_with(&settings, http2_store_url(&server, "ca", "200"));
    assert_int_equal(answer.result.failure, HTTP_TLS);
    assert_string_equal(answer.words, "the CA file cannot be read");
    settings.ca_file = NULL; /* the system's */
    answer = ask_with(&settings, http2_store_url(&server, "ca", "200"));
    assert_int_equal(answer.result.failure, HTTP_TLS);
}

static void another_name_is_the_operators_fault(void **state)
{
    struct http_origin_settings settings = plain_settings();
    char url[64];
    struct answer answer;

    (void)state;
    snprintf(url, sizeof(url), "https://other.example:%d/", server.port);
    answer = ask_with(&settings, url);
    assert_int_equal(answer.result.failure, HTTP_TLS);
    assert_string_equal(answer.words, "the server's certificate is for another name");
}

static void a_pin_must_match(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct answer answer;
    char command[512], pin[128] = "";
    FILE *pipe;

    (void)state;
    settings.pin = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    answer = ask_with(&settings, http2_store_url(&server, "pin", "200"));
    assert_int_equal(answer.result.failure, HTTP_TLS);
    assert_true(answer.result.not_sent);
    assert_string_equal(answer.words, "the server's public key is not the pinned one");
    snprintf(command, sizeof(command),
             "openssl x509 -in %s -pubkey -noout | openssl pkey -pubin -outform der |"
             " openssl dgst -sha256 -binary | openssl base64",
             http2_store_file(&server, "server.pem"));
    pipe = popen(command, "r");
    assert_non_null(pipe);
    snprintf(pin, sizeof(pin), "sha256//");
    assert_non_null(fgets(pin + 8, sizeof(pin) - 8, pipe));
    pclose(pipe);
    pin[strcspn(pin, "\n")] = '\0';
    settings.pin = pin;
    assert_int_equal(ask_with(&settings, http2_store_url(&server, "pin", "200")).result.status,
                     200);
}

static void plain_text_on_a_tls_port(void **state)
{
    struct http_origin_settings settings = plain_settings();
    char url[64];
    struct answer answer;

    (void)state;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
    answer = ask_with(&settings, url);
    assert_int_not_equal(answer.result.failure, HTTP_OK);
    assert_false(answer.result.not_sent);
}

static void mutual_tls(void **state)
{
    struct http2_store mutual;
    struct http_origin_settings settings;
    struct answer answer;
    char *json;

    (void)state;
    assert_true(http2_store_make_pki(&mutual, MLLPGW_TEST_DATA));
    assert_true(http2_store_start(&mutual, MLLPGW_TEST_DATA,
                                  (const char *[]){"--client-ca", "@ca.pem", NULL}));
    settings = plain_settings();
    settings.ca_file = http2_store_file(&mutual, "ca.pem");
    answer = ask_with(&settings, http2_store_url(&mutual, "none", "200"));
    assert_int_equal(answer.result.failure, HTTP_TLS);
    assert_string_equal(answer.words, "the server demands a client certificate");

    settings.certificate = http2_store_file(&server, "client1.pem"); /* another CA's */
    settings.key = http2_store_file(&server, "client1.key");
    answer = ask_with(&settings, http2_store_url(&mutual, "foreign", "200"));
    /* The server's reset may go past its alert. */
    assert_true(answer.result.failure == HTTP_TLS || answer.result.failure == HTTP_TRANSPORT);

    settings.certificate = http2_store_file(&mutual, "client1.pem");
    settings.key = http2_store_file(&mutual, "client2.key"); /* not its key */
    answer = ask_with(&settings, http2_store_url(&mutual, "key", "200"));
    assert_int_equal(answer.result.failure, HTTP_TLS);
    assert_string_equal(answer.words, "our certificate or key cannot be used");

    settings.key = http2_store_file(&mutual, "client1.key");
    answer = ask_with(&settings, http2_store_url(&mutual, "good", "200"));
    assert_int_equal(answer.result.status, 200);
    json = http2_store_request(&mutual, 1, "json", NULL);
    assert_non_null(strstr(json, "\"client\":\"client1"));
    free(json);
    http2_store_stop(&mutual);
}

static void proxies(void **state)
{
    struct http2_store behind;
    struct http_origin_settings settings;
    struct answer answer;
    char proxy[64];

    (void)state;
    assert_true(http2_store_make_pki(&behind, MLLPGW_TEST_DATA));
    assert_true(
        http2_store_start(&behind, MLLPGW_TEST_DATA,
                          (const char *[]){"--proxy", "--proxy-user", "edge:s3cret", NULL}));
    settings = plain_settings();
    settings.ca_file = http2_store_file(&behind, "ca.pem");
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", behind.proxy_port);
    settings.proxy = proxy;
    answer = ask_with(&settings, http2_store_url(&behind, "no-password", "200"));
    assert_int_equal(answer.result.failure, HTTP_PROXY);
    assert_int_equal(answer.result.status, 407);
    assert_true(answer.result.not_sent);
    assert_string_equal(answer.words, "HTTP 407 from the proxy");
    settings.proxy_username = "edge";
    settings.proxy_password = "s3cret";
    answer = ask_with(&settings, http2_store_url(&behind, "good", "200"));
    assert_int_equal(answer.result.failure, HTTP_OK);
    assert_int_equal(answer.result.http_version, 2);
    http2_store_end(&behind);
    answer = ask_with(&settings, "https://localhost:1/");
    assert_int_equal(answer.result.failure, HTTP_CONNECT);
    assert_true(answer.result.not_sent);
    http2_store_stop(&behind);
}

static void the_environments_proxies_do_not_count(void **state)
{
    (void)state;
    assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(ask("environment", "200").result.status, 200);
    unsetenv("https_proxy");
    unsetenv("ALL_PROXY");
}

static void redirects_are_not_followed(void **state)
{
    unsigned before = http2_store_requests(&server);

    (void)state;
    assert_int_equal(ask("moved", "redirect").result.status, 302);
    assert_int_equal(http2_store_requests(&server), before + 1);
}

static void retry_after_in_both_forms(void **state)
{
    char steps[128], date[64];
    time_t then = time(NULL) + 90;
    struct tm utc;
    int64_t after_ms;

    (void)state;
    assert_int_equal(ask("seconds", "header:retry-after=7+503").result.retry_after_ms, 7000);
    gmtime_r(&then, &utc);
    strftime(date, sizeof(date), "%a,%%20%d%%20%b%%20%Y%%20%H:%M:%S%%20GMT", &utc);
    for (char *comma; (comma = strchr(date, ',')) != NULL;) { /* steps are parted by commas */
        memmove(comma + 3, comma + 1, strlen(comma + 1) + 1);
        memcpy(comma, "%2C", 3);
    }
    snprintf(steps, sizeof(steps), "header:retry-after=%s+429", date);
    after_ms = ask("date", steps).result.retry_after_ms;
    assert_in_range(after_ms, 85000, 91000);
    assert_int_equal(ask("nonsense", "header:retry-after=soon+503").result.retry_after_ms, 0);
}

/* Larger than the limit in its first piece: the beginning is there all the same. */
static void a_cut_answer_has_its_beginning(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    struct http_parameters parameters =
        parameters_of(origin, http2_store_url(&server, "cut", "AE"));
    struct answer answer;

    (void)state;
    parameters.maximum_answer_bytes = 5;
    answer = run_one(&parameters);
    assert_int_equal(answer.result.failure, HTTP_ANSWER_TOO_LARGE);
    assert_string_equal(answer.body, "MSH|^");
    http_origin_free(&origin);
}

static void answers_have_a_limit(void **state)
{
    struct answer answer = ask("huge", "huge:64");

    (void)state;
    assert_int_equal(answer.result.failure, HTTP_ANSWER_TOO_LARGE);
    assert_int_equal(answer.result.status, 200);
    assert_false(answer.result.not_sent);
}

static void broken_answers_are_transport_errors(void **state)
{
    static const char *const steps[] = {"drop", "drop-early", "reset"};

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct answer answer = ask("broken", steps[i]);

        assert_int_equal(answer.result.failure, HTTP_TRANSPORT);
        assert_false(answer.result.not_sent);
    }
}

static void goaway_costs_nothing(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    struct http_parameters parameters =
        parameters_of(origin, http2_store_url(&server, "goaway", "goaway,goaway-first,AA"));

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(run_one(&parameters).result.status, 200);
    http_origin_free(&origin);
}

static void a_refused_stream_is_sent_again(void **state)
{
    unsigned before = http2_store_requests(&server);

    (void)state;
    assert_int_equal(ask("refuse", "refuse,200").result.status, 200);
    assert_int_equal(http2_store_requests(&server), before + 2);
}

static void answers_before_the_body_was_read(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    struct http_parameters parameters =
        parameters_of(origin, http2_store_url(&server, "early", "early:413"));
    char *body = calloc(1, 1 << 20);

    (void)state;
    parameters.body = span_of(body, 1 << 20);
    for (int i = 0; i < 3; i++)
        assert_int_equal(run_one(&parameters).result.status, 413);
    http_origin_free(&origin);
    free(body);
}

static void a_hanging_server_runs_into_the_time_out(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    struct http_parameters parameters =
        parameters_of(origin, http2_store_url(&server, "hang", "hang,200"));
    struct answer answer;

    (void)state;
    parameters.timeout_ms = 200;
    answer = run_one(&parameters);
    assert_int_equal(answer.result.failure, HTTP_TIMEOUT);
    assert_false(answer.result.not_sent);
    assert_string_equal(answer.words, "no whole answer in time");
    /* The connection may be dead: the next request makes a new one. */
    parameters.timeout_ms = 5000;
    answer = run_one(&parameters);
    assert_int_equal(answer.result.status, 200);
    assert_int_equal(answer.result.new_connections, 1);
    http_origin_free(&origin);
}

static void one_slow_answer_among_others_retires_nothing(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    struct http_parameters slow = parameters_of(origin, http2_store_url(&server, "slow", "hang"));
    struct http_parameters good =
        parameters_of(origin, http2_store_url(&server, "good", "delay:100+200"));
    unsigned left = 2;
    struct answer first = {.left = &left}, second = {.left = &left};

    (void)state;
    assert_int_equal(run_one(&good).result.status, 200);
    slow.timeout_ms = 300;
    assert_non_null(http_request_start(client, &slow, on_done, &first));
    assert_non_null(http_request_start(client, &good, on_done, &second));
    loop_run(loop);
    assert_int_equal(first.result.failure, HTTP_TIMEOUT);
    assert_int_equal(second.result.status, 200);
    assert_int_equal(run_one(&good).result.new_connections, 0);
    http_origin_free(&origin);
}

static struct http_request *victims[8];

static void cancel_victims(struct answer *answer)
{
    (void)answer;
    for (size_t i = 0; i < 8; i++)
        http_request_cancel(&victims[i]);
}

static void cancelled_requests_say_nothing(void **state)
{
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(client, &settings);
    struct http_parameters hanging =
        parameters_of(origin, http2_store_url(&server, "victim", "hang"));
    struct http_parameters good =
        parameters_of(origin, http2_store_url(&server, "killer", "delay:100+200"));
    unsigned left = 1;
    struct answer never = {.left = &left};
    struct answer killer = {.left = &left, .then = cancel_victims};

    (void)state;
    for (size_t i = 0; i < 8; i++)
        victims[i] = http_request_start(client, &hanging, on_done, &never);
    assert_non_null(http_request_start(client, &good, on_done, &killer));
    loop_run(loop);
    assert_true(killer.done);
    assert_false(never.done);
    assert_null(victims[7]);
    good.url = http2_store_url(&server, "survivor", "200");
    assert_int_equal(run_one(&good).result.new_connections, 0);

    /* Cancelled before the loop has run at all. */
    victims[0] = http_request_start(client, &hanging, on_done, &never);
    http_request_cancel(&victims[0]);
    assert_int_equal(run_one(&good).result.status, 200);
    http_origin_free(&origin);
}

static struct http_origin *doomed;

static void free_doomed(struct answer *answer)
{
    (void)answer;
    http_origin_free(&doomed);
}

static void an_origin_may_go_inside_a_callback(void **state)
{
    struct http_origin_settings settings = plain_settings();
    unsigned left = 1;
    struct answer never = {.left = &left};
    struct answer last = {.left = &left, .then = free_doomed};
    struct http_parameters parameters;

    (void)state;
    doomed = http_origin_new(client, &settings);
    parameters = parameters_of(doomed, http2_store_url(&server, "doomed", "hang"));
    for (int i = 0; i < 4; i++)
        assert_non_null(http_request_start(client, &parameters, on_done, &never));
    parameters.url = http2_store_url(&server, "last", "200");
    assert_non_null(http_request_start(client, &parameters, on_done, &last));
    loop_run(loop);
    assert_true(last.done);
    assert_false(never.done);
    assert_null(doomed);
}

static void the_client_may_go_before_its_origins(void **state)
{
    struct http_client *own = http_client_new(loop);
    struct http_origin_settings settings = plain_settings();
    struct http_origin *origin = http_origin_new(own, &settings);
    struct http_parameters parameters =
        parameters_of(origin, http2_store_url(&server, "gone", "hang"));
    unsigned left = 1;
    struct answer never = {.left = &left};

    (void)state;
    assert_non_null(http_request_start(own, &parameters, on_done, &never));
    http_client_free(&own);
    http_origin_free(&origin);
    assert_int_equal(ask("after", "200").result.status, 200);
    assert_false(never.done);
}

static void urls(void **state)
{
    (void)state;
    assert_int_equal(http_check_url("https://store.example/hl7?x=1"), 0);
    assert_int_equal(http_check_url("https://[2001:db8::1]:8443/"), 0);
    assert_int_equal(http_check_url("http://127.0.0.1:8080/"), 0);
    assert_int_equal(http_check_url(""), -EINVAL);
    assert_int_equal(http_check_url("store.example"), -EINVAL);
    assert_int_equal(http_check_url("ftp://store.example/"), -EINVAL);
    assert_int_equal(http_check_url("file:///etc/passwd"), -EINVAL);
    assert_int_equal(http_check_url("https://user:secret@store.example/"), -EINVAL);
}

static int start(void **state)
{
    (void)state;
    if (http_global_init() != 0 || !http2_store_make_pki(&server, MLLPGW_TEST_DATA))
        return -1;
    if (!http2_store_start(&server, MLLPGW_TEST_DATA, (const char *[]){NULL})) {
        printf("SKIP unit/http_client: node is needed for tests/support/http2_store.mjs\n");
        http2_store_stop(&server);
        exit(0);
    }
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
        cmocka_unit_test(an_answer_comes),
        cmocka_unit_test(answers_are_wiped),
        cmocka_unit_test(the_request_is_what_was_asked_for),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(streams_share_one_connection),
        cmocka_unit_test(http1_keeps_to_its_connections),
        cmocka_unit_test(a_refused_connection_is_not_sent),
        cmocka_unit_test(an_unknown_name_is_not_sent),
        cmocka_unit_test(a_slow_look_up_blocks_nobody),
        cmocka_unit_test(a_look_up_that_takes_too_long),
        cmocka_unit_test(an_unknown_ca_is_the_operators_fault),
        cmocka_unit_test(another_name_is_the_operators_fault),
        cmocka_unit_test(a_pin_must_match),
        cmocka_unit_test(plain_text_on_a_tls_port),
        cmocka_unit_test(mutual_tls),
        cmocka_unit_test(proxies),
        cmocka_unit_test(the_environments_proxies_do_not_count),
        cmocka_unit_test(redirects_are_not_followed),
        cmocka_unit_test(retry_after_in_both_forms),
        cmocka_unit_test(answers_have_a_limit),
        cmocka_unit_test(a_cut_answer_has_its_beginning),
        cmocka_unit_test(broken_answers_are_transport_errors),
        cmocka_unit_test(goaway_costs_nothing),
        cmocka_unit_test(a_refused_stream_is_sent_again),
        cmocka_unit_test(answers_before_the_body_was_read),
        cmocka_unit_test(a_hanging_server_runs_into_the_time_out),
        cmocka_unit_test(one_slow_answer_among_others_retires_nothing),
        cmocka_unit_test(cancelled_requests_say_nothing),
        cmocka_unit_test(an_origin_may_go_inside_a_callback),
        cmocka_unit_test(the_client_may_go_before_its_origins),
        cmocka_unit_test(urls),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
