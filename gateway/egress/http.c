/* The store of type http: HL7 over HTTP. */
#include "base/clock.h"
#include "egress/http_verdict.h"
#include "egress/https.h"
#include "hl7/charset.h"
#include "http/client_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define HTTP_STORE_DATE_BYTES 48

struct http_store {
    struct https_store https;  /* first */
    struct token_grant *grant; /* of the token source, which owns it; NULL: no OAuth2 */
    struct credential password, bearer, client_secret;
    char date[HTTP_STORE_DATE_BYTES];
    int64_t date_s; /* the second that date says */
    /* Of the request that is being prepared: */
    char content_type[256], key[32 + PARTS_ID_BYTES];
};

/* ---- requests ---- */

/* RFC 9110 5.6.7; strftime() would follow the locale. */
static const char *http_store_date(struct http_store *http)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now_s = (time_t)(clock_wall_ms(loop_clock(http->https.loop)) / 1000);
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

static bool http_prepare(struct https_attempt *attempt, struct https_request *ret_request,
                         const char **headers, size_t *ret_count, struct verdict *ret_verdict)
{
    struct http_store *http = (struct http_store *)attempt->https;
    const struct config_store *config = http->https.store.config;
    int prefix = snprintf(http->key, sizeof(http->key), "Idempotency-Key: ");

    (void)ret_verdict;
    http_content_type(config->content_type, https_attempt_part(attempt), sizeof(http->content_type),
                      http->content_type);
    parts_stable_id(&attempt->parts, attempt->message, attempt->index, http->key + prefix);
    headers[0] = http->content_type;
    headers[1] = http_store_date(http);
    headers[2] = http->key;
    *ret_count = 3;
    *ret_request = (struct https_request){.url = config->url,
                                          .body = https_attempt_part(attempt),
                                          .basic_username = config->username,
                                          .basic_password = http->password.text};
    return true;
}

static void http_judge(const struct https_attempt *attempt, const struct http_result *result,
                       struct verdict *ret_verdict)
{
    const struct config_store *config = attempt->https->store.config;
    const struct http_question question = {.overrides = config->verdicts,
                                           .override_count = config->verdict_count,
                                           .sent = https_attempt_sent(attempt)};

    http_verdict_make(&question, result, ret_verdict);
}

/* ---- secrets ---- */

static void http_refresh(struct https_store *https, bool now)
{
    struct http_store *http = (struct http_store *)https;
    int64_t now_ms = loop_now_ms(https->loop);

    if (now)
        http->bearer.looked_ms = INT64_MIN / 2;
    (void)credential_refresh(&http->password, now_ms);
    (void)credential_refresh(&http->bearer, now_ms);
    if (credential_refresh(&http->client_secret, now_ms) && https->tokens != NULL) {
        client_credentials_set_secret(http->grant, http->client_secret.text);
        token_source_try_again(https->tokens);
    }
}

static const char *http_bearer(const struct https_store *https)
{
    return ((const struct http_store *)https)->bearer.text;
}

/* ---- from the configuration ---- */

static void http_free(struct https_store *https)
{
    struct http_store *http = (struct http_store *)https;

    https_close(https);
    credential_close(&http->password);
    credential_close(&http->bearer);
    credential_close(&http->client_secret);
    free(http);
}

static const struct https_kind http_kind = {.headers = 3,
                                            .refresh = http_refresh,
                                            .bearer = http_bearer,
                                            .prepare = http_prepare,
                                            .judge = http_judge,
                                            .free = http_free};

static int http_check(const struct config_store *config, char ret_error[512])
{
    const char *what = NULL;

    if (http_check_url(config->url) != 0)
        what = "url";
    else if (config->oauth2_token_url != NULL && http_check_url(config->oauth2_token_url) != 0)
        what = "oauth2_token_url";
    if (what != NULL)
        snprintf(ret_error, 512, "%s is not an https URL with a host", what);
    return what == NULL ? 0 : -EINVAL;
}

static int http_make_tokens(struct http_store *http, const struct config_store *config)
{
    const struct client_credentials settings = {.token_url = config->oauth2_token_url,
                                                .client_id = config->oauth2_client_id,
                                                .client_secret = http->client_secret.text,
                                                .scope = config->oauth2_scope,
                                                .audience = config->oauth2_audience};

    if (config->oauth2_token_url == NULL)
        return 0;
    if (https_open_token_origin(&http->https, config) != 0)
        return -ENOMEM;
    http->grant = client_credentials_grant_new(http->https.token_origin, &settings);
    http->https.tokens = token_source_new(http->https.http, http->grant, NULL);
    return http->https.tokens == NULL ? -ENOMEM : 0;
}

static int http_open(struct http_store *http, const struct config_store *config,
                     const struct store_context *context, char ret_error[512])
{
    int result = https_open(&http->https, &http_kind, config, context, ret_error);

    if (result == 0)
        result = http_check(config, ret_error);
    if (result == 0 &&
        (credential_open(&http->password, config->password_file, ret_error) != 0 ||
         credential_open(&http->bearer, config->bearer_file, ret_error) != 0 ||
         credential_open(&http->client_secret, config->oauth2_client_secret_file, ret_error) != 0))
        result = -EINVAL;
    if (result != 0)
        return result;
    snprintf(ret_error, 512, "out of memory");
    return http_make_tokens(http, config);
}

struct store *store_http_new(const struct config_store *config, const struct store_context *context,
                             char ret_error[512])
{
    struct http_store *http = calloc(1, sizeof(*http));

    snprintf(ret_error, 512, "out of memory");
    if (http == NULL)
        return NULL;
    if (http_open(http, config, context, ret_error) == 0)
        return &http->https.store;
    http_free(&http->https);
    return NULL;
}
