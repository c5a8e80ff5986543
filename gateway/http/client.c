/* Clients and origins; requests are in request.c, the loop's side in multi.c. */
#include "http/private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>

static void http_free_wiped(void *memory)
{
    if (memory != NULL)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

int http_global_init(void)
{
    const curl_version_info_data *version;
    const int wanted = CURL_VERSION_SSL | CURL_VERSION_HTTP2 | CURL_VERSION_ASYNCHDNS;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -ENOMEM;
    json_set_alloc_funcs(malloc, http_free_wiped);
    version = curl_version_info(CURLVERSION_NOW);
    if (version->version_num < 0x080e00 || (version->features & wanted) != wanted)
        return -ENOTSUP;
    return 0;
}

static bool http_url_has(CURLU *parsed, CURLUPart part)
{
    char *text = NULL;
    bool there = curl_url_get(parsed, part, &text, 0) == CURLUE_OK && text[0] != '\0';

    curl_free(text);
    return there;
}

int http_check_url(const char *url)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL;
    int result = -EINVAL;

    if (parsed == NULL)
        return -ENOMEM;
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        goto out;
    if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        goto out;
    /* A password in a URL ends up in logs and process lists. */
    if (http_url_has(parsed, CURLUPART_PASSWORD) || !http_url_has(parsed, CURLUPART_HOST))
        goto out;
    result = 0;
out:
    curl_free(scheme);
    curl_url_cleanup(parsed);
    return result;
}

static bool http_host_is_near(const char *host, bool link_local_allowed)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        uint32_t address = ntohl(v4.s_addr);

        return address >> 24 == 127 || (link_local_allowed && address >> 16 == 0xa9fe);
    }
    return strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
}

int http_check_secret_url(const char *url, bool link_local_allowed)
{
    int result = http_check_url(url);
    CURLU *parsed = result == 0 ? curl_url() : NULL;
    char *scheme = NULL, *host = NULL;

    if (result != 0)
        return result;
    if (parsed == NULL || curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        result = -ENOMEM;
    else if (strcmp(scheme, "https") != 0 && !http_host_is_near(host, link_local_allowed))
        result = -EPERM;
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parsed);
    return result;
}

struct http_client *http_client_new(struct loop *loop)
{
    struct http_client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        return NULL;
    client->loop = loop;
    list_init(&client->origins);
    return client;
}

struct loop *http_client_loop(const struct http_client *client)
{
    return client->loop;
}

static void http_origin_disconnect(struct http_origin *origin)
{
    LIST_FOREACH_SAFE(node, next, &origin->connections) {
        struct http_connections *connections = LIST_ENTRY(node, struct http_connections, node);

        http_connections_free(&connections);
    }
    origin->current = NULL;
}

void http_client_free(struct http_client **client)
{
    if (*client == NULL)
        return;
    LIST_FOREACH_SAFE(node, next, &(*client)->origins) {
        struct http_origin *origin = LIST_ENTRY(node, struct http_origin, node);

        http_origin_disconnect(origin);
        list_remove(&origin->node);
        origin->client = NULL;
    }
    free(*client);
    *client = NULL;
}

/* True when text was NULL or could be copied. */
static bool http_copy(const char *text, char **ret_copy)
{
    *ret_copy = text == NULL ? NULL : strdup(text);
    return text == NULL || *ret_copy != NULL;
}

static bool http_origin_copy(struct http_origin *origin, const struct http_origin_settings *from)
{
    origin->connect_timeout_ms = from->connect_timeout_ms;
    origin->maximum_connections = from->maximum_connections;
    /* All are tried, so that all are set when one fails. */
    return (int)http_copy(from->ca_file, &origin->ca_file) &
           (int)http_copy(from->certificate, &origin->certificate) &
           (int)http_copy(from->key, &origin->key) & (int)http_copy(from->pin, &origin->pin) &
           (int)http_copy(from->proxy, &origin->proxy) &
           (int)http_copy(from->proxy_username, &origin->proxy_username) &
           (int)http_copy(from->proxy_password, &origin->proxy_password);
}

struct http_origin *http_origin_new(struct http_client *client,
                                    const struct http_origin_settings *settings)
{
    struct http_origin *origin = calloc(1, sizeof(*origin));

    if (origin == NULL)
        return NULL;
    origin->client = client;
    list_init(&origin->connections);
    list_init(&origin->idle);
    list_append(&client->origins, &origin->node);
    if (!http_origin_copy(origin, settings))
        http_origin_free(&origin);
    return origin;
}

static void http_forget(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

static void http_origin_free_idle(struct http_origin *origin)
{
    LIST_FOREACH_SAFE(node, next, &origin->idle) {
        struct http_request *request = LIST_ENTRY(node, struct http_request, node);

        http_request_free(&request);
    }
    origin->idle_count = 0;
}

static void http_origin_free_settings(struct http_origin *origin)
{
    free(origin->ca_file);
    free(origin->certificate);
    free(origin->key);
    free(origin->pin);
    free(origin->proxy);
    free(origin->proxy_username);
    http_forget(&origin->proxy_password);
}

void http_origin_set_proxy_password(struct http_origin *origin, const char *password)
{
    char *copy = NULL;

    if (origin == NULL || !http_copy(password, &copy))
        return;
    http_forget(&origin->proxy_password);
    origin->proxy_password = copy;
    origin->version++;
    http_origin_free_idle(origin);
    origin->current = NULL;
    if (origin->dispatching == 0)
        http_connections_sweep(origin);
}

void http_origin_free(struct http_origin **origin)
{
    struct http_origin *old = *origin;

    if (old == NULL)
        return;
    *origin = NULL;
    if (old->dispatching > 0) {
        /* Our caller is an on_done: the requests end now, the rest when it has returned. */
        LIST_FOREACH_SAFE(node, next, &old->connections) {
            struct http_connections *each = LIST_ENTRY(node, struct http_connections, node);

            LIST_FOREACH_SAFE(inner, after, &each->requests)
                http_request_drop(LIST_ENTRY(inner, struct http_request, node));
        }
        old->dead = true;
        return;
    }
    http_origin_disconnect(old);
    http_origin_free_idle(old);
    list_remove(&old->node);
    http_origin_free_settings(old);
    free(old);
}
