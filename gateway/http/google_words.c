#include "http/google_words.h"

#include "http/grant.h"

#include <stdio.h>

const char *google_party(enum google_stage stage)
{
    switch (stage) {
    case GOOGLE_STAGE_SUBJECT:
        return "subject token's URL";
    case GOOGLE_STAGE_EXCHANGE:
        return "token exchange";
    case GOOGLE_STAGE_IMPERSONATE:
        return "impersonation";
    case GOOGLE_STAGE_METADATA:
        return "metadata server (no credentials file)";
    case GOOGLE_STAGE_TOKEN:
        break;
    }
    return "token endpoint";
}

/* The four that Google tells apart only in its text, which may change: the last line is for all. */
static const char *words_of_assertion(const char *description)
{
    if (description == NULL)
        description = "";
    if (strcasestr(description, "account not found") != NULL)
        return "there is no such service account";
    if (strcasestr(description, "disabled") != NULL)
        return "the service account or its key is disabled";
    if (strcasestr(description, "signature") != NULL)
        return "the key is deleted, disabled or not this account's";
    if (strcasestr(description, "iat and exp") != NULL ||
        strcasestr(description, "short-lived") != NULL)
        return "this machine's clock is wrong";
    return "clock wrong, key deleted or account disabled";
}

static const char *words_of_oauth(enum google_stage stage, const struct google_facts *facts,
                                  const char *word, const char *description)
{
    bool grant = strcmp(word, "invalid_grant") == 0;

    if (strcmp(word, "invalid_scope") == 0)
        return "token_scope is not one that may be asked for";
    if (stage == GOOGLE_STAGE_EXCHANGE && grant)
        return "the subject token is expired or not the provider's";
    if (stage == GOOGLE_STAGE_EXCHANGE && strcmp(word, "invalid_target") == 0)
        return "audience: no such pool or provider";
    if (stage == GOOGLE_STAGE_EXCHANGE && strcmp(word, "unauthorized_client") == 0)
        return "the provider's conditions exclude the subject";
    if (stage == GOOGLE_STAGE_TOKEN && grant && facts->kind == GOOGLE_SERVICE_ACCOUNT)
        return words_of_assertion(description);
    if (stage == GOOGLE_STAGE_TOKEN && grant)
        return "expired or revoked: log in again with gcloud";
    if (stage == GOOGLE_STAGE_TOKEN && strcmp(word, "invalid_client") == 0)
        return "client_id or client_secret is wrong or deleted";
    return NULL;
}

static const char *words_of_status(enum google_stage stage, int status)
{
    if (stage == GOOGLE_STAGE_IMPERSONATE && status == 403)
        return "no roles/iam.workloadIdentityUser on the account";
    if (stage == GOOGLE_STAGE_IMPERSONATE && status == 404)
        return "there is no such service account";
    if (stage == GOOGLE_STAGE_METADATA && status == 404)
        return "no service account is attached to this machine";
    if (stage == GOOGLE_STAGE_METADATA && status == 403)
        return "the machine may not have tokens";
    return NULL;
}

enum token_progress google_fail(enum google_stage stage, const struct google_facts *facts,
                                const json_t *answer, const struct http_result *result,
                                struct token_answer *ret_answer)
{
    const char *word = grant_error_word(answer);
    const char *description = json_string_value(json_object_get(answer, "error_description"));
    const char *advice = word == NULL ? words_of_status(stage, result->status)
                                      : words_of_oauth(stage, facts, word, description);
    char detail[128];

    if (word == NULL || advice == NULL)
        return grant_fail(result, google_party(stage), word != NULL ? word : advice, ret_answer);
    snprintf(detail, sizeof(detail), "%s: %s", word, advice);
    return grant_fail(result, google_party(stage), detail, ret_answer);
}
