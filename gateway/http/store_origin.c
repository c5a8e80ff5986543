#include "http/store_origin.h"

struct http_origin *store_origin_new(struct http_client *client, const struct config_store *config,
                                     const char *proxy_password, bool token)
{
    const struct http_origin_settings settings = {
        .ca_file = config->ca,
        .certificate = token ? NULL : config->certificate,
        .key = token ? NULL : config->key,
        .pin = token ? NULL : config->pin,
        .proxy = config->proxy,
        .proxy_username = config->proxy_username,
        .proxy_password = proxy_password,
        .connect_timeout_ms = config->connect_timeout_ms,
        .maximum_connections = token ? 1 : config->maximum_connections,
    };

    return http_origin_new(client, &settings);
}

struct http_origin *store_origin_direct_new(struct http_client *client,
                                            const struct config_store *config)
{
    const struct http_origin_settings settings = {.connect_timeout_ms = config->connect_timeout_ms,
                                                  .maximum_connections = 1};

    return http_origin_new(client, &settings);
}
