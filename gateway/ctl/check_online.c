/*
 * mllpctl check --online: asks each store that is reached over the network.
 *
 * A store of type google: a token, then the store's own description. One of type http: a token where
 * OAuth2 is set up, then whether the URL's host answers (a GET without credentials: what it answers is
 * the store's affair, that it does says that name, route, TLS and proxy are right). No message is sent.
 */
#include "config/secret.h"
#include "ctl/check.h"
#include "http/client_credentials.h"
#include "http/google_fault.h"
#include "http/google_token.h"
#include "http/store_origin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONLINE_SECRET_BYTES ((size_t)16 * 1024)
#define ONLINE_ANSWER_BYTES ((size_t)256 * 1024)
#define ONLINE_TEXT_BYTES 1024

/* One store at a time; the loop runs while something is awaited. */
struct online {
    struct problems *problems;
    json_t *results;
    struct loop *loop;
    struct http_client *client;
    const struct config_store *store;
    char *proxy_password;
    struct http_origin *origin, *token_origin, *direct;
    struct google_credentials *credentials;
    struct token_source *tokens;
    struct token_waiter waiter;
    bool waiting, running;
    char *authorization; /* the header; NULL: no token */
    char words[TOKEN_WORDS_BYTES];
};

/* ---- what is said ---- */

static void online_say(struct online *online, bool ok, const char *text)
{
    json_t *result =
        json_pack("{s:s, s:b, s:s}", "store", online->store->name, "ok", ok, "text", text);

    json_array_append_new(online->results, result);
}

__attribute__((format(printf, 2, 3))) static bool online_fail(struct online *online,
                                                              const char *format, ...)
{
    char text[ONLINE_TEXT_BYTES], setting[160];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(setting, sizeof setting, "stores.%s", online->store->name);
    problems_add(online->problems, PROBLEM_ERROR, online->store->place, setting, "%s", text);
    online_say(online, false, text);
    return false;
}

/* ---- waiting ---- */

static void online_wait(struct online *online)
{
    while (online->waiting) {
        online->running = true;
        loop_run(online->loop);
        online->running = false;
    }
}

static void online_end_wait(struct online *online)
{
    online->waiting = false;
    if (online->running)
        loop_stop(online->loop);
}

/* ---- tokens ---- */

static void online_on_token(struct token_waiter *waiter, const char *token, int status,
                            const char *words)
{
    struct online *online = LIST_ENTRY(waiter, struct online, waiter);

    (void)status;
    snprintf(online->words, sizeof online->words, "%s", words);
    if (token != NULL && asprintf(&online->authorization, "Authorization: Bearer %s", token) < 0) {
        online->authorization = NULL;
        snprintf(online->words, sizeof online->words, "memory is out");
    }
    online_end_wait(online);
}

/* False with words. */
static bool online_get_token(struct online *online)
{
    online->waiter = (struct token_waiter){.on_token = online_on_token};
    online->waiting = true;
    token_source_get(online->tokens, &online->waiter);
    online_wait(online);
    return online->authorization != NULL;
}

static bool online_get_google_token(struct online *online)
{
    char error[GOOGLE_ERROR_BYTES] = "";
    struct google_token_settings settings = {.scope = online->store->token_scope,
                                             .origin = online->token_origin,
                                             .direct = online->direct};

    if (google_credentials_find(online->store->credentials, &online->credentials, error) != 0)
        return online_fail(online, "%s", error);
    online->tokens = google_token_source_new(online->client, online->credentials, &settings);
    if (online->tokens == NULL)
        return online_fail(online, "memory is out");
    if (online_get_token(online))
        return true;
    return online_fail(online, "no token for %s: %s", google_credentials_words(online->credentials),
                       online->words);
}

static bool online_get_oauth2_token(struct online *online)
{
    const struct config_store *store = online->store;
    char error[SECRET_ERROR_BYTES] = "", *secret = NULL;
    struct client_credentials settings = {.token_url = store->oauth2_token_url,
                                          .client_id = store->oauth2_client_id,
                                          .scope = store->oauth2_scope,
                                          .audience = store->oauth2_audience};

    if (store->oauth2_client_secret_file != NULL &&
        secret_read_line(store->oauth2_client_secret_file, ONLINE_SECRET_BYTES, &secret, error) !=
            0)
        return online_fail(online, "%s", error);
    settings.client_secret = secret;
    online->tokens = token_source_new(
        online->client, client_credentials_grant_new(online->token_origin, &settings), NULL);
    if (secret != NULL)
        secret_free(&secret, strlen(secret));
    if (online->tokens == NULL)
        return online_fail(online, "memory is out");
    return online_get_token(online) || online_fail(online, "no token: %s", online->words);
}

/* ---- a request ---- */

struct online_request {
    struct online *online;
    void (*judge)(struct online *online, const struct http_result *result);
};

static void online_on_answer(void *context, const struct http_result *result)
{
    struct online_request *request = context;

    request->judge(request->online, result);
    online_end_wait(request->online);
}

static void online_ask(struct online *online, const char *url, const char *const *headers,
                       void (*judge)(struct online *online, const struct http_result *result))
{
    struct online_request request = {.online = online, .judge = judge};
    const struct http_parameters parameters = {.origin = online->origin,
                                               .method = "GET",
                                               .url = url,
                                               .headers = headers,
                                               .timeout_ms = online->store->attempt_timeout_ms,
                                               .maximum_answer_bytes = ONLINE_ANSWER_BYTES};

    online->waiting =
        http_request_start(online->client, &parameters, online_on_answer, &request) != NULL;
    if (!online->waiting)
        (void)online_fail(online, "memory is out");
    online_wait(online);
}

/* ---- google ---- */

static const char *online_quota_project(const struct online *online)
{
    return online->store->quota_project != NULL
               ? online->store->quota_project
               : google_credentials_quota_project(online->credentials);
}

static void online_say_store(struct online *online, const json_t *root)
{
    const struct config_store *store = online->store;
    char text[ONLINE_TEXT_BYTES];

    snprintf(text, sizeof text, "store %s of dataset %s in project %s, %s, is there for %s%s",
             store->store, store->dataset, store->project, store->location,
             google_credentials_words(online->credentials),
             json_is_true(json_object_get(root, "rejectDuplicateMessage"))
                 ? "; it refuses repeats (rejectDuplicateMessage)"
                 : "");
    online_say(online, true, text);
}

static void online_judge_google(struct online *online, const struct http_result *result)
{
    json_t *root = NULL;
    char words[ONLINE_TEXT_BYTES];

    if (result->failure != HTTP_OK) {
        (void)online_fail(online, "%s: %s", online->store->endpoint, result->words);
        return;
    }
    if (result->body.length > 0)
        root = json_loadb(result->body.data, result->body.length, 0, NULL);
    if (result->status == 200 && json_is_string(json_object_get(root, "name")))
        online_say_store(online, root);
    else if (result->status == 200)
        (void)online_fail(online, "%s answers, but not as the Cloud Healthcare API does",
                          online->store->endpoint);
    else if (google_fault_words(online->store, online_quota_project(online), result->status,
                                json_is_object(root) ? root : NULL, words, sizeof words))
        (void)online_fail(online, "%s (%s)", words, google_credentials_words(online->credentials));
    else
        (void)online_fail(online, "%s: HTTP %d", online->store->endpoint, result->status);
    json_decref(root);
}

static void online_ask_google(struct online *online)
{
    const char *project = online_quota_project(online);
    char *url = config_google_store_url(online->store), quota[320], agent[320];
    const char *headers[] = {online->authorization,
                             "Accept: application/json",
                             "X-Goog-Api-Format-Version: 2", /* errors tell their reason */
                             agent,
                             NULL,
                             NULL};

    snprintf(agent, sizeof agent, "User-Agent: %s",
             online->store->user_agent != NULL ? online->store->user_agent
                                               : "mllp-gateway/" MLLPGW_VERSION);
    if (project != NULL) {
        snprintf(quota, sizeof quota, "X-Goog-User-Project: %s", project);
        headers[4] = quota;
    }
    if (url == NULL)
        (void)online_fail(online, "memory is out");
    else
        online_ask(online, url, headers, online_judge_google);
    free(url);
}

/* ---- http ---- */

static void online_judge_http(struct online *online, const struct http_result *result)
{
    char text[ONLINE_TEXT_BYTES];

    if (result->failure != HTTP_OK && result->failure != HTTP_ANSWER_TOO_LARGE) {
        (void)online_fail(online, "%s: %s", online->store->url, result->words);
        return;
    }
    snprintf(text, sizeof text, "%s answers (HTTP %d to a GET without credentials)%s",
             online->store->url, result->status,
             online->authorization != NULL ? "; there is a token" : "");
    online_say(online, true, text);
}

/* ---- one store after the other ---- */

static bool online_connect(struct online *online)
{
    const struct config_store *store = online->store;
    char error[SECRET_ERROR_BYTES] = "";

    if (store->proxy_password_file != NULL &&
        secret_read_line(store->proxy_password_file, ONLINE_SECRET_BYTES, &online->proxy_password,
                         error) != 0)
        return online_fail(online, "%s", error);
    online->origin = store_origin_new(online->client, store, online->proxy_password, false);
    online->token_origin = store_origin_new(online->client, store, online->proxy_password, true);
    online->direct = store_origin_direct_new(online->client, store);
    if (online->origin == NULL || online->token_origin == NULL || online->direct == NULL)
        return online_fail(online, "memory is out");
    return true;
}

static void online_disconnect(struct online *online)
{
    token_source_free(&online->tokens);
    google_credentials_free(&online->credentials);
    http_origin_free(&online->origin);
    http_origin_free(&online->token_origin);
    http_origin_free(&online->direct);
    if (online->proxy_password != NULL)
        secret_free(&online->proxy_password, strlen(online->proxy_password));
    if (online->authorization != NULL)
        secret_free(&online->authorization, strlen(online->authorization));
}

static void online_check(struct online *online, const struct config_store *store)
{
    online->store = store;
    if (!online_connect(online))
        return;
    if (store->type == CONFIG_STORE_GOOGLE) {
        if (online_get_google_token(online))
            online_ask_google(online);
    } else if (store->oauth2_token_url == NULL || online_get_oauth2_token(online)) {
        online_ask(online, store->url, NULL, online_judge_http);
    }
}

json_t *check_online(const struct config *config, struct problems *problems)
{
    struct online online = {.problems = problems, .results = json_array()};

    if (http_global_init() == 0)
        online.loop = loop_new("check");
    if (online.loop != NULL)
        online.client = http_client_new(online.loop);
    for (size_t i = 0; i < config->store_count; i++) {
        online.store = &config->stores[i];
        if (online.store->type == CONFIG_STORE_DIRECTORY)
            continue;
        if (online.client == NULL)
            (void)online_fail(&online, "libcurl or memory is missing");
        else
            online_check(&online, online.store);
        online_disconnect(&online);
    }
    http_client_free(&online.client);
    loop_free(&online.loop);
    return online.results;
}
