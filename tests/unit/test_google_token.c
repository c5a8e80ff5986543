/* links: http loop base config */
/* wrap: realloc */
/* Tokens by Google's kinds of credentials, over HTTPS against tests/support/http2_store.mjs, whose
 * answers stand in the URLs that the files of credentials name. Time is turned by hand. */
#include "base/clock.h"
#include "http/google_token.h"
#include "http/private.h"
#include "support/google_files.h"
#include "support/http2_store.h"

#include <malloc.h>
#include <mbedtls/base64.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SCOPE "https://www.googleapis.com/auth/cloud-healthcare"
#define WALL_S INT64_C(1795651200) /* 2026-11-26T00:00:00Z */

static struct http2_store server;
static struct loop *loop;
static struct http_client *client;
static struct http_origin *origin, *direct;
static struct clock_manual now;
static bool running;

/* ---- memory ---- */

/* How often a block with that text was handed to realloc(), which may leave the old one as it is. */
static const char *watched;
static unsigned moved;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
    if (watched != NULL && old != NULL &&
        memmem(old, malloc_usable_size(old), watched, strlen(watched)) != NULL)
        moved++;
    return __real_realloc(old, size);
}

/* ---- asking ---- */

struct caller {
    struct token_waiter waiter; /* first */
    bool called, inside;        /* inside: before token_source_get() returned */
    char token[64], words[TOKEN_WORDS_BYTES];
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
    assert_null(strstr(words, "canary"));
    if (--*caller->left == 0 && running)
        loop_stop(loop);
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

/* Until another token than that is given out; nobody waits on the way. */
static struct caller get_other(struct token_source *source, const char *token)
{
    struct caller caller = get(source);

    while (strcmp(caller.token, token) == 0) {
        assert_true(caller.inside);
        uv_run(loop_uv(loop), UV_RUN_ONCE);
        caller = get(source);
    }
    assert_true(caller.inside);
    return caller;
}

/* ---- credentials ---- */

struct source {
    struct google_credentials *credentials;
    struct token_source *tokens;
    unsigned warnings;
    char warning[GOOGLE_ERROR_BYTES];
};

static void on_warning(void *context, const char *sentence)
{
    struct source *source = context;

    source->warnings++;
    snprintf(source->warning, sizeof(source->warning), "%s", sentence);
}

/* configured NULL: Google's order. */
static void open_source(struct source *source, const char *configured, const char *scope)
{
    const struct google_token_settings settings = {.scope = scope,
                                                   .origin = origin,
                                                   .direct = direct,
                                                   .clock = &now.clock,
                                                   .on_warning = on_warning,
                                                   .context = source};
    char error[GOOGLE_ERROR_BYTES];

    *source = (struct source){0};
    if (google_credentials_find(configured, &source->credentials, error) != 0)
        fail_msg("%s", error);
    source->tokens = google_token_source_new(client, source->credentials, &settings);
    assert_non_null(source->tokens);
}

static void close_source(struct source *source)
{
    token_source_free(&source->tokens);
    google_credentials_free(&source->credentials);
}

static const char *file_path(void)
{
    return http2_store_file(&server, "credentials.json");
}

/* Takes the file. */
static void write_and_open(struct source *source, json_t *file)
{
    google_files_write(file, file_path(), 0600);
    json_decref(file);
    open_source(source, file_path(), SCOPE);
}

static void open_kind(struct source *source, const char *type, const char *steps)
{
    write_and_open(source, google_files_new(type, http2_store_url(&server, "token", steps)));
}

static bool is_busy(const struct http_origin *asked)
{
    const struct list_node *list = &asked->connections;

    for (const struct list_node *node = list->next; node != list; node = node->next) {
        if (!list_empty(&LIST_ENTRY(node, struct http_connections, node)->requests))
            return true;
    }
    return false;
}

/* Another source's token, and then what was asked for before it: over HTTP/2 that may come later. Is one
 * more request. */
static void settle(void)
{
    json_t *file =
        google_files_new("authorized_user", http2_store_url(&server, "settle", "token:60"));
    const char *path = http2_store_file(&server, "settle.json");
    struct source source;

    google_files_write(file, path, 0600);
    json_decref(file);
    open_source(&source, path, SCOPE);
    assert_int_equal(get(source.tokens).status, 200);
    close_source(&source);
    while (is_busy(origin))
        uv_run(loop_uv(loop), UV_RUN_ONCE);
}

/* ---- what was sent ---- */

/* A step that answers with this JSON. */
static const char *json_step(int status, const char *json)
{
    static char steps[4][2048];
    static unsigned next;
    char *step = steps[next++ % 4];
    int length = snprintf(step, sizeof(steps[0]), "status:%d+json:", status);

    for (; *json != '\0'; json++)
        length += snprintf(step + length, sizeof(steps[0]) - (size_t)length, "%%%02X",
                           (unsigned)(unsigned char)*json);
    return step;
}

/* From the end: 0 is the last. free() it. */
static char *sent(unsigned back, const char *kind)
{
    char *text = http2_store_request(&server, http2_store_requests(&server) - back, kind, NULL);

    assert_non_null(text);
    return text;
}

static void assert_header(unsigned back, const char *wanted)
{
    char *json = sent(back, "json");

    if (strstr(json, wanted) == NULL)
        fail_msg("%s not in %s", wanted, json);
    free(json);
}

static void assert_body(unsigned back, const char *wanted)
{
    char *body = sent(back, "body");

    assert_string_equal(body, wanted);
    free(body);
}

/* ---- service accounts ---- */

static void write_file(const char *name, const void *bytes, size_t length)
{
    FILE *file = fopen(http2_store_file(&server, name), "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static size_t decode(const char *text, size_t length, unsigned char *ret_bytes, size_t size)
{
    char padded[2048];
    size_t written = 0;

    assert_true(length + 4 < sizeof(padded));
    for (size_t i = 0; i < length; i++)
        padded[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    while (length % 4 != 0)
        padded[length++] = '=';
    assert_int_equal(
        mbedtls_base64_decode(ret_bytes, size, &written, (const unsigned char *)padded, length), 0);
    return written;
}

static json_t *decode_json(const char *text, size_t length)
{
    unsigned char bytes[2048];
    json_t *object =
        json_loadb((const char *)bytes, decode(text, length, bytes, sizeof(bytes)), 0, NULL);

    assert_non_null(object);
    return object;
}

/* By openssl, which knows nothing of how it was made. */
static void assert_signed(const char *data, size_t length, const char *signature)
{
    unsigned char bytes[1024];
    char command[1024];

    write_file("jwt", data, length);
    write_file("signature", bytes, decode(signature, strlen(signature), bytes, sizeof(bytes)));
    write_file("key.pem", google_files_key("RSA"), strlen(google_files_key("RSA")));
    snprintf(command, sizeof(command),
             "cd '%s' && openssl pkey -in key.pem -pubout -out public.pem && openssl dgst -sha256 "
             "-verify public.pem -signature signature jwt >/dev/null",
             server.directory);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own words */
}

static void assert_text(const json_t *object, const char *name, const char *wanted)
{
    assert_string_equal(json_string_value(json_object_get(object, name)), wanted);
}

static void assert_assertion(const char *jwt, const char *audience)
{
    const char *dot = strchr(jwt, '.'), *last = strrchr(jwt, '.');
    json_t *header, *claims;

    assert_true(dot != NULL && last != dot);
    header = decode_json(jwt, (size_t)(dot - jwt));
    claims = decode_json(dot + 1, (size_t)(last - dot - 1));
    assert_text(header, "alg", "RS256");
    assert_text(header, "typ", "JWT");
    assert_text(header, "kid", "0123456789abcdef");
    assert_text(claims, "iss", GOOGLE_FILES_EMAIL);
    assert_text(claims, "scope", SCOPE);
    assert_text(claims, "aud", audience);
    assert_int_equal(json_integer_value(json_object_get(claims, "iat")), WALL_S - 10);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), WALL_S + 3590);
    assert_signed(jwt, (size_t)(last - jwt), last + 1);
    json_decref(header);
    json_decref(claims);
}

static void a_service_account_signs(void **state)
{
    static const char begin[] =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    struct source source;
    struct caller callers[20];
    unsigned before = http2_store_requests(&server), left = 20;
    char *body;

    (void)state;
    open_kind(&source, "service_account", "token:3600");
    for (size_t i = 0; i < 20; i++) {
        callers[i] = (struct caller){.waiter.on_token = on_token, .left = &left};
        token_source_get(source.tokens, &callers[i].waiter);
    }
    run_loop();
    assert_memory_equal(callers[0].token, "token-", 6);
    for (size_t i = 1; i < 20; i++)
        assert_string_equal(callers[i].token, callers[0].token);
    assert_true(get(source.tokens).inside);
    assert_int_equal(http2_store_requests(&server), before + 1);
    assert_header(0, "\"content-type\":\"application/x-www-form-urlencoded\"");
    assert_header(0, "\"method\":\"POST\"");
    body = sent(0, "body");
    assert_memory_equal(body, begin, strlen(begin));
    assert_assertion(body + strlen(begin), http2_store_url(&server, "token", "token:3600"));
    free(body);
    close_source(&source);
}

static void refreshed_early_once_without_a_stall(void **state)
{
    struct source source;
    struct caller first;
    unsigned before = http2_store_requests(&server);

    (void)state;
    open_kind(&source, "service_account", "token:3600,token:3600,token:3600");
    first = get(source.tokens);
    clock_manual_advance(&now, (INT64_C(3600) - 240) * 1000 - 1);
    assert_string_equal(get(source.tokens).token, first.token);
    settle();
    assert_int_equal(http2_store_requests(&server), before + 2);
    clock_manual_advance(&now, 1);
    for (int i = 0; i < 10; i++) { /* each of them sees that it is time */
        struct caller caller = get(source.tokens);

        assert_true(caller.inside);
        assert_string_equal(caller.token, first.token);
    }
    (void)get_other(source.tokens, first.token);
    settle();
    assert_int_equal(http2_store_requests(&server), before + 4);
    close_source(&source);
}

static void an_early_refresh_that_fails_costs_nothing(void **state)
{
    struct source source;
    struct caller first, last;

    (void)state;
    open_kind(&source, "service_account", "token:3600,503,token:3600");
    first = get(source.tokens);
    clock_manual_advance(&now, INT64_C(3400) * 1000);
    assert_string_equal(get(source.tokens).token, first.token);
    settle();
    assert_header(1, "\"url\":\"/token?steps=token:3600,503,token:3600\"");
    assert_string_equal(get(source.tokens).token, first.token);
    clock_manual_advance(&now, 1000); /* the hold-off */
    last = get_other(source.tokens, first.token);
    assert_int_equal(last.status, 200);
    close_source(&source);
}

static void a_pause_is_kept_while_there_is_a_token(void **state)
{
    struct source source;
    struct caller first;
    unsigned before;

    (void)state;
    open_kind(&source, "service_account", "token:3600,header:retry-after=30+429,token:3600");
    first = get(source.tokens);
    before = http2_store_requests(&server);
    clock_manual_advance(&now, INT64_C(3400) * 1000);
    assert_string_equal(get(source.tokens).token, first.token);
    settle();
    clock_manual_advance(&now, 29999);
    assert_string_equal(get(source.tokens).token, first.token);
    settle();
    assert_int_equal(http2_store_requests(&server), before + 3); /* two of them settle()'s */
    clock_manual_advance(&now, 1);
    (void)get_other(source.tokens, first.token);
    close_source(&source);
}

static void an_old_token_is_waited_for(void **state)
{
    struct source source;
    struct caller first, second;

    (void)state;
    open_kind(&source, "service_account", "token:3600");
    first = get(source.tokens);
    clock_manual_advance(&now, INT64_C(3596) * 1000);
    second = get(source.tokens);
    assert_false(second.inside);
    assert_string_not_equal(second.token, first.token);
    close_source(&source);
}

/* ---- users ---- */

static void a_user(void **state)
{
    struct source source;

    (void)state;
    open_kind(&source, "authorized_user", "token:3600");
    assert_int_equal(get(source.tokens).status, 200);
    assert_body(0, "grant_type=refresh_token&client_id=client.apps.googleusercontent.com"
                   "&client_secret=canary-client&refresh_token=canary-1%2F%2Frefresh");
    close_source(&source);
}

/* Forms and headers grow as they are written; what they have outgrown must not keep the secret. */
static void secrets_do_not_stay_where_they_were(void **state)
{
    static char secret[1400];
    struct source source;
    json_t *file = google_files_new("authorized_user", http2_store_url(&server, "tokens", "token"));

    (void)state;
    memset(secret, 's', sizeof(secret) - 1);
    memcpy(secret, "watched-", 8);
    google_files_set(file, "client_secret", json_string(secret));
    write_and_open(&source, file);
    watched = "watched-";
    moved = 0;
    assert_int_equal(get(source.tokens).status, 200);
    watched = "jwt-bearer&assertion=";
    close_source(&source);
    open_kind(&source, "service_account", "token:3600");
    assert_int_equal(get(source.tokens).status, 200);
    watched = NULL;
    assert_int_equal(moved, 0);
    close_source(&source);
}

/* ---- external accounts ---- */

#define EXCHANGE(scope, subject)                                                                   \
    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"                         \
    "&audience=%2F%2Fiam.googleapis.com%2Fprojects%2F1%2Flocations%2Fglobal"                       \
    "%2FworkloadIdentityPools%2Fa%2Fproviders%2Fb&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2" \
    "F" scope "&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"      \
    "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=" subject

static void write_subject(const char *text)
{
    google_files_write_text(text, http2_store_file(&server, "subject"), 0600);
}

static json_t *external(const char *steps)
{
    json_t *file = google_files_new("external_account", http2_store_url(&server, "sts", steps));

    google_files_set(file, "credential_source.file",
                     json_string(http2_store_file(&server, "subject")));
    return file;
}

static void an_external_account_by_file(void **state)
{
    struct source source;
    json_t *file = external("token:3600");

    (void)state;
    google_files_set(file, "client_id", json_string("id"));
    google_files_set(file, "client_secret", json_string("secret"));
    google_files_set(file, "workforce_pool_user_project", json_string("billing"));
    write_subject("subject.one\n");
    write_and_open(&source, file);
    assert_int_equal(get(source.tokens).status, 200);
    assert_body(0, EXCHANGE("cloud-healthcare", "subject.one"));
    assert_header(0, "\"authorization\":\"Basic aWQ6c2VjcmV0\"");
    /* A subject token lives for minutes: what the file says is read anew each time. */
    write_subject("subject.two");
    clock_manual_advance(&now, INT64_C(3600) * 1000);
    assert_int_equal(get(source.tokens).status, 200);
    assert_body(0, EXCHANGE("cloud-healthcare", "subject.two"));
    close_source(&source);
}

static void a_workforce_pool(void **state)
{
    struct source source;
    json_t *file = external("token:3600");

    (void)state;
    google_files_set(file, "workforce_pool_user_project", json_string("billing"));
    google_files_set(file, "credential_source.format.type", json_string("json"));
    google_files_set(file, "credential_source.format.subject_token_field_name", json_string("t"));
    write_subject("{\"t\":\"subject.json\"}");
    write_and_open(&source, file);
    assert_int_equal(get(source.tokens).status, 200);
    assert_body(0, EXCHANGE("cloud-healthcare",
                            "subject.json") "&options=%7B%22userProject%22%3A%22billing%22%7D");
    close_source(&source);
}

static json_t *external_by_url(const char *subject_steps, const char *steps)
{
    json_t *file = external(steps);

    google_files_set(file, "credential_source",
                     json_pack("{s:s, s:{s:s}, s:{s:s, s:s}}", "url",
                               http2_store_url(&server, "subject", subject_steps), "headers",
                               "X-Subject", "please", "format", "type", "json",
                               "subject_token_field_name", "id_token"));
    return file;
}

static void an_external_account_by_url_impersonates(void **state)
{
    struct source source;
    json_t *file = external_by_url(json_step(200, "{\"id_token\":\"sub.ject\"}"),
                                   json_step(200, "{\"access_token\":\"from-sts\"}"));
    unsigned before = http2_store_requests(&server);

    (void)state;
    google_files_set(file, "service_account_impersonation_url",
                     json_string(http2_store_url(
                         &server, "v1/projects/-/serviceAccounts/a@b:generateAccessToken",
                         json_step(200, "{\"accessToken\":\"impersonated\",\"expireTime\":"
                                        "\"2026-11-26T00:20:00Z\"}"))));
    google_files_set(file, "service_account_impersonation.token_lifetime_seconds",
                     json_integer(1800));
    write_and_open(&source, file);
    assert_string_equal(get(source.tokens).token, "impersonated");
    assert_int_equal(http2_store_requests(&server), before + 3);
    assert_header(2, "\"x-subject\":\"please\"");
    assert_header(2, "\"method\":\"GET\"");
    assert_body(1, EXCHANGE("cloud-platform", "sub.ject"));
    assert_header(0, "\"authorization\":\"Bearer from-sts\"");
    assert_header(0, "\"content-type\":\"application/json\"");
    assert_body(0, "{\"scope\":[\"" SCOPE "\"],\"lifetime\":\"1800s\"}");
    /* 20 minutes, says expireTime. */
    clock_manual_advance(&now, INT64_C(960) * 1000 - 1);
    assert_true(get(source.tokens).inside);
    settle();
    assert_int_equal(http2_store_requests(&server), before + 4);
    clock_manual_advance(&now, INT64_C(240) * 1000);
    assert_false(get(source.tokens).inside);
    assert_int_equal(http2_store_requests(&server), before + 7);
    close_source(&source);
}

/* All steps together have their time; the clock is turned while the first is under way. */
static void steps_have_one_deadline(void **state)
{
    struct source source;
    unsigned left = 1;
    struct caller caller = {.waiter.on_token = on_token, .left = &left};

    (void)state;
    write_and_open(&source, external_by_url(json_step(200, "{\"id_token\":\"sub.ject\"}"),
                                            "delay:5000+token:3600"));
    token_source_get(source.tokens, &caller.waiter);
    clock_manual_advance(&now, 20000);
    run_loop();
    assert_int_equal(caller.waiter.failure, HTTP_TIMEOUT);
    assert_memory_equal(caller.words, "token exchange: ", strlen("token exchange: "));
    close_source(&source);
}

static void a_source_may_go_between_steps(void **state)
{
    struct source source;
    unsigned before = http2_store_requests(&server), left = 1;
    struct caller caller = {.waiter.on_token = on_token, .left = &left};

    (void)state;
    write_and_open(&source, external_by_url(json_step(200, "{\"id_token\":\"sub.ject\"}"), "hang"));
    token_source_get(source.tokens, &caller.waiter);
    while (http2_store_requests(&server) < before + 2)
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    token_source_cancel(&caller.waiter);
    close_source(&source);
    assert_false(caller.called);
}

/* ---- the metadata server ---- */

static void at_server(const char *host)
{
    setenv("GCE_METADATA_HOST", host, 1);
}

/* This URL is not ours to choose: the stand-in's step comes from a file. */
static struct caller get_from_server(const char *step)
{
    struct source source;
    struct caller caller;
    char host[64];

    google_files_write_text(step, http2_store_file(&server, "requests/steps"), 0600);
    snprintf(host, sizeof(host), "127.0.0.1:%d", server.plain_port);
    at_server(host);
    open_source(&source, NULL, SCOPE " other");
    caller = get(source.tokens);
    close_source(&source);
    unlink(http2_store_file(&server, "requests/steps"));
    return caller;
}

static void the_metadata_server(void **state)
{
    struct caller caller = get_from_server("header:metadata-flavor=Google+token:3600");

    (void)state;
    assert_memory_equal(caller.token, "token-", 6);
    assert_header(0, "\"method\":\"GET\"");
    assert_header(0, "\"metadata-flavor\":\"Google\"");
    assert_header(0,
                  "\"url\":\"/computeMetadata/v1/instance/service-accounts/default/token"
                  "?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-healthcare%2Cother\"");
}

#define SERVER "metadata server (no credentials file): "

static void somebody_elses_server(void **state)
{
    (void)state;
    assert_string_equal(get_from_server("token:3600").words,
                        SERVER "HTTP 200 (without Metadata-Flavor: not Google's)");
    assert_string_equal(get_from_server("header:metadata-flavor=canary+token:3600").words,
                        SERVER "HTTP 200 (without Metadata-Flavor: not Google's)");
    assert_string_equal(get_from_server("404").words,
                        SERVER "HTTP 404 (without Metadata-Flavor: not Google's)");
    assert_string_equal(get_from_server("header:metadata-flavor=Google+404:html").words,
                        SERVER "HTTP 404 (no service account is attached to this machine)");
}

static void plain_http_takes_no_proxy(void **state)
{
    const struct http_origin_settings settings = {.ca_file = http2_store_file(&server, "ca.pem"),
                                                  .proxy = "http://127.0.0.1:1",
                                                  .connect_timeout_ms = 5000,
                                                  .maximum_connections = 1};
    struct http_origin *usual = origin;
    struct source source;

    (void)state;
    origin = http_origin_new(client, &settings);
    assert_non_null(origin);
    assert_int_equal(get_from_server("header:metadata-flavor=Google+token:3600").status, 200);
    open_kind(&source, "service_account", "token:3600");
    assert_int_equal(get(source.tokens).waiter.failure, HTTP_CONNECT);
    close_source(&source);
    http_origin_free(&origin);
    origin = usual;
}

static void no_server(void **state)
{
    struct source source;
    struct caller caller;

    (void)state;
    at_server("127.0.0.1:1");
    open_source(&source, NULL, SCOPE);
    caller = get(source.tokens);
    assert_int_equal(caller.waiter.failure, HTTP_CONNECT);
    assert_string_equal(caller.words, SERVER "connection refused");
    close_source(&source);
}

/* ---- failures ---- */

static const struct {
    const char *type;
    int status;
    const char *json, *words;
} failures[] = {
    {"service_account", 400,
     "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT Signature. canary\"}",
     "token endpoint: HTTP 400 (invalid_grant: the key is deleted, disabled or not this "
     "account's)"},
    {"service_account", 400,
     "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid grant: account not found\"}",
     "token endpoint: HTTP 400 (invalid_grant: there is no such service account)"},
    {"service_account", 400,
     "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT: Token must be a "
     "short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values "
     "in the JWT claim.\"}",
     "token endpoint: HTTP 400 (invalid_grant: this machine's clock is wrong)"},
    {"service_account", 400, "{\"error\":\"invalid_grant\"}",
     "token endpoint: HTTP 400 (invalid_grant: clock wrong, key deleted or account disabled)"},
    {"service_account", 400, "{\"error\":\"invalid_scope\",\"error_description\":\"canary\"}",
     "token endpoint: HTTP 400 (invalid_scope: token_scope is not one that may be asked for)"},
    {"service_account", 401, "{\"error\":\"unauthorized_client\"}",
     "token endpoint: HTTP 401 (unauthorized_client)"},
    {"service_account", 400, "{\"error\":\"canary\"}", "token endpoint: HTTP 400"},
    {"service_account", 403, "[\"canary\"]", "token endpoint: HTTP 403"},
    {"service_account", 503, "canary", "token endpoint: HTTP 503"},
    {"service_account", 200, "{\"id_token\":\"canary\"}",
     "token endpoint: HTTP 200 (no bearer token in the answer)"},
    {"authorized_user", 400,
     "{\"error\":\"invalid_grant\",\"error_description\":\"Token has been expired or revoked.\"}",
     "token endpoint: HTTP 400 (invalid_grant: expired or revoked: log in again with gcloud)"},
    {"authorized_user", 401, "{\"error\":\"invalid_client\"}",
     "token endpoint: HTTP 401 (invalid_client: client_id or client_secret is wrong or deleted)"},
    {"external_account", 400, "{\"error\":\"invalid_grant\"}",
     "token exchange: HTTP 400 (invalid_grant: the subject token is expired or not the "
     "provider's)"},
    {"external_account", 400, "{\"error\":\"invalid_target\"}",
     "token exchange: HTTP 400 (invalid_target: audience: no such pool or provider)"},
    {"external_account", 401, "{\"error\":\"unauthorized_client\"}",
     "token exchange: HTTP 401 (unauthorized_client: the provider's conditions exclude the "
     "subject)"},
};

static void failures_say_what_to_do(void **state)
{
    (void)state;
    write_subject("subject");
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct source source;
        struct caller caller;
        json_t *file = google_files_new(
            failures[i].type,
            http2_store_url(&server, "failing", json_step(failures[i].status, failures[i].json)));

        if (strcmp(failures[i].type, "external_account") == 0)
            google_files_set(file, "credential_source.file",
                             json_string(http2_store_file(&server, "subject")));
        write_and_open(&source, file);
        caller = get(source.tokens);
        assert_string_equal(caller.words, failures[i].words);
        assert_int_equal(caller.status, failures[i].status);
        assert_int_equal(caller.waiter.failure, HTTP_OK);
        assert_true(strlen(caller.words) <= 95); /* a verdict's reason has no more room */
        close_source(&source);
    }
}

static const struct {
    int status;
    const char *json, *words;
} impersonations[] = {
    {403, "{\"error\":{\"code\":403,\"message\":\"canary\",\"status\":\"PERMISSION_DENIED\"}}",
     "impersonation: HTTP 403 (no roles/iam.workloadIdentityUser on the account)"},
    {404, "{\"error\":{\"code\":404,\"message\":\"canary\"}}",
     "impersonation: HTTP 404 (there is no such service account)"},
    {503, "", "impersonation: HTTP 503"},
    {200, "{\"access_token\":\"canary\"}", "impersonation: HTTP 200 (no token in the answer)"},
    {200, "{\"accessToken\":\"can ary\"}", "impersonation: HTTP 200 (no token in the answer)"},
};

static void impersonations_that_fail(void **state)
{
    (void)state;
    write_subject("subject");
    for (size_t i = 0; i < sizeof(impersonations) / sizeof(impersonations[0]); i++) {
        struct source source;
        json_t *file = external("token:3600");
        struct caller caller;

        google_files_set(
            file, "service_account_impersonation_url",
            json_string(http2_store_url(
                &server, "imp", json_step(impersonations[i].status, impersonations[i].json))));
        write_and_open(&source, file);
        caller = get(source.tokens);
        assert_string_equal(caller.words, impersonations[i].words);
        assert_int_equal(caller.status, impersonations[i].status);
        close_source(&source);
    }
}

static void subjects_that_cannot_be_had(void **state)
{
    struct source source;
    struct caller caller;
    char words[400];

    (void)state;
    write_and_open(&source, external_by_url("403", "token:3600"));
    assert_string_equal(get(source.tokens).words, "subject token's URL: HTTP 403");
    close_source(&source);
    write_and_open(&source, external_by_url(json_step(200, "{\"x\":\"canary\"}"), "token:3600"));
    assert_string_equal(get(source.tokens).words,
                        "subject token's URL: HTTP 200 (it has no text in the field that "
                        "subject_token_field_name says)");
    close_source(&source);
    (void)unlink(http2_store_file(&server, "subject"));
    write_and_open(&source, external("token:3600"));
    caller = get(source.tokens);
    assert_true(caller.inside);
    assert_int_equal(caller.waiter.failure, HTTP_CREDENTIALS);
    snprintf(words, sizeof(words), "subject token: cannot read %s: No such file or directory",
             http2_store_file(&server, "subject"));
    assert_string_equal(caller.words, words);
    write_subject("\n");
    clock_manual_advance(&now, 1000); /* the hold-off */
    snprintf(words, sizeof(words), "subject token: %s holds no token",
             http2_store_file(&server, "subject"));
    assert_string_equal(get(source.tokens).words, words);
    write_subject("subject");
    clock_manual_advance(&now, 1000);
    assert_int_equal(get(source.tokens).status, 200);
    close_source(&source);
}

/* ---- replaced while running ---- */

static void a_replaced_file_is_used_at_once(void **state)
{
    struct source source;
    struct caller first, second;
    json_t *other =
        google_files_new("authorized_user", http2_store_url(&server, "other", "token:3600"));

    (void)state;
    open_kind(&source, "service_account", "token:3600");
    first = get(source.tokens);
    google_files_write(other, file_path(), 0600);
    clock_manual_advance(&now, 1000);
    second = get(source.tokens);
    assert_true(second.inside); /* the old one goes on */
    assert_string_equal(second.token, first.token);
    (void)get_other(source.tokens, first.token);
    assert_header(0, "\"url\":\"/other?steps=token:3600\"");
    assert_int_equal(source.warnings, 0);
    json_decref(other);
    close_source(&source);
}

static void a_new_file_ends_a_refusal(void **state)
{
    struct source source;
    unsigned left = 1;
    struct caller caller = {.waiter.on_token = on_token, .left = &left};
    json_t *other =
        google_files_new("service_account", http2_store_url(&server, "repaired", "token:3600"));

    (void)state;
    open_kind(&source, "service_account", "token-error:invalid_grant");
    token_source_get(source.tokens, &caller.waiter);
    clock_manual_advance(&now, 999); /* on its way */
    run_loop();
    assert_int_equal(caller.status, 400);
    google_files_write(other, file_path(), 0600);
    clock_manual_advance(&now, 1); /* the hold-off is on for almost another second */
    assert_int_equal(get(source.tokens).status, 200);
    json_decref(other);
    close_source(&source);
}

static void a_new_account_that_fails_is_tried_again(void **state)
{
    struct source source;
    struct caller first;
    json_t *other =
        google_files_new("service_account", http2_store_url(&server, "later", "503,token:3600"));

    (void)state;
    open_kind(&source, "service_account", "token:3600");
    first = get(source.tokens);
    google_files_write(other, file_path(), 0600);
    clock_manual_advance(&now, 1000);
    assert_string_equal(get(source.tokens).token, first.token);
    settle();
    assert_header(1, "\"url\":\"/later?steps=503,token:3600\"");
    assert_string_equal(get(source.tokens).token, first.token);
    clock_manual_advance(&now, 1000);
    (void)get_other(source.tokens, first.token);
    json_decref(other);
    close_source(&source);
}

static void a_broken_file_is_told_once(void **state)
{
    struct source source;
    struct caller first;
    char warning[400];

    (void)state;
    open_kind(&source, "service_account", "token:3600");
    first = get(source.tokens);
    google_files_write_text("{\"type\":\"service_account\"}", file_path(), 0600);
    for (int i = 0; i < 3; i++) {
        clock_manual_advance(&now, 1000);
        assert_string_equal(get(source.tokens).token, first.token);
    }
    assert_int_equal(source.warnings, 1);
    snprintf(warning, sizeof(warning), "%s: no client_email", file_path());
    assert_string_equal(source.warning, warning);
    token_source_reject(source.tokens, first.token);
    assert_int_equal(get(source.tokens).status, 200); /* by the last good one */
    close_source(&source);
}

/* What is under way goes on with what it began with. */
static void a_file_replaced_on_the_way(void **state)
{
    struct source source;
    unsigned left = 2;
    struct caller callers[2] = {{.waiter.on_token = on_token, .left = &left},
                                {.waiter.on_token = on_token, .left = &left}};

    (void)state;
    write_and_open(&source,
                   external_by_url(json_step(200, "{\"id_token\":\"sub.ject\"}"), "token:3600"));
    token_source_get(source.tokens, &callers[0].waiter);
    google_files_write_text("{\"type\":\"service_account\"}", file_path(), 0600);
    clock_manual_advance(&now, 1000);
    token_source_get(source.tokens, &callers[1].waiter);
    run_loop();
    assert_string_equal(callers[0].token, callers[1].token);
    assert_int_equal(callers[0].status, 200);
    assert_int_equal(source.warnings, 0);
    (void)get(source.tokens);
    assert_int_equal(source.warnings, 1);
    close_source(&source);
}

/* ---- */

static int start_test(void **state)
{
    (void)state;
    clock_manual_init(&now, 1000000, WALL_S * 1000);
    return 0;
}

static int start(void **state)
{
    struct http_origin_settings settings = {.connect_timeout_ms = 5000, .maximum_connections = 1};

    (void)state;
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
    unsetenv("CLOUDSDK_CONFIG");
    unsetenv("HOME");
    if (http_global_init() != 0 || !http2_store_make_pki(&server, MLLPGW_TEST_DATA) ||
        google_files_key("RSA") == NULL)
        return -1;
    if (!http2_store_start(&server, MLLPGW_TEST_DATA, (const char *[]){"--plain", NULL})) {
        printf("SKIP unit/google_token: node is needed for tests/support/http2_store.mjs\n");
        http2_store_stop(&server);
        exit(0);
    }
    loop = loop_new("test");
    client = http_client_new(loop);
    settings.ca_file = http2_store_file(&server, "ca.pem");
    origin = http_origin_new(client, &settings);
    direct = http_origin_new(client, &settings);
    return origin != NULL && direct != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_origin_free(&origin);
    http_origin_free(&direct);
    http_client_free(&client);
    loop_free(&loop);
    http2_store_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_service_account_signs, start_test),
        cmocka_unit_test_setup(refreshed_early_once_without_a_stall, start_test),
        cmocka_unit_test_setup(an_early_refresh_that_fails_costs_nothing, start_test),
        cmocka_unit_test_setup(a_pause_is_kept_while_there_is_a_token, start_test),
        cmocka_unit_test_setup(an_old_token_is_waited_for, start_test),
        cmocka_unit_test_setup(a_user, start_test),
        cmocka_unit_test_setup(secrets_do_not_stay_where_they_were, start_test),
        cmocka_unit_test_setup(an_external_account_by_file, start_test),
        cmocka_unit_test_setup(a_workforce_pool, start_test),
        cmocka_unit_test_setup(an_external_account_by_url_impersonates, start_test),
        cmocka_unit_test_setup(steps_have_one_deadline, start_test),
        cmocka_unit_test_setup(a_source_may_go_between_steps, start_test),
        cmocka_unit_test_setup(the_metadata_server, start_test),
        cmocka_unit_test_setup(somebody_elses_server, start_test),
        cmocka_unit_test_setup(plain_http_takes_no_proxy, start_test),
        cmocka_unit_test_setup(no_server, start_test),
        cmocka_unit_test_setup(failures_say_what_to_do, start_test),
        cmocka_unit_test_setup(impersonations_that_fail, start_test),
        cmocka_unit_test_setup(subjects_that_cannot_be_had, start_test),
        cmocka_unit_test_setup(a_replaced_file_is_used_at_once, start_test),
        cmocka_unit_test_setup(a_new_file_ends_a_refusal, start_test),
        cmocka_unit_test_setup(a_new_account_that_fails_is_tried_again, start_test),
        cmocka_unit_test_setup(a_broken_file_is_told_once, start_test),
        cmocka_unit_test_setup(a_file_replaced_on_the_way, start_test),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
