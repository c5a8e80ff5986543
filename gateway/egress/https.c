#include "egress/https.h"
#include "base/clock.h"
#include "egress/http_verdict.h"
#include "hl7/msh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HTTPS_BEARER "Authorization: Bearer "

static void https_attempt_begin(struct https_attempt *attempt);

static void https_attempt_forget_token(struct https_attempt *attempt)
{
    if (attempt->authorization != NULL)
        explicit_bzero(attempt->authorization, strlen(attempt->authorization));
    free(attempt->authorization);
    attempt->authorization = NULL;
}

static void https_attempt_free(struct https_attempt *old)
{
    http_request_cancel(&old->request);
    token_source_cancel(&old->waiter);
    list_remove(&old->deferred.node);
    list_remove(&old->node);
    https_attempt_forget_token(old);
    free(old->body);
    utf8_part_free(&old->utf8);
    parts_free(&old->parts);
    message_release(&old->message);
    free(old);
}

static void https_attempt_finish(struct https_attempt *attempt, struct verdict *verdict)
{
    void (*on_done)(void *context, struct verdict *verdict) = attempt->on_done;
    void *context = attempt->context;

    https_attempt_free(attempt);
    on_done(context, verdict);
}

static void https_attempt_on_deferred(struct deferred *deferred)
{
    struct https_attempt *attempt = LIST_ENTRY(deferred, struct https_attempt, deferred);
    struct verdict verdict = attempt->verdict;

    https_attempt_finish(attempt, &verdict);
}

/* Ends without a request; later, because on_done never comes from inside store_deliver(). */
static void https_attempt_end_unsent(struct https_attempt *attempt, const struct verdict *verdict)
{
    attempt->verdict = *verdict;
    attempt->verdict.not_sent = true;
    meter_outcome(&attempt->https->meter, verdict->kind, attempt->started_ns);
    attempt->deferred.run = https_attempt_on_deferred;
    loop_defer(attempt->https->loop, &attempt->deferred);
}

static void https_attempt_out_of_memory(struct https_attempt *attempt)
{
    static const struct verdict verdict = {.kind = VERDICT_RETRY, .reason = "out of memory"};

    https_attempt_end_unsent(attempt, &verdict);
}

/* A newer token than the one that was refused: from the token endpoint, or from the file. */
static bool https_attempt_has_other_token(struct https_attempt *attempt)
{
    struct https_store *https = attempt->https;
    const char *token;

    if (attempt->tried_again || attempt->authorization == NULL)
        return false;
    token = attempt->authorization + strlen(HTTPS_BEARER);
    if (https->tokens != NULL) {
        token_source_reject(https->tokens, token);
        return true;
    }
    https_refresh(https, true);
    return strcmp(https->kind->bearer(https), token) != 0;
}

/* Whether the store may have the part although it didn't say so. libcurl repeats a request whose
 * connection was lost by itself: then the failure may be one to connect, of a request that has been sent. */
static bool https_may_have_arrived(const struct http_result *result)
{
    if (result->failure != HTTP_OK && result->failure != HTTP_ANSWER_TOO_LARGE)
        return !result->not_sent;
    return result->status < 300 || result->status == 408 || result->status == 499 ||
           result->status >= 500;
}

static void https_attempt_note(struct https_attempt *attempt, enum verdict_kind kind,
                               const struct http_result *result)
{
    struct store_progress *progress = attempt->progress;

    if (kind == VERDICT_ACCEPTED)
        progress->parts = attempt->index + 1;
    if (kind == VERDICT_ACCEPTED || kind == VERDICT_REFUSED)
        progress->part_in_doubt = false;
    else if (https_may_have_arrived(result))
        progress->part_in_doubt = true;
}

static void https_attempt_on_answer(void *context, const struct http_result *result)
{
    struct https_attempt *attempt = context;
    struct meter *meter = &attempt->https->meter;
    struct verdict verdict;

    attempt->request = NULL;
    attempt->https->kind->judge(attempt, result, &verdict);
    meter_http(meter, result);
    meter_outcome(meter, verdict.kind, attempt->started_ns);
    if (result->failure == HTTP_OK && result->status == 401 &&
        https_attempt_has_other_token(attempt)) {
        verdict_clear(&verdict);
        attempt->tried_again = true;
        https_attempt_begin(attempt);
        return;
    }
    https_attempt_note(attempt, verdict.kind, result);
    if (verdict.kind == VERDICT_ACCEPTED && attempt->index + 1 < attempt->parts.count) {
        verdict_clear(&verdict);
        attempt->index++;
        https_attempt_begin(attempt);
        return;
    }
    https_attempt_finish(attempt, &verdict);
}

static int64_t https_attempt_timeout_ms(const struct https_attempt *attempt)
{
    int64_t timeout_ms = attempt->https->store.config->attempt_timeout_ms;
    int64_t left_ms = attempt->deadline_ms - loop_now_ms(attempt->https->loop);

    return attempt->deadline_ms != 0 && left_ms < timeout_ms ? left_ms : timeout_ms;
}

static void https_attempt_start(struct https_attempt *attempt, const struct https_request *request)
{
    struct https_store *https = attempt->https;
    const struct http_parameters parameters = {
        .origin = https->origin,
        .method = "POST",
        .url = request->url,
        .body = request->body,
        .headers = https->headers,
        .basic_username = request->basic_username,
        .basic_password = request->basic_password,
        .timeout_ms = https_attempt_timeout_ms(attempt),
        .maximum_answer_bytes = (size_t)https->store.config->maximum_answer_bytes,
    };

    attempt->started_ns = clock_monotonic_ns();
    attempt->request =
        http_request_start(https->http, &parameters, https_attempt_on_answer, attempt);
    if (attempt->request == NULL)
        https_attempt_out_of_memory(attempt);
}

/* token: NULL when the store wants none. */
static void https_attempt_send(struct https_attempt *attempt, const char *token)
{
    struct https_store *https = attempt->https;
    const char **own = https->headers + https->header_count;
    struct https_request request = {0};
    struct verdict verdict = {0};
    size_t count = 0;

    https_attempt_forget_token(attempt);
    if (token != NULL && asprintf(&attempt->authorization, HTTPS_BEARER "%s", token) < 0) {
        attempt->authorization = NULL;
        https_attempt_out_of_memory(attempt);
        return;
    }
    free(attempt->body);
    attempt->body = NULL;
    utf8_part_free(&attempt->utf8);
    if (!https->kind->prepare(attempt, &request, own, &count, &verdict)) {
        https_attempt_end_unsent(attempt, &verdict);
        return;
    }
    own[count] = attempt->authorization; /* NULL ends the list */
    own[count + 1] = NULL;
    https_attempt_start(attempt, &request);
}

static void https_attempt_on_token(struct token_waiter *waiter, const char *token, int status,
                                   const char *words)
{
    struct https_attempt *attempt = LIST_ENTRY(waiter, struct https_attempt, waiter);
    struct verdict verdict = {.retry_after_ms = waiter->retry_after_ms};

    if (token != NULL) {
        https_attempt_send(attempt, token);
        return;
    }
    verdict.kind = http_verdict_of_token(waiter->failure, status);
    snprintf(verdict.reason, sizeof(verdict.reason), "%s", words);
    https_attempt_end_unsent(attempt, &verdict);
}

static void https_attempt_begin(struct https_attempt *attempt)
{
    struct https_store *https = attempt->https;

    https_refresh(https, false);
    attempt->started_ns = clock_monotonic_ns();
    if (https->tokens != NULL)
        token_source_get(https->tokens, &attempt->waiter);
    else
        https_attempt_send(attempt,
                           https->kind->bearer == NULL ? NULL : https->kind->bearer(https));
}

struct span https_attempt_part(const struct https_attempt *attempt)
{
    return attempt->parts.items[attempt->index];
}

struct hl7_sent https_attempt_sent(const struct https_attempt *attempt)
{
    struct hl7_sent sent = {https_attempt_part(attempt), attempt->message->control_id};
    struct msh msh;

    if (attempt->parts.split) {
        (void)msh_read(sent.bytes, &msh, NULL);
        sent.control_id = msh.control_id;
    }
    return sent;
}

bool https_attempt_in_doubt(const struct https_attempt *attempt)
{
    return attempt->progress->in_doubt || attempt->progress->part_in_doubt;
}

static struct store_attempt *https_deliver(struct store *store, struct message *message,
                                           struct store_progress *progress, int64_t deadline_ms,
                                           void (*on_done)(void *context, struct verdict *verdict),
                                           void *context)
{
    struct https_store *https = (struct https_store *)store;
    struct https_attempt *attempt = calloc(1, sizeof(*attempt));

    if (attempt == NULL)
        return NULL;
    if (parts_make(message, store->config->batch, &attempt->parts) != 0) {
        free(attempt);
        return NULL;
    }
    attempt->attempt.store = store;
    attempt->https = https;
    attempt->message = message_reference(message);
    attempt->progress = progress == NULL ? &attempt->own_progress : progress;
    attempt->deadline_ms = deadline_ms;
    attempt->on_done = on_done;
    attempt->context = context;
    attempt->waiter.on_token = https_attempt_on_token;
    list_init(&attempt->waiter.node);
    list_init(&attempt->deferred.node);
    list_append(&https->attempts, &attempt->node);
    attempt->index = attempt->progress->parts;
    if (attempt->index >= attempt->parts.count) {
        /* All parts done already: the last is done again rather than none. */
        attempt->index = attempt->parts.count - 1;
        attempt->progress->part_in_doubt = true;
    }
    https_attempt_begin(attempt);
    return &attempt->attempt;
}

static void https_cancel(struct store_attempt *attempt)
{
    struct https_attempt *mine = (struct https_attempt *)attempt;

    if (mine->request != NULL)
        mine->progress->part_in_doubt = true;
    https_attempt_free(mine);
}

/* What becomes of their progress nobody will ask: the holders of the entries end, too. */
static void https_destroy(struct store *store)
{
    struct https_store *https = (struct https_store *)store;

    LIST_FOREACH_SAFE(node, next, &https->attempts)
        https_attempt_free(LIST_ENTRY(node, struct https_attempt, node));
    https->kind->free(https);
}

const struct store_operations https_operations = {
    .destroy = https_destroy, .deliver = https_deliver, .cancel = https_cancel};
