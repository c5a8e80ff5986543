#include "http/token.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKEN_TIMEOUT_MS 20000
#define TOKEN_ANSWER_BYTES ((size_t)64 * 1024)
#define TOKEN_FORM_BYTES ((size_t)16 * 1024)
#define TOKEN_CREDENTIAL_BYTES ((size_t)8 * 1024)
#define TOKEN_DEFAULT_LIFETIME_S 300 /* for an answer without expires_in */
#define TOKEN_LONGEST_LIFETIME_S 86400
#define TOKEN_EARLY_MS 300000 /* refreshed so long before its end, or in its last fifth */
#define TOKEN_MARGIN_MS 5000  /* not used in its last seconds: requests take time */
#define TOKEN_HOLD_OFF_MS 1000

struct token_source {
    struct http_client *client;
    struct http_origin *origin;
    struct loop *loop;
    char *url;
    struct buffer form;           /* the body of every request */
    struct buffer id, secret;     /* form-encoded, NUL-terminated */
    char *token;                  /* NULL: none */
    int64_t refresh_ms, end_ms;   /* monotonic */
    struct http_request *request; /* NULL: none under way */
    struct list_node waiters;
    int64_t failed_ms; /* monotonic; the failure below counts until TOKEN_HOLD_OFF_MS later */
    bool failed;
    enum http_failure failure;
    int status;
    int64_t retry_after_ms;
    char words[96];
};

/* application/x-www-form-urlencoded: RFC 6749 appendix B. */
static int token_encode(struct buffer *out, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    int result = 0;

    for (; *text != '\0' && result == 0; text++) {
        if (strchr(plain, *text) != NULL)
            result = buffer_append_byte(out, *text);
        else
            result = buffer_append_format(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
    return result;
}

static int token_add_parameter(struct buffer *form, const char *name, const char *value)
{
    int result;

    if (value == NULL || *value == '\0')
        return 0;
    result = buffer_append_format(form, "&%s=", name);
    return result != 0 ? result : token_encode(form, value);
}

/* The request that is under way keeps its own copy. */
static int token_take_secret(struct token_source *source, const char *client_secret)
{
    struct buffer secret;

    buffer_init(&secret, TOKEN_CREDENTIAL_BYTES);
    if (token_encode(&secret, client_secret == NULL ? "" : client_secret) != 0 ||
        buffer_append_byte(&secret, '\0') != 0) {
        buffer_free(&secret);
        return -ENOMEM;
    }
    if (source->secret.data != NULL)
        explicit_bzero(source->secret.data, source->secret.length);
    buffer_free(&source->secret);
    source->secret = secret;
    return 0;
}

void token_source_set_secret(struct token_source *source, const char *client_secret)
{
    if (token_take_secret(source, client_secret) == 0)
        source->failed = false;
}

static int token_prepare(struct token_source *source, const struct token_settings *settings)
{
    source->url = strdup(settings->token_url);
    if (source->url == NULL ||
        buffer_append_string(&source->form, "grant_type=client_credentials") != 0 ||
        token_add_parameter(&source->form, "scope", settings->scope) != 0 ||
        token_add_parameter(&source->form, "audience", settings->audience) != 0 ||
        token_encode(&source->id, settings->client_id) != 0 ||
        buffer_append_byte(&source->id, '\0') != 0 ||
        token_take_secret(source, settings->client_secret) != 0)
        return -ENOMEM;
    return 0;
}

struct token_source *token_source_new(struct http_client *client, struct http_origin *origin,
                                      const struct token_settings *settings)
{
    struct token_source *source = calloc(1, sizeof(*source));

    if (source == NULL)
        return NULL;
    source->client = client;
    source->loop = http_client_loop(client);
    source->origin = origin;
    list_init(&source->waiters);
    buffer_init(&source->form, TOKEN_FORM_BYTES);
    buffer_init(&source->id, TOKEN_CREDENTIAL_BYTES);
    buffer_init(&source->secret, TOKEN_CREDENTIAL_BYTES);
    if (token_prepare(source, settings) != 0)
        token_source_free(&source);
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
    if (old->secret.data != NULL)
        explicit_bzero(old->secret.data, old->secret.length);
    buffer_free(&old->secret);
    buffer_free(&old->id);
    buffer_free(&old->form);
    free(old->url);
    free(old);
    *source = NULL;
}

/* What may stand in an Authorization header: visible ASCII (RFC 6750 2.1 is narrower still). */
static bool token_is_sendable(const char *token)
{
    size_t length = strlen(token);

    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (token[i] <= ' ' || token[i] > '~')
            return false;
    }
    return true;
}

/* Some servers write the number as a string. */
static int64_t token_lifetime_s(const json_t *answer)
{
    const json_t *value = json_object_get(answer, "expires_in");
    int64_t lifetime_s = TOKEN_DEFAULT_LIFETIME_S;

    if (json_is_number(value))
        lifetime_s = (int64_t)json_number_value(value);
    else if (json_is_string(value))
        lifetime_s = strtoll(json_string_value(value), NULL, 10);
    if (lifetime_s < 1)
        lifetime_s = 1;
    return lifetime_s > TOKEN_LONGEST_LIFETIME_S ? TOKEN_LONGEST_LIFETIME_S : lifetime_s;
}

static int token_take(struct token_source *source, const json_t *answer)
{
    const char *token = json_string_value(json_object_get(answer, "access_token"));
    const char *type = json_string_value(json_object_get(answer, "token_type"));
    int64_t lifetime_ms = token_lifetime_s(answer) * 1000;
    int64_t early_ms = lifetime_ms / 5 < TOKEN_EARLY_MS ? lifetime_ms / 5 : TOKEN_EARLY_MS;
    int64_t now_ms = loop_now_ms(source->loop);
    char *copy;

    if (token == NULL || !token_is_sendable(token))
        return -EBADMSG;
    if (type != NULL && strcasecmp(type, "Bearer") != 0)
        return -EBADMSG;
    copy = strdup(token);
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

/* Only RFC 6749 5.2's own words: anything else in that place could be anything. */
static const char *token_error_word(const json_t *answer)
{
    static const char *const known[] = {"invalid_request", "invalid_client",
                                        "invalid_grant",   "unauthorized_client",
                                        "invalid_scope",   "unsupported_grant_type"};
    const char *word = json_string_value(json_object_get(answer, "error"));

    for (size_t i = 0; word != NULL && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(word, known[i]) == 0)
            return known[i];
    }
    return NULL;
}

static void token_note_failure(struct token_source *source, const struct http_result *result,
                               const char *detail)
{
    source->failed = true;
    source->failed_ms = loop_now_ms(source->loop);
    source->failure = result->failure;
    source->status = result->status;
    source->retry_after_ms = result->retry_after_ms;
    if (detail != NULL)
        snprintf(source->words, sizeof(source->words), "token endpoint: HTTP %d (%s)",
                 result->status, detail);
    else
        snprintf(source->words, sizeof(source->words), "token endpoint: %.79s", result->words);
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

static void token_on_answer(void *context, const struct http_result *result)
{
    struct token_source *source = context;
    json_t *answer = NULL;
    const char *detail = NULL;
    int taken = -EBADMSG;

    source->request = NULL;
    if (result->failure == HTTP_OK)
        answer = json_loadb(result->body.data == NULL ? "" : result->body.data, result->body.length,
                            JSON_REJECT_DUPLICATES, NULL);
    if (result->failure == HTTP_OK && result->status == 200) {
        taken = token_take(source, answer);
        detail = "no bearer token in the answer";
    } else if (result->failure == HTTP_OK) {
        detail = token_error_word(answer);
    }
    source->failed = false;
    if (taken != 0)
        token_note_failure(source, result, detail);
    json_decref(answer);
    token_tell_all(source, taken == 0 ? source->token : NULL);
}

static void token_request(struct token_source *source)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                          "Accept: application/json", NULL};
    static const struct http_result no_memory = {.failure = HTTP_INTERNAL,
                                                 .words = "out of memory"};
    const struct http_parameters parameters = {.origin = source->origin,
                                               .method = "POST",
                                               .url = source->url,
                                               .body = buffer_span(&source->form),
                                               .headers = headers,
                                               .basic_username = source->id.data,
                                               .basic_password = source->secret.data,
                                               .timeout_ms = TOKEN_TIMEOUT_MS,
                                               .maximum_answer_bytes = TOKEN_ANSWER_BYTES};

    source->request = http_request_start(source->client, &parameters, token_on_answer, source);
    if (source->request == NULL)
        token_note_failure(source, &no_memory, NULL);
}

static bool token_is_held_off(const struct token_source *source)
{
    return source->failed && loop_now_ms(source->loop) < source->failed_ms + TOKEN_HOLD_OFF_MS;
}

void token_source_get(struct token_source *source, struct token_waiter *waiter)
{
    int64_t now_ms = loop_now_ms(source->loop);
    bool usable = source->token != NULL && now_ms < source->end_ms;
    bool wanted = !usable || now_ms >= source->refresh_ms;

    list_init(&waiter->node);
    if (wanted && source->request == NULL && !token_is_held_off(source))
        token_request(source);
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
