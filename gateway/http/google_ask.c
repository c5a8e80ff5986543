/* What a token by Google's credentials takes, request by request. */
#include "config/secret.h"
#include "http/google_grant.h"
#include "http/grant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SUBJECT_BYTES ((size_t)64 * 1024)
#define ASSERTION_BYTES ((size_t)4 * 1024)
#define CLOUD_PLATFORM "https://www.googleapis.com/auth/cloud-platform"
#define METADATA_PATH "/computeMetadata/v1/instance/service-accounts/default/token"

static const char *const google_form_headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                                  "Accept: application/json", NULL};
static const char *const google_metadata_headers[] = {"Metadata-Flavor: Google", NULL};

enum google_stage google_stage(const struct google_facts *facts, unsigned step)
{
    switch (facts->kind) {
    case GOOGLE_METADATA_SERVER:
        return GOOGLE_STAGE_METADATA;
    case GOOGLE_EXTERNAL_ACCOUNT:
        if (facts->source.url != NULL && step == 0)
            return GOOGLE_STAGE_SUBJECT;
        if (facts->source.url != NULL)
            step--;
        return step == 0 ? GOOGLE_STAGE_EXCHANGE : GOOGLE_STAGE_IMPERSONATE;
    default:
        return GOOGLE_STAGE_TOKEN;
    }
}

int64_t google_now_s(const struct google_grant *google)
{
    return clock_wall_ms(google->clock) / 1000;
}

/* Plain http is for this machine or its cloud's own server: no proxy leads there. */
static struct http_origin *google_origin(const struct google_grant *google, const char *url)
{
    return strncasecmp(url, "http:", 5) == 0 ? google->direct : google->origin;
}

void google_forget(struct google_grant *google)
{
    grant_wipe(&google->body);
    grant_wipe(&google->authorization);
    buffer_free(&google->url);
    grant_forget(&google->subject);
    grant_forget(&google->token);
}

static int google_fill_service_account(struct google_grant *google)
{
    int result = grant_reserve(&google->body, ASSERTION_BYTES); /* it is a secret for an hour */

    if (result == 0)
        result =
            grant_add(&google->body, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    if (result == 0)
        result = buffer_append_string(&google->body, "&assertion=");
    return result != 0 ? result
                       : google_jwt_append(google->facts, google->scope, google_now_s(google),
                                           &google->body);
}

static int google_fill_user(struct google_grant *google)
{
    const struct google_facts *facts = google->facts;

    if (grant_add(&google->body, "grant_type", "refresh_token") != 0 ||
        grant_add(&google->body, "client_id", facts->client_id) != 0 ||
        grant_add(&google->body, "client_secret", facts->client_secret) != 0 ||
        grant_add(&google->body, "refresh_token", facts->refresh_token) != 0)
        return -ENOMEM;
    return 0;
}

static int google_ask_token(struct google_grant *google, struct token_step *step, char *words)
{
    int result = google->facts->kind == GOOGLE_SERVICE_ACCOUNT ? google_fill_service_account(google)
                                                               : google_fill_user(google);

    if (result == -EIO)
        snprintf(words, TOKEN_WORDS_BYTES, "the service account's key cannot sign");
    step->url = google->facts->token_url;
    step->headers = google_form_headers;
    return result;
}

static int google_read_subject_file(struct google_grant *google, char *words)
{
    char error[SECRET_ERROR_BYTES] = "", *text = NULL;
    const char *why = "";
    size_t length = 0;
    int result = secret_read(google->facts->source.file, SUBJECT_BYTES, &text, &length, error);

    if (result != 0) {
        snprintf(words, TOKEN_WORDS_BYTES, "subject token: %.230s", error);
        return result;
    }
    result =
        google_read_subject(&google->facts->source, span_of(text, length), &google->subject, &why);
    secret_free(&text, length);
    if (result == -EINVAL)
        snprintf(words, TOKEN_WORDS_BYTES, "subject token: %.150s %s", google->facts->source.file,
                 why);
    return result;
}

static int google_ask_subject(struct google_grant *google, struct token_step *step)
{
    step->method = "GET";
    step->url = google->facts->source.url;
    step->headers = (const char *const *)google->facts->source.headers;
    return 0;
}

/* A workforce pool's user project: {"userProject":"..."}. */
static int google_add_options(struct google_grant *google)
{
    json_t *options;
    char *text;
    int result;

    if (google->facts->user_project == NULL || google->facts->client_id != NULL)
        return 0;
    options = json_pack("{s:s}", "userProject", google->facts->user_project);
    text = options == NULL ? NULL : json_dumps(options, JSON_COMPACT);
    result = text == NULL ? -ENOMEM : grant_add(&google->body, "options", text);
    free(text);
    json_decref(options);
    return result;
}

static int google_ask_exchange(struct google_grant *google, struct token_step *step, char *words)
{
    const struct google_facts *facts = google->facts;
    int result = google->subject == NULL ? google_read_subject_file(google, words) : 0;
    const struct {
        const char *name, *value;
    } fields[] = {
        {"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"},
        {"audience", facts->audience},
        {"scope", facts->impersonation_url != NULL ? CLOUD_PLATFORM : google->scope},
        {"requested_token_type", "urn:ietf:params:oauth:token-type:access_token"},
        {"subject_token_type", facts->subject_token_type},
        {"subject_token", google->subject},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && result == 0; i++)
        result = grant_add(&google->body, fields[i].name, fields[i].value);
    if (result == 0)
        result = google_add_options(google);
    step->url = facts->token_url;
    step->headers = google_form_headers;
    if (facts->client_id != NULL) {
        step->basic_username = facts->client_id;
        step->basic_password = facts->client_secret != NULL ? facts->client_secret : "";
    }
    return result;
}

/* {"scope":["…"],"lifetime":"3600s"} */
static int google_fill_impersonation(struct google_grant *google)
{
    json_t *scopes = json_array(), *request;
    char *text, lifetime[24];
    int result = scopes == NULL ? -ENOMEM : 0;

    for (const char *scope = google->scope + strspn(google->scope, " ");
         result == 0 && *scope != '\0'; scope += strspn(scope, " ")) {
        size_t length = strcspn(scope, " ");

        result = json_array_append_new(scopes, json_stringn(scope, length)) != 0 ? -ENOMEM : 0;
        scope += length;
    }
    snprintf(lifetime, sizeof(lifetime), "%ds", google->facts->lifetime_s);
    request = result != 0 ? NULL : json_pack("{s:O, s:s}", "scope", scopes, "lifetime", lifetime);
    text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
    result = text == NULL ? -ENOMEM : buffer_append_string(&google->body, text);
    free(text);
    json_decref(request);
    json_decref(scopes);
    return result;
}

static int google_ask_impersonation(struct google_grant *google, struct token_step *step)
{
    static const char bearer[] = "Authorization: Bearer ";
    struct buffer *header = &google->authorization;
    int result = grant_reserve(header, sizeof(bearer) + strlen(google->token));

    if (result == 0)
        result = buffer_append_string(header, bearer);
    if (result == 0)
        result = buffer_append_string(header, google->token);
    if (result == 0)
        result = buffer_append_byte(header, '\0');
    if (result == 0)
        result = google_fill_impersonation(google);
    google->headers[0] = "Content-Type: application/json";
    google->headers[1] = "Accept: application/json";
    google->headers[2] = google->authorization.data;
    google->headers[3] = NULL;
    step->url = google->facts->impersonation_url;
    step->headers = google->headers;
    return result;
}

/* Scopes with commas between them: what the metadata server wants. */
static int google_append_scopes(struct buffer *url, const char *scope)
{
    char *list = strdup(scope);
    int result;

    if (list == NULL)
        return -ENOMEM;
    for (char *space = list; (space = strchr(space, ' ')) != NULL;)
        *space = ',';
    result = grant_encode(url, list);
    free(list);
    return result;
}

static int google_ask_metadata(struct google_grant *google, struct token_step *step)
{
    int result = buffer_append_format(&google->url,
                                      "http://%s" METADATA_PATH "?scopes=", google->facts->host);

    if (result == 0)
        result = google_append_scopes(&google->url, google->scope);
    if (result == 0)
        result = buffer_append_byte(&google->url, '\0');
    step->method = "GET";
    step->url = google->url.data;
    step->headers = google_metadata_headers;
    step->answer_header = "Metadata-Flavor";
    return result;
}

int google_ask(struct token_grant *grant, unsigned step, struct token_step *ret_step,
               char ret_words[TOKEN_WORDS_BYTES])
{
    struct google_grant *google = (struct google_grant *)grant;
    enum google_stage stage = google_stage(google->facts, step);
    int result = 0;

    if (step == 0)
        google_forget(google);
    buffer_clear(&google->body);
    *ret_step = (struct token_step){.party = google_party(stage), .method = "POST"};
    switch (stage) {
    case GOOGLE_STAGE_TOKEN:
        result = google_ask_token(google, ret_step, ret_words);
        break;
    case GOOGLE_STAGE_SUBJECT:
        result = google_ask_subject(google, ret_step);
        break;
    case GOOGLE_STAGE_EXCHANGE:
        result = google_ask_exchange(google, ret_step, ret_words);
        break;
    case GOOGLE_STAGE_IMPERSONATE:
        result = google_ask_impersonation(google, ret_step);
        break;
    case GOOGLE_STAGE_METADATA:
        result = google_ask_metadata(google, ret_step);
        break;
    }
    if (result != 0)
        return result == -EMSGSIZE ? -ENOMEM : result;
    ret_step->body = buffer_span(&google->body);
    ret_step->origin = google_origin(google, ret_step->url);
    return 0;
}
