/* What a store behind HTTPS needs, from its configuration. */
#include "egress/https.h"
#include "http/store_origin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int https_check_file(const char *what, const char *path, char ret_error[512])
{
    if (path == NULL || access(path, R_OK) == 0)
        return 0;
    snprintf(ret_error, 512, "%s %s cannot be read: %s", what, path, strerrordesc_np(errno));
    return -EINVAL;
}

static int https_check_header(const char *header, char ret_error[512])
{
    size_t name = strcspn(header, ": \t");

    if (name > 0 && header[name] == ':' && header[strcspn(header, "\r\n")] == '\0')
        return 0;
    snprintf(ret_error, 512, "a header of headers is not of the form \"Name: value\"");
    return -EINVAL;
}

static int https_check(const struct config_store *config, char ret_error[512])
{
    for (size_t i = 0; i < config->headers.count; i++) {
        if (https_check_header(config->headers.items[i], ret_error) != 0)
            return -EINVAL;
    }
    if (https_check_file("ca", config->ca, ret_error) != 0 ||
        https_check_file("certificate", config->certificate, ret_error) != 0 ||
        https_check_file("key", config->key, ret_error) != 0)
        return -EINVAL;
    return 0;
}

int https_open_token_origin(struct https_store *https, const struct config_store *config)
{
    https->token_origin = store_origin_new(https->http, config, https->proxy_password.text, true);
    return https->token_origin == NULL ? -ENOMEM : 0;
}

static int https_connect(struct https_store *https, const struct config_store *config)
{
    /* Authorization and the NULL at the end besides the kind's. */
    size_t own = https->kind->headers + 2;

    https->origin = store_origin_new(https->http, config, https->proxy_password.text, false);
    https->headers = calloc(config->headers.count + own, sizeof(*https->headers));
    if (https->origin == NULL || https->headers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < config->headers.count; i++)
        https->headers[https->header_count++] = config->headers.items[i];
    return 0;
}

int https_open(struct https_store *https, const struct https_kind *kind,
               const struct config_store *config, const struct store_context *context,
               char ret_error[512])
{
    https->store.operations = &https_operations;
    https->kind = kind;
    https->http = context->http;
    https->loop = context->loop;
    list_init(&https->attempts);
    meter_init(&https->meter, context->metrics, config->name, true);
    if (https_check(config, ret_error) != 0 ||
        credential_open(&https->proxy_password, config->proxy_password_file, ret_error) != 0)
        return -EINVAL;
    snprintf(ret_error, 512, "out of memory");
    return https_connect(https, config);
}

void https_close(struct https_store *https)
{
    token_source_free(&https->tokens);
    http_origin_free(&https->token_origin);
    http_origin_free(&https->origin);
    credential_close(&https->proxy_password);
    free(https->headers);
    https->headers = NULL;
}

void https_refresh(struct https_store *https, bool now)
{
    https->kind->refresh(https, now);
    if (credential_refresh(&https->proxy_password, loop_now_ms(https->loop))) {
        http_origin_set_proxy_password(https->origin, https->proxy_password.text);
        http_origin_set_proxy_password(https->token_origin, https->proxy_password.text);
    }
}
