/*
 * The store of type http: HL7 over HTTP. One POST a message; those of a split batch one after the
 * other. A 401 is tried once more at once when there is a newer token to try it with.
 */
#include "base/clock.h"
#include "egress/http_store.h"
#include "egress/http_verdict.h"
#include "egress/parts.h"
#include "hl7/charset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define HTTP_BEARER "Authorization: Bearer "

struct http_attempt {
    struct store_attempt attempt; /* first */
    struct list_node node;        /* in http_store.attempts */
    struct http_store *http;
    struct message *message;
    struct parts parts;
    size_t index; /* of the part that is on its way */
    size_t *progress;
    int64_t deadline_ms; /* monotonic; 0: none */
    int64_t started_ns;  /* of the request */
    struct http_request *request;
    struct token_waiter waiter;
    char *authorization; /* the header with the token that the request carries; NULL: none */
    bool tried_again;
    struct deferred deferred;
    struct verdict verdict; /* for deferred */
    void (*on_done)(void *context, struct verdict *verdict);
    void *context;
};

static void http_attempt_begin(struct http_attempt *attempt);

static void http_attempt_forget_token(struct http_attempt *attempt)
{
    if (attempt->authorization != NULL)
        explicit_bzero(attempt->authorization, strlen(attempt->authorization));
    free(attempt->authorization);
    attempt->authorization = NULL;
}

static void http_attempt_free(struct http_attempt *old)
{
    http_request_cancel(&old->request);
    token_source_cancel(&old->waiter);
    list_remove(&old->deferred.node);
    list_remove(&old->node);
    http_attempt_forget_token(old);
    parts_free(&old->parts);
    message_release(&old->message);
    free(old);
}

static void http_attempt_finish(struct http_attempt *attempt, struct verdict *verdict)
{
    void (*on_done)(void *context, struct verdict *verdict) = attempt->on_done;
    void *context = attempt->context;

    http_attempt_free(attempt);
    on_done(context, verdict);
}

static void http_attempt_on_deferred(struct deferred *deferred)
{
    struct http_attempt *attempt = LIST_ENTRY(deferred, struct http_attempt, deferred);
    struct verdict verdict = attempt->verdict;

    http_attempt_finish(attempt, &verdict);
}

/* Ends without a request; later, because on_done never comes from inside store_deliver(). */
static void http_attempt_fail(struct http_attempt *attempt, enum verdict_kind kind,
                              int64_t retry_after_ms, const char *reason)
{
    attempt->verdict =
        (struct verdict){.kind = kind, .not_sent = true, .retry_after_ms = retry_after_ms};
    snprintf(attempt->verdict.reason, sizeof(attempt->verdict.reason), "%.95s", reason);
    meter_outcome(&attempt->http->meter, kind, attempt->started_ns);
    attempt->deferred.run = http_attempt_on_deferred;
    loop_defer(attempt->http->loop, &attempt->deferred);
}

/* A newer token than the one that was refused: from the token endpoint, or from the file. */
static bool http_attempt_has_other_token(struct http_attempt *attempt)
{
    struct http_store *http = attempt->http;
    const char *token;

    if (attempt->tried_again || attempt->authorization == NULL)
        return false;
    token = attempt->authorization + strlen(HTTP_BEARER);
    if (http->tokens != NULL) {
        token_source_reject(http->tokens, token);
        return true;
    }
    http->bearer.looked_ms = INT64_MIN / 2;
    http_store_refresh(http);
    return strcmp(http->bearer.text, token) != 0;
}

static void http_attempt_judge(struct http_attempt *attempt, const struct http_result *result,
                               struct verdict *ret_verdict)
{
    const struct config_store *config = attempt->http->store.config;
    struct http_question question = {.overrides = config->verdicts,
                                     .override_count = config->verdict_count,
                                     .sent = attempt->parts.items[attempt->index],
                                     .control_id = attempt->message->control_id};
    struct msh msh;

    if (attempt->parts.split) {
        (void)msh_read(question.sent, &msh, NULL);
        question.control_id = msh.control_id;
    }
    http_verdict_make(&question, result, ret_verdict);
}

static void http_attempt_on_answer(void *context, const struct http_result *result)
{
    struct http_attempt *attempt = context;
    struct meter *meter = &attempt->http->meter;
    struct verdict verdict;

    attempt->request = NULL;
    http_attempt_judge(attempt, result, &verdict);
    meter_http(meter, result);
    meter_outcome(meter, verdict.kind, attempt->started_ns);
    if (result->failure == HTTP_OK && result->status == 401 &&
        http_attempt_has_other_token(attempt)) {
        verdict_clear(&verdict);
        attempt->tried_again = true;
        http_attempt_begin(attempt);
        return;
    }
    if (verdict.kind == VERDICT_ACCEPTED && attempt->progress != NULL)
        *attempt->progress = attempt->index + 1;
    if (verdict.kind == VERDICT_ACCEPTED && attempt->index + 1 < attempt->parts.count) {
        verdict_clear(&verdict);
        attempt->index++;
        http_attempt_begin(attempt);
        return;
    }
    http_attempt_finish(attempt, &verdict);
}

/* RFC 9110 5.6.7; strftime() would follow the locale. */
static const char *http_store_date(struct http_store *http)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now_s = (time_t)(clock_wall_ms(loop_clock(http->loop)) / 1000);
    struct tm utc;

    if (now_s == http->date_s || gmtime_r(&now_s, &utc) == NULL)
        return http->date;
    snprintf(http->date, sizeof(http->date), "Date: %s, %02u %s %04u %02u:%02u:%02u GMT",
             days[utc.tm_wday], (unsigned)utc.tm_mday % 100u, months[utc.tm_mon],
             (unsigned)(utc.tm_year + 1900) % 10000u, (unsigned)utc.tm_hour % 100u,
             (unsigned)utc.tm_min % 100u, (unsigned)utc.tm_sec % 100u);
    http->date_s = now_s;
    return http->date;
}

/* With the charset that MSH-18 names, unless the configuration names one. */
static void http_content_type(const char *configured, struct span message, size_t size,
                              char *ret_header)
{
    const char *charset = NULL;
    struct msh msh;

    if (strcasestr(configured, "charset=") == NULL && msh_read(message, &msh, NULL) == MSH_OK)
        charset = charset_iana(charset_find(msh.character_set));
    if (charset != NULL)
        snprintf(ret_header, size, "Content-Type: %s; charset=%s", configured, charset);
    else
        snprintf(ret_header, size, "Content-Type: %s", configured);
}

static int64_t http_attempt_timeout_ms(const struct http_attempt *attempt)
{
    int64_t timeout_ms = attempt->http->store.config->attempt_timeout_ms;
    int64_t left_ms = attempt->deadline_ms - loop_now_ms(attempt->http->loop);

    return attempt->deadline_ms != 0 && left_ms < timeout_ms ? left_ms : timeout_ms;
}

static void http_attempt_start(struct http_attempt *attempt, const char *const *headers)
{
    struct http_store *http = attempt->http;
    const struct config_store *config = http->store.config;
    const struct http_parameters parameters = {.origin = http->origin,
                                               .method = "POST",
                                               .url = config->url,
                                               .body = attempt->parts.items[attempt->index],
                                               .headers = headers,
                                               .basic_username = config->username,
                                               .basic_password = http->password.text,
                                               .timeout_ms = http_attempt_timeout_ms(attempt),
                                               .maximum_answer_bytes =
                                                   (size_t)config->maximum_answer_bytes};

    attempt->started_ns = clock_monotonic_ns();
    attempt->request = http_request_start(http->http, &parameters, http_attempt_on_answer, attempt);
    if (attempt->request == NULL)
        http_attempt_fail(attempt, VERDICT_RETRY, 0, "out of memory");
}

/* token: NULL when the store wants none. */
static void http_attempt_send(struct http_attempt *attempt, const char *token)
{
    struct http_store *http = attempt->http;
    const char **own = http->headers + http->header_count;
    char content_type[256], key[32 + PARTS_ID_BYTES] = "Idempotency-Key: ";

    http_content_type(http->store.config->content_type, attempt->parts.items[attempt->index],
                      sizeof(content_type), content_type);
    parts_stable_id(&attempt->parts, attempt->message, attempt->index, key + strlen(key));
    http_attempt_forget_token(attempt);
    if (token != NULL && asprintf(&attempt->authorization, HTTP_BEARER "%s", token) < 0) {
        attempt->authorization = NULL;
        http_attempt_fail(attempt, VERDICT_RETRY, 0, "out of memory");
        return;
    }
    own[0] = content_type;
    own[1] = http_store_date(http);
    own[2] = key;
    own[3] = attempt->authorization; /* NULL ends the list */
    http_attempt_start(attempt, http->headers);
}

static void http_attempt_on_token(struct token_waiter *waiter, const char *token, int status,
                                  const char *words)
{
    struct http_attempt *attempt = LIST_ENTRY(waiter, struct http_attempt, waiter);

    if (token != NULL)
        http_attempt_send(attempt, token);
    else
        http_attempt_fail(attempt, http_verdict_of_token(waiter->failure, status),
                          waiter->retry_after_ms, words);
}

static void http_attempt_begin(struct http_attempt *attempt)
{
    struct http_store *http = attempt->http;

    http_store_refresh(http);
    attempt->started_ns = clock_monotonic_ns();
    if (http->tokens != NULL)
        token_source_get(http->tokens, &attempt->waiter);
    else
        http_attempt_send(attempt, http->bearer.text);
}

static struct store_attempt *http_deliver(struct store *store, struct message *message,
                                          size_t *progress, int64_t deadline_ms,
                                          void (*on_done)(void *context, struct verdict *verdict),
                                          void *context)
{
    struct http_store *http = (struct http_store *)store;
    struct http_attempt *attempt = calloc(1, sizeof(*attempt));

    if (attempt == NULL)
        return NULL;
    if (parts_make(message, store->config->batch, &attempt->parts) != 0) {
        free(attempt);
        return NULL;
    }
    attempt->attempt.store = store;
    attempt->http = http;
    attempt->message = message_reference(message);
    attempt->progress = progress;
    attempt->deadline_ms = deadline_ms;
    attempt->on_done = on_done;
    attempt->context = context;
    attempt->waiter.on_token = http_attempt_on_token;
    list_init(&attempt->waiter.node);
    list_init(&attempt->deferred.node);
    list_append(&http->attempts, &attempt->node);
    /* All parts done already: the last is done again rather than none. */
    attempt->index = progress == NULL ? 0 : *progress;
    if (attempt->index >= attempt->parts.count)
        attempt->index = attempt->parts.count - 1;
    http_attempt_begin(attempt);
    return &attempt->attempt;
}

static void http_cancel(struct store_attempt *attempt)
{
    http_attempt_free((struct http_attempt *)attempt);
}

static void http_destroy(struct store *store)
{
    struct http_store *http = (struct http_store *)store;

    LIST_FOREACH_SAFE(node, next, &http->attempts)
        http_attempt_free(LIST_ENTRY(node, struct http_attempt, node));
    http_store_free(http);
}

static const struct store_operations http_operations = {
    .destroy = http_destroy, .deliver = http_deliver, .cancel = http_cancel};

struct store *store_http_new(const struct config_store *config, const struct store_context *context,
                             char ret_error[512])
{
    struct http_store *http = http_store_make(config, context, ret_error);

    if (http == NULL)
        return NULL;
    http->store.operations = &http_operations;
    return &http->store;
}
