/* What follows from a store's settings, for those who send to it and those who take messages for it. */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *config_store_type_text(enum config_store_type type)
{
    switch (type) {
    case CONFIG_STORE_DIRECTORY:
        return "directory";
    case CONFIG_STORE_HTTP:
        return "http";
    case CONFIG_STORE_GOOGLE:
        return "google";
    }
    return "?";
}

/* Labels have no character that JSON would want escaped: check_google.c. */
static void write_body_end(const struct config_store *store, FILE *out)
{
    fputs("\"", out);
    for (size_t i = 0; i < store->labels.count; i++) {
        const char *label = store->labels.items[i];
        int key = (int)strcspn(label, "=");
        fprintf(out, "%s\"%.*s\":\"%s\"", i == 0 ? ",\"labels\":{" : ",", key, label,
                label + key + (label[key] == '=' ? 1 : 0));
    }
    fputs(store->labels.count > 0 ? "}}}" : "}}", out);
}

char *config_google_body_end(const struct config_store *store)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out) {
        return NULL;
    }
    write_body_end(store, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

char *config_google_store_url(const struct config_store *store)
{
    size_t endpoint = strlen(store->endpoint);
    char *url = NULL;
    if (endpoint > 0 && store->endpoint[endpoint - 1] == '/') {
        endpoint--;
    }
    if (asprintf(&url, "%.*s/%s/projects/%s/locations/%s/datasets/%s/hl7V2Stores/%s", (int)endpoint,
                 store->endpoint, store->api_version, store->project, store->location,
                 store->dataset, store->store) < 0) {
        return NULL;
    }
    return url;
}

/* As write_body_end() writes them, without memory. */
static int64_t body_end_bytes(const struct config_store *store)
{
    int64_t bytes = (int64_t)strlen("\"}}");
    for (size_t i = 0; i < store->labels.count; i++) {
        bytes += (int64_t)strlen(store->labels.items[i]) + (int64_t)strlen("\"\":\"\"") - 1;
    }
    if (store->labels.count > 0) {
        bytes += (int64_t)strlen(",\"labels\":{}") + (int64_t)store->labels.count - 1;
    }
    return bytes;
}

int64_t config_store_maximum_message_bytes(const struct config_store *store)
{
    if (store->type != CONFIG_STORE_GOOGLE) {
        return 0;
    }
    int64_t around = (int64_t)strlen(CONFIG_GOOGLE_BODY_START) + body_end_bytes(store);
    return (store->maximum_request_bytes - around) / 4 * 3;
}

bool config_store_wants_utf8(const struct config_store *store)
{
    return store->type == CONFIG_STORE_GOOGLE;
}

struct config_demand config_listener_demand(const struct config *config,
                                            const struct config_listener *listener)
{
    struct config_demand demand = {.utf8 = false};
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        const struct config_store *store = route->to ? config_find_store(config, route->to) : NULL;
        if (!store || !route->from || !listener->name || strcmp(route->from, listener->name) != 0) {
            continue;
        }
        int64_t most = config_store_maximum_message_bytes(store);
        demand.utf8 = demand.utf8 || config_store_wants_utf8(store);
        if (most > 0 &&
            (demand.maximum_message_bytes == 0 || most < demand.maximum_message_bytes)) {
            demand.maximum_message_bytes = most;
        }
    }
    return demand;
}
