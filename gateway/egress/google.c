/*
 * The store of type google: an HL7v2 store of Google's Cloud Healthcare API, by messages:ingest.
 *
 * The request is one JSON object around the message in base64, written in one go into memory of just
 * that size. What the settings fix of it is made once.
 */
#include "base/base64.h"
#include "base/log.h"
#include "egress/google_verdict.h"
#include "egress/https.h"
#include "http/google_token.h"
#include "http/store_origin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define GOOGLE_HEADERS 4

struct google_store {
    struct https_store https;   /* first */
    struct http_origin *direct; /* for the metadata server: no proxy */
    struct google_credentials *credentials;
    char *url, *body_end, *user_agent;
    char quota[320]; /* the header of the request that is being prepared */
};

/* ---- requests ---- */

/* The setting, or what the credentials say; NULL: none. */
static const char *google_quota_project(const struct google_store *google)
{
    const char *configured = google->https.store.config->quota_project;

    return configured != NULL ? configured : google_credentials_quota_project(google->credentials);
}

static bool google_write_body(const struct google_store *google, struct span message,
                              struct https_attempt *attempt, struct span *ret_body)
{
    static const char start[] = CONFIG_GOOGLE_BODY_START;
    size_t end = strlen(google->body_end), base64 = base64_length(message.length);
    size_t length = sizeof(start) - 1 + base64 + end;

    attempt->body = malloc(length);
    if (attempt->body == NULL)
        return false;
    memcpy(attempt->body, start, sizeof(start) - 1);
    base64_encode(message, attempt->body + sizeof(start) - 1);
    memcpy(attempt->body + sizeof(start) - 1 + base64, google->body_end, end);
    *ret_body = span_of(attempt->body, length);
    return true;
}

static bool google_prepare(struct https_attempt *attempt, struct https_request *ret_request,
                           const char **headers, size_t *ret_count, struct verdict *ret_verdict)
{
    struct google_store *google = (struct google_store *)attempt->https;
    const char *quota_project = google_quota_project(google);
    bool written;

    if (!utf8_part_make(&attempt->utf8, attempt->message, https_attempt_part(attempt),
                        config_store_maximum_message_bytes(google->https.store.config),
                        ret_verdict))
        return false;
    written = google_write_body(google, attempt->utf8.text, attempt, &ret_request->body);
    utf8_part_release(&attempt->utf8);
    if (!written) {
        *ret_verdict = (struct verdict){.kind = VERDICT_RETRY, .reason = "out of memory"};
        return false;
    }
    ret_request->url = google->url;
    headers[(*ret_count)++] = "Content-Type: application/json";
    headers[(*ret_count)++] = "X-Goog-Api-Format-Version: 2"; /* errors tell details: the NACK */
    headers[(*ret_count)++] = google->user_agent;
    if (quota_project != NULL) {
        snprintf(google->quota, sizeof(google->quota), "X-Goog-User-Project: %s", quota_project);
        headers[(*ret_count)++] = google->quota;
    }
    return true;
}

/* As the store has seen it. */
static struct hl7_sent google_sent(const struct https_attempt *attempt)
{
    struct hl7_sent sent = https_attempt_sent(attempt);

    if (attempt->utf8.control_id != NULL)
        sent.control_id = span_of(attempt->utf8.control_id, attempt->utf8.control_id_length);
    return sent;
}

static void google_judge(const struct https_attempt *attempt, const struct http_result *result,
                         struct verdict *ret_verdict)
{
    const struct google_store *google = (const struct google_store *)attempt->https;
    const struct config_store *config = google->https.store.config;
    const struct google_question question = {
        .http = {.overrides = config->verdicts,
                 .override_count = config->verdict_count,
                 .sent = google_sent(attempt)},
        .store = config,
        .quota_project = google_quota_project(google),
        .in_doubt = https_attempt_in_doubt(attempt),
    };

    google_verdict_make(&question, result, ret_verdict);
    utf8_part_answer(&attempt->utf8, https_attempt_part(attempt), ret_verdict);
}

/* Tokens look after their credentials themselves. */
static void google_refresh(struct https_store *https, bool now)
{
    (void)https;
    (void)now;
}

/* ---- from the configuration ---- */

static void google_free(struct https_store *https)
{
    struct google_store *google = (struct google_store *)https;

    https_close(https); /* the token source among it, which uses what follows */
    http_origin_free(&google->direct);
    google_credentials_free(&google->credentials);
    free(google->url);
    free(google->body_end);
    free(google->user_agent);
    free(google);
}

static const struct https_kind google_kind = {.headers = GOOGLE_HEADERS,
                                              .refresh = google_refresh,
                                              .prepare = google_prepare,
                                              .judge = google_judge,
                                              .free = google_free};

static void google_on_warning(void *context, const char *sentence)
{
    const struct google_store *google = context;

    LOG_EVENT(LOG_LEVEL_WARNING, "store-credentials-unusable",
              LOG_STRING("store", google->https.store.config->name), LOG_STRING("reason", sentence),
              LOG_STRING("consequence", "the old ones stay in use"));
}

static int google_make_texts(struct google_store *google, const struct config_store *config)
{
    char *store = config_google_store_url(config);

    if (store == NULL || asprintf(&google->url, "%s/messages:ingest", store) < 0)
        google->url = NULL;
    free(store);
    if (google->url == NULL)
        return -ENOMEM;
    if (asprintf(&google->user_agent, "User-Agent: %s",
                 config->user_agent != NULL ? config->user_agent : "mllp-gateway/" MLLPGW_VERSION) <
        0) {
        google->user_agent = NULL;
        return -ENOMEM;
    }
    google->body_end = config_google_body_end(config);
    return google->body_end == NULL ? -ENOMEM : 0;
}

static int google_make_tokens(struct google_store *google, const struct config_store *config)
{
    struct google_token_settings settings = {
        .scope = config->token_scope, .on_warning = google_on_warning, .context = google};

    google->direct = store_origin_direct_new(google->https.http, config);
    if (google->direct == NULL || https_open_token_origin(&google->https, config) != 0)
        return -ENOMEM;
    settings.origin = google->https.token_origin;
    settings.direct = google->direct;
    google->https.tokens =
        google_token_source_new(google->https.http, google->credentials, &settings);
    return google->https.tokens == NULL ? -ENOMEM : 0;
}

static int google_open(struct google_store *google, const struct config_store *config,
                       const struct store_context *context, char ret_error[512])
{
    int result = https_open(&google->https, &google_kind, config, context, ret_error);

    if (result == 0 && http_check_url(config->endpoint) != 0) {
        snprintf(ret_error, 512, "endpoint is not an https URL with a host");
        result = -EINVAL;
    }
    if (result == 0)
        result = google_credentials_find(config->credentials, &google->credentials, ret_error);
    if (result != 0)
        return result;
    snprintf(ret_error, 512, "out of memory");
    result = google_make_texts(google, config);
    return result != 0 ? result : google_make_tokens(google, config);
}

struct store *store_google_new(const struct config_store *config,
                               const struct store_context *context, char ret_error[512])
{
    struct google_store *google = calloc(1, sizeof(*google));

    snprintf(ret_error, 512, "out of memory");
    if (google == NULL)
        return NULL;
    if (google_open(google, config, context, ret_error) == 0)
        return &google->https.store;
    google_free(&google->https);
    return NULL;
}
