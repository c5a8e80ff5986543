#include "http/token.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKEN_TIMEOUT_MS 20000 /* for all steps of an exchange */
#define TOKEN_ANSWER_BYTES ((size_t)64 * 1024)
#define TOKEN_LONGEST_LIFETIME_S 86400
/* Refreshed so long before its end, or in its last fifth. Google's metadata server gives a new
 * token from five minutes before the end of the old one: earlier there would be nothing newer. */
#define TOKEN_EARLY_MS 240000
#define TOKEN_MARGIN_MS 5000 /* not used in its last seconds: requests take time */
#define TOKEN_HOLD_OFF_MS 1000

struct token_source {
    struct http_client *client;
    struct token_grant *grant;
    struct loop *loop;
    const struct clock *clock;    /* NULL: the loop's time */
    char *token;                  /* NULL: none */
    int64_t refresh_ms, end_ms;   /* monotonic */
    struct http_request *request; /* NULL: none under way */
    unsigned step;                /* of the request */
    int64_t deadline_ms;          /* likewise */
    const char *party;            /* likewise */
    bool renew; /* the credentials have changed: until there is a token of the new ones */
    struct list_node waiters;
    int64_t failed_ms; /* monotonic; the failure below counts until TOKEN_HOLD_OFF_MS later */
    bool failed;
    enum http_failure failure;
    int status;
    int64_t retry_after_ms;
    char words[TOKEN_WORDS_BYTES];
};

static void token_on_answer(void *context, const struct http_result *result);

static int64_t token_now_ms(const struct token_source *source)
{
    return source->clock != NULL ? clock_monotonic_ms(source->clock) : loop_now_ms(source->loop);
}

void token_grant_free(struct token_grant **grant)
{
    if (*grant != NULL)
        (*grant)->operations->destroy(*grant);
    *grant = NULL;
}

struct token_source *token_source_new(struct http_client *client, struct token_grant *grant,
                                      const struct clock *clock)
{
    struct token_source *source = grant == NULL ? NULL : calloc(1, sizeof(*source));

    if (source == NULL) {
        token_grant_free(&grant);
        return NULL;
    }
    source->client = client;
    source->loop = http_client_loop(client);
    source->grant = grant;
    source->clock = clock;
    list_init(&source->waiters);
    return source;
}

static void token_forget(struct token_source *source)
{
    if (source->token != NULL)
        explicit_bzero(source->token, strlen(source->token));
    free(source->token);
    source->token = NULL;
}

void token_source_free(struct token_source **source)
{
    struct token_source *old = *source;

    if (old == NULL)
        return;
    http_request_cancel(&old->request);
    while (list_pop_front(&old->waiters) != NULL)
        ;
    token_forget(old);
    token_grant_free(&old->grant);
    free(old);
    *source = NULL;
}

void token_source_try_again(struct token_source *source)
{
    source->failed = false;
}

/* ---- what comes of an exchange ---- */

static int token_keep(struct token_source *source, const struct token_answer *answer)
{
    int64_t lifetime_s = answer->lifetime_s < 1 ? 1 : answer->lifetime_s;
    int64_t lifetime_ms =
        (lifetime_s > TOKEN_LONGEST_LIFETIME_S ? TOKEN_LONGEST_LIFETIME_S : lifetime_s) * 1000;
    int64_t early_ms = lifetime_ms / 5 < TOKEN_EARLY_MS ? lifetime_ms / 5 : TOKEN_EARLY_MS;
    int64_t now_ms = token_now_ms(source);
    char *copy = strdup(answer->token);

    if (copy == NULL)
        return -ENOMEM;
    token_forget(source);
    source->token = copy;
    source->refresh_ms = now_ms + lifetime_ms - early_ms;
    source->end_ms = now_ms + lifetime_ms;
    if (lifetime_ms > 2 * (int64_t)TOKEN_MARGIN_MS)
        source->end_ms -= TOKEN_MARGIN_MS;
    return 0;
}

static void token_note_failure(struct token_source *source, enum http_failure failure, int status,
                               int64_t retry_after_ms)
{
    source->failed = true;
    source->failed_ms = token_now_ms(source);
    source->failure = failure;
    source->status = status;
    source->retry_after_ms = retry_after_ms;
}

static void token_tell(struct token_source *source, struct token_waiter *waiter, const char *token)
{
    waiter->failure = token != NULL ? HTTP_OK : source->failure;
    waiter->retry_after_ms = token != NULL ? 0 : source->retry_after_ms;
    waiter->on_token(waiter, token, token != NULL ? 200 : source->status,
                     token != NULL ? "" : source->words);
}

/* Only those who wait now: a callback that asks again waits for the next answer. A callback may
 * also free the source: then it has cancelled the others. */
static void token_tell_all(struct token_source *source, const char *token)
{
    struct list_node waiting, *node;

    list_init(&waiting);
    while ((node = list_pop_front(&source->waiters)) != NULL)
        list_append(&waiting, node);
    while ((node = list_pop_front(&waiting)) != NULL)
        token_tell(source, LIST_ENTRY(node, struct token_waiter, node), token);
}

static void token_finish(struct token_source *source)
{
    if (source->grant->operations->finish != NULL)
        source->grant->operations->finish(source->grant);
}

/* ---- steps ---- */

static void token_fail_internally(struct token_source *source, const char *party)
{
    snprintf(source->words, sizeof(source->words), "%s: out of memory", party);
    token_note_failure(source, HTTP_INTERNAL, 0, 0);
}

/* Without a request afterwards: the failure is noted. */
static void token_send(struct token_source *source, const struct token_step *step)
{
    int64_t left_ms = source->deadline_ms - token_now_ms(source);
    const struct http_parameters parameters = {.origin = step->origin,
                                               .method = step->method,
                                               .url = step->url,
                                               .body = step->body,
                                               .headers = step->headers,
                                               .basic_username = step->basic_username,
                                               .basic_password = step->basic_password,
                                               .answer_header = step->answer_header,
                                               .timeout_ms = left_ms,
                                               .maximum_answer_bytes = TOKEN_ANSWER_BYTES};

    source->party = step->party;
    if (left_ms <= 0) { /* the steps before it took all */
        snprintf(source->words, sizeof(source->words), "%s: no whole answer in time", step->party);
        token_note_failure(source, HTTP_TIMEOUT, 0, 0);
        return;
    }
    source->request = http_request_start(source->client, &parameters, token_on_answer, source);
    if (source->request == NULL)
        token_fail_internally(source, step->party);
}

static void token_ask(struct token_source *source)
{
    struct token_step step = {0};
    int result = source->grant->operations->ask(source->grant, source->step, &step, source->words);

    if (result == 0)
        token_send(source, &step);
    else if (result == -ENOMEM)
        token_fail_internally(source, "token");
    else
        token_note_failure(source, result == -EAGAIN ? HTTP_INTERNAL : HTTP_CREDENTIALS, 0, 0);
}

static void token_begin(struct token_source *source)
{
    source->step = 0;
    source->deadline_ms = token_now_ms(source) + TOKEN_TIMEOUT_MS;
    token_ask(source);
    if (source->request == NULL)
        token_finish(source);
}

static enum token_progress token_take(struct token_source *source, const struct http_result *result)
{
    struct token_answer answer = {0};
    enum token_progress progress;

    if (result->failure != HTTP_OK) {
        snprintf(source->words, sizeof(source->words), "%s: %.95s", source->party, result->words);
        progress = TOKEN_FAILED;
    } else {
        progress = source->grant->operations->take(source->grant, source->step, result, &answer);
        memcpy(source->words, answer.words, sizeof(source->words));
    }
    if (progress == TOKEN_FAILED)
        token_note_failure(source, result->failure, result->status, result->retry_after_ms);
    if (progress == TOKEN_DONE && token_keep(source, &answer) != 0) {
        token_fail_internally(source, source->party);
        progress = TOKEN_FAILED;
    }
    return progress;
}

static void token_on_answer(void *context, const struct http_result *result)
{
    struct token_source *source = context;
    enum token_progress progress;

    source->request = NULL;
    progress = token_take(source, result);
    if (progress == TOKEN_MORE) {
        source->step++;
        token_ask(source);
        if (source->request != NULL)
            return;
    }
    if (progress == TOKEN_DONE)
        source->failed = source->renew = false;
    token_finish(source);
    token_tell_all(source, progress == TOKEN_DONE ? source->token : NULL);
}

/* ---- for those who need tokens ---- */

/* While there is a token, an endpoint that names a pause has it: nobody waits. Else it is the callers'
 * to keep it, for they may have what an operator has changed. */
static bool token_is_held_off(const struct token_source *source, bool usable)
{
    int64_t pause_ms = TOKEN_HOLD_OFF_MS;

    if (usable && source->retry_after_ms > pause_ms)
        pause_ms = source->retry_after_ms;
    return source->failed && token_now_ms(source) < source->failed_ms + pause_ms;
}

/* Only between exchanges: what is under way goes on with what it began with. */
static void token_look_for_change(struct token_source *source)
{
    if (source->request != NULL || source->grant->operations->changed == NULL ||
        !source->grant->operations->changed(source->grant))
        return;
    source->failed = false;
    source->renew = true;
}

void token_source_get(struct token_source *source, struct token_waiter *waiter)
{
    int64_t now_ms = token_now_ms(source);
    bool usable = source->token != NULL && now_ms < source->end_ms;
    bool wanted = !usable || now_ms >= source->refresh_ms;

    list_init(&waiter->node);
    token_look_for_change(source);
    wanted = wanted || source->renew;
    if (wanted && source->request == NULL && !token_is_held_off(source, usable))
        token_begin(source);
    if (usable)
        token_tell(source, waiter, source->token);
    else if (source->request == NULL)
        token_tell(source, waiter, NULL);
    else
        list_append(&source->waiters, &waiter->node);
}

void token_source_cancel(struct token_waiter *waiter)
{
    list_remove(&waiter->node);
}

void token_source_reject(struct token_source *source, const char *token)
{
    if (source->token != NULL && strcmp(source->token, token) == 0)
        token_forget(source);
}
