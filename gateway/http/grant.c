#include "http/grant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define GRANT_DEFAULT_LIFETIME_S 300 /* for an answer without expires_in */

static const char grant_plain[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

void grant_wipe(struct buffer *buffer)
{
    if (buffer->data != NULL)
        explicit_bzero(buffer->data, buffer->capacity);
    buffer_free(buffer);
}

int grant_reserve(struct buffer *buffer, size_t more)
{
    struct buffer larger;
    size_t wanted;
    int result;

    if (more <= buffer->capacity - buffer->length)
        return 0;
    if (more > buffer->maximum - buffer->length)
        return -EMSGSIZE;
    wanted = buffer->length + more;
    if (wanted < 2 * buffer->capacity)
        wanted = 2 * buffer->capacity < buffer->maximum ? 2 * buffer->capacity : buffer->maximum;
    buffer_init(&larger, buffer->maximum);
    result = buffer_reserve(&larger, wanted);
    if (result == 0)
        result = buffer_append(&larger, buffer->data, buffer->length);
    if (result != 0)
        return result;
    grant_wipe(buffer);
    *buffer = larger;
    return 0;
}

int grant_encode(struct buffer *out, const char *text)
{
    size_t length = 1; /* the NUL that formats end with */
    int result;

    for (const char *c = text; *c != '\0'; c++)
        length += strchr(grant_plain, *c) != NULL ? 1 : 3;
    result = grant_reserve(out, length);
    for (; *text != '\0' && result == 0; text++) {
        if (strchr(grant_plain, *text) != NULL)
            result = buffer_append_byte(out, *text);
        else
            result = buffer_append_format(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
    return result;
}

int grant_add(struct buffer *form, const char *name, const char *value)
{
    int result;

    if (value == NULL || *value == '\0')
        return 0;
    result = grant_reserve(form, strlen(name) + sizeof("&="));
    if (result == 0)
        result = buffer_append_format(form, "%s%s=", form->length > 0 ? "&" : "", name);
    return result != 0 ? result : grant_encode(form, value);
}

void grant_forget(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

json_t *grant_read(const struct http_result *result)
{
    json_t *answer = json_loadb(result->body.data == NULL ? "" : result->body.data,
                                result->body.length, JSON_REJECT_DUPLICATES, NULL);

    if (json_is_object(answer))
        return answer;
    json_decref(answer);
    return NULL;
}

const char *grant_error_word(const json_t *answer)
{
    static const char *const known[] = {
        "invalid_request",        "invalid_client", "invalid_grant", "unauthorized_client",
        "unsupported_grant_type", "invalid_scope",  "invalid_target"};
    const char *word = json_string_value(json_object_get(answer, "error"));

    for (size_t i = 0; word != NULL && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(word, known[i]) == 0)
            return known[i];
    }
    return NULL;
}

bool grant_is_sendable(const char *token)
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
static int64_t grant_lifetime_s(const json_t *answer)
{
    const json_t *value = json_object_get(answer, "expires_in");

    if (json_is_integer(value))
        return json_integer_value(value);
    if (json_is_real(value) && json_real_value(value) < 1e9)
        return json_real_value(value) < 1 ? 1 : (int64_t)json_real_value(value);
    if (json_is_string(value))
        return strtoll(json_string_value(value), NULL, 10);
    return GRANT_DEFAULT_LIFETIME_S;
}

enum token_progress grant_fail(const struct http_result *result, const char *party,
                               const char *detail, struct token_answer *ret_answer)
{
    if (detail != NULL)
        snprintf(ret_answer->words, sizeof(ret_answer->words), "%s: HTTP %d (%s)", party,
                 result->status, detail);
    else
        snprintf(ret_answer->words, sizeof(ret_answer->words), "%s: HTTP %d", party,
                 result->status);
    return TOKEN_FAILED;
}

static bool grant_has_token(const json_t *answer)
{
    const char *token = json_string_value(json_object_get(answer, "access_token"));
    const char *type = json_string_value(json_object_get(answer, "token_type"));

    return token != NULL && grant_is_sendable(token) &&
           (type == NULL || strcasecmp(type, "Bearer") == 0);
}

enum token_progress grant_take(const struct http_result *result, const char *party, char **token,
                               struct token_answer *ret_answer)
{
    json_t *answer = grant_read(result);
    enum token_progress progress = TOKEN_DONE;

    grant_forget(token);
    if (result->status != 200) {
        progress = grant_fail(result, party, grant_error_word(answer), ret_answer);
    } else if (!grant_has_token(answer)) {
        progress = grant_fail(result, party, "no bearer token in the answer", ret_answer);
    } else {
        *token = strdup(json_string_value(json_object_get(answer, "access_token")));
        if (*token == NULL)
            progress = grant_fail(result, party, "out of memory", ret_answer);
        ret_answer->token = *token;
        ret_answer->lifetime_s = grant_lifetime_s(answer);
    }
    json_decref(answer);
    return progress;
}
