#include "http/google_token.h"

#include "http/google_grant.h"
#include "http/grant.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BODY_BYTES ((size_t)256 * 1024)

/* ---- what came ---- */

static enum token_progress google_take_subject(struct google_grant *google,
                                               const struct http_result *result,
                                               struct token_answer *ret_answer)
{
    const char *why = "memory is out";

    if (result->status != 200)
        return grant_fail(result, google_party(GOOGLE_STAGE_SUBJECT), NULL, ret_answer);
    if (google_read_subject(&google->facts->source, result->body, &google->subject, &why) != 0) {
        char detail[128];

        snprintf(detail, sizeof(detail), "it %s", why);
        return grant_fail(result, google_party(GOOGLE_STAGE_SUBJECT), detail, ret_answer);
    }
    return TOKEN_MORE;
}

/* "2026-11-26T14:00:00Z", perhaps with a fraction; as seconds from now. A clock that is wrong must
 * not make a good token useless or a token eternal: what was asked for is the most, and counts when
 * nothing would be left. */
static int64_t google_lifetime_s(const struct google_grant *google, const char *expires)
{
    int64_t asked_s = google->facts->lifetime_s, left_s;
    struct tm utc = {0};

    if (expires == NULL || strptime(expires, "%Y-%m-%dT%H:%M:%S", &utc) == NULL)
        return asked_s;
    left_s = (int64_t)timegm(&utc) - google_now_s(google);
    return left_s < 1 || left_s > asked_s ? asked_s : left_s;
}

static enum token_progress google_take_impersonation(struct google_grant *google,
                                                     const struct http_result *result,
                                                     struct token_answer *ret_answer)
{
    static const char no_token[] = "no token in the answer";
    const char *party = google_party(GOOGLE_STAGE_IMPERSONATE);
    json_t *answer = grant_read(result);
    const char *token = json_string_value(json_object_get(answer, "accessToken"));
    enum token_progress progress = TOKEN_DONE;

    grant_forget(&google->token);
    if (result->status != 200) {
        progress = google_fail(GOOGLE_STAGE_IMPERSONATE, google->facts, answer, result, ret_answer);
    } else if (token == NULL || !grant_is_sendable(token)) {
        progress = grant_fail(result, party, no_token, ret_answer);
    } else {
        google->token = strdup(token);
        if (google->token == NULL)
            progress = grant_fail(result, party, "memory is out", ret_answer);
        ret_answer->token = google->token;
        ret_answer->lifetime_s =
            google_lifetime_s(google, json_string_value(json_object_get(answer, "expireTime")));
    }
    json_decref(answer);
    return progress;
}

/* With advice when there is one for what the endpoint said. */
static enum token_progress google_take_token(struct google_grant *google, enum google_stage stage,
                                             const struct http_result *result,
                                             struct token_answer *ret_answer)
{
    enum token_progress progress;
    json_t *answer;

    if (result->status == 200) {
        progress = grant_take(result, google_party(stage), &google->token, ret_answer);
        if (progress == TOKEN_DONE && stage == GOOGLE_STAGE_EXCHANGE &&
            google->facts->impersonation_url != NULL)
            return TOKEN_MORE;
        return progress;
    }
    answer = grant_read(result);
    progress = google_fail(stage, google->facts, answer, result, ret_answer);
    json_decref(answer);
    return progress;
}

static enum token_progress google_take(struct token_grant *grant, unsigned step,
                                       const struct http_result *result,
                                       struct token_answer *ret_answer)
{
    struct google_grant *google = (struct google_grant *)grant;
    enum google_stage stage = google_stage(google->facts, step);

    if (stage == GOOGLE_STAGE_SUBJECT)
        return google_take_subject(google, result, ret_answer);
    if (stage == GOOGLE_STAGE_IMPERSONATE)
        return google_take_impersonation(google, result, ret_answer);
    if (stage == GOOGLE_STAGE_METADATA &&
        (result->answer_header == NULL || strcmp(result->answer_header, "Google") != 0))
        return grant_fail(result, google_party(stage), "without Metadata-Flavor: not Google's",
                          ret_answer);
    return google_take_token(google, stage, result, ret_answer);
}

/* ---- */

static bool google_changed(struct token_grant *grant)
{
    struct google_grant *google = (struct google_grant *)grant;
    char error[GOOGLE_ERROR_BYTES];
    bool changed =
        google_credentials_refresh(google->credentials, clock_monotonic_ms(google->clock), error);

    if (error[0] != '\0' && google->on_warning != NULL)
        google->on_warning(google->context, error);
    return changed;
}

static void google_finish(struct token_grant *grant)
{
    google_forget((struct google_grant *)grant);
}

static void google_destroy(struct token_grant *grant)
{
    struct google_grant *google = (struct google_grant *)grant;

    google_forget(google);
    free(google->scope);
    free(google);
}

static const struct token_grant_operations google_operations = {.ask = google_ask,
                                                                .take = google_take,
                                                                .changed = google_changed,
                                                                .finish = google_finish,
                                                                .destroy = google_destroy};

struct token_source *google_token_source_new(struct http_client *client,
                                             struct google_credentials *credentials,
                                             const struct google_token_settings *settings)
{
    struct google_grant *google = calloc(1, sizeof(*google));

    if (google == NULL)
        return NULL;
    google->grant.operations = &google_operations;
    google->credentials = credentials;
    google->facts = google_credentials_facts(credentials);
    google->origin = settings->origin;
    google->direct = settings->direct;
    google->clock =
        settings->clock != NULL ? settings->clock : loop_clock(http_client_loop(client));
    google->on_warning = settings->on_warning;
    google->context = settings->context;
    buffer_init(&google->body, BODY_BYTES);
    buffer_init(&google->url, BODY_BYTES);
    buffer_init(&google->authorization, BODY_BYTES);
    google->scope = strdup(settings->scope);
    if (google->scope == NULL) {
        google_destroy(&google->grant);
        return NULL;
    }
    return token_source_new(client, &google->grant, settings->clock);
}
