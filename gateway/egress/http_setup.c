/* The store of type http, from its configuration to what requests need. */
#include "egress/http_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HTTP_STORE_OWN_HEADERS 5 /* Content-Type, Date, Idempotency-Key, Authorization, NULL */

static int http_store_complain(char ret_error[512], const char *sentence)
{
    snprintf(ret_error, 512, "%s", sentence);
    return -EINVAL;
}

static int http_store_check_file(const char *what, const char *path, char ret_error[512])
{
    if (path == NULL || access(path, R_OK) == 0)
        return 0;
    snprintf(ret_error, 512, "%s %s cannot be read: %s", what, path, strerrordesc_np(errno));
    return -EINVAL;
}

static int http_store_check_header(const char *header, char ret_error[512])
{
    size_t name = strcspn(header, ": \t");

    if (name == 0 || header[name] != ':' || header[strcspn(header, "\r\n")] != '\0')
        return http_store_complain(ret_error,
                                   "a header of headers is not of the form \"Name: value\"");
    return 0;
}

static int http_store_check(const struct config_store *config, char ret_error[512])
{
    if (http_check_url(config->url) != 0)
        return http_store_complain(ret_error, "url is not an https URL with a host");
    if (config->oauth2_token_url != NULL && http_check_url(config->oauth2_token_url) != 0)
        return http_store_complain(ret_error, "oauth2_token_url is not an https URL with a host");
    for (size_t i = 0; i < config->headers.count; i++) {
        if (http_store_check_header(config->headers.items[i], ret_error) != 0)
            return -EINVAL;
    }
    if (http_store_check_file("ca", config->ca, ret_error) != 0 ||
        http_store_check_file("certificate", config->certificate, ret_error) != 0 ||
        http_store_check_file("key", config->key, ret_error) != 0)
        return -EINVAL;
    return 0;
}

static int http_store_open_secrets(struct http_store *http, const struct config_store *config,
                                   char ret_error[512])
{
    if (credential_open(&http->password, config->password_file, ret_error) != 0 ||
        credential_open(&http->bearer, config->bearer_file, ret_error) != 0 ||
        credential_open(&http->proxy_password, config->proxy_password_file, ret_error) != 0 ||
        credential_open(&http->client_secret, config->oauth2_client_secret_file, ret_error) != 0)
        return -EINVAL;
    return 0;
}

/* The token endpoint is another party: our certificate and the store's pin are not for it. */
static struct http_origin *http_store_make_origin(const struct http_store *http,
                                                  const struct config_store *config, bool token)
{
    const struct http_origin_settings settings = {
        .ca_file = config->ca,
        .certificate = token ? NULL : config->certificate,
        .key = token ? NULL : config->key,
        .pin = token ? NULL : config->pin,
        .proxy = config->proxy,
        .proxy_username = config->proxy_username,
        .proxy_password = http->proxy_password.text,
        .connect_timeout_ms = config->connect_timeout_ms,
        .maximum_connections = token ? 1 : config->maximum_connections,
    };

    return http_origin_new(http->http, &settings);
}

static int http_store_make_tokens(struct http_store *http, const struct config_store *config)
{
    const struct client_credentials settings = {.token_url = config->oauth2_token_url,
                                                .client_id = config->oauth2_client_id,
                                                .client_secret = http->client_secret.text,
                                                .scope = config->oauth2_scope,
                                                .audience = config->oauth2_audience};

    if (config->oauth2_token_url == NULL)
        return 0;
    http->token_origin = http_store_make_origin(http, config, true);
    if (http->token_origin == NULL)
        return -ENOMEM;
    http->grant = client_credentials_grant_new(http->token_origin, &settings);
    http->tokens = token_source_new(http->http, http->grant, NULL);
    return http->tokens == NULL ? -ENOMEM : 0;
}

static int http_store_connect(struct http_store *http, const struct config_store *config)
{
    http->origin = http_store_make_origin(http, config, false);
    http->headers = calloc(config->headers.count + HTTP_STORE_OWN_HEADERS, sizeof(*http->headers));
    if (http->origin == NULL || http->headers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < config->headers.count; i++)
        http->headers[http->header_count++] = config->headers.items[i];
    return http_store_make_tokens(http, config);
}

void http_store_free(struct http_store *http)
{
    token_source_free(&http->tokens);
    http_origin_free(&http->token_origin);
    http_origin_free(&http->origin);
    credential_close(&http->password);
    credential_close(&http->bearer);
    credential_close(&http->proxy_password);
    credential_close(&http->client_secret);
    free(http->headers);
    free(http);
}

struct http_store *http_store_make(const struct config_store *config,
                                   const struct store_context *context, char ret_error[512])
{
    struct http_store *http = calloc(1, sizeof(*http));
    int result = -ENOMEM;

    snprintf(ret_error, 512, "out of memory");
    if (http == NULL)
        return NULL;
    http->http = context->http;
    http->loop = context->loop;
    list_init(&http->attempts);
    meter_init(&http->meter, context->metrics, config->name, true);
    result = http_store_check(config, ret_error);
    if (result == 0)
        result = http_store_open_secrets(http, config, ret_error);
    if (result == 0)
        result = http_store_connect(http, config);
    if (result == 0)
        return http;
    http_store_free(http);
    return NULL;
}

void http_store_refresh(struct http_store *http)
{
    int64_t now_ms = loop_now_ms(http->loop);

    (void)credential_refresh(&http->password, now_ms);
    (void)credential_refresh(&http->bearer, now_ms);
    if (credential_refresh(&http->client_secret, now_ms) && http->tokens != NULL) {
        client_credentials_set_secret(http->grant, http->client_secret.text);
        token_source_try_again(http->tokens);
    }
    if (credential_refresh(&http->proxy_password, now_ms)) {
        http_origin_set_proxy_password(http->origin, http->proxy_password.text);
        http_origin_set_proxy_password(http->token_origin, http->proxy_password.text);
    }
}
