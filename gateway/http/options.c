/* What a libcurl handle keeps over all the requests that it makes for its origin. */
#include "http/private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* Debian's bundle; libcurl's own default besides would be a directory of the same roots. */
#define HTTP_SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"

/* Sent bytes that nobody confirms for so long: the path is dead. Without it a request on a
 * connection that a firewall forgot would wait for the kernel's quarter of an hour. */
#define HTTP_USER_TIMEOUT_MS 20000u

#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (curl_easy_setopt(request->easy, option, value) != CURLE_OK)                            \
            return -ENOMEM;                                                                        \
    } while (0)

static size_t http_on_body(char *data, size_t size, size_t count, void *context)
{
    struct http_request *request = context;
    int result = buffer_append(&request->answer, data, size * count);

    if (result == 0)
        return size * count;
    request->too_large = result == -EMSGSIZE;
    /* The beginning tells what kind of answer it is, also when the first piece is too large. */
    if (request->too_large && buffer_append(&request->answer, data,
                                            request->answer.maximum - request->answer.length) != 0)
        request->too_large = false;
    return CURL_WRITEFUNC_ERROR;
}

/* Called before each time that the request is written to a connection, libcurl's own repeats on a
 * new connection included: CURLINFO_REQUEST_SIZE would forget the earlier ones. */
static int http_on_sending(void *context, char *remote, char *local, int remote_port,
                           int local_port)
{
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    ((struct http_request *)context)->reached_sending = true;
    return CURL_PREREQFUNC_OK;
}

static int http_on_socket_made(void *context, curl_socket_t fd, curlsocktype purpose)
{
    const struct http_request *request = context;
    unsigned timeout_ms = HTTP_USER_TIMEOUT_MS;

    (void)purpose;
    http_connections_socket_made(request->connections, fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    return CURL_SOCKOPT_OK;
}

/* The connections, not the request: a socket outlives the request that it was made for. */
static int http_on_socket_closed(void *context, curl_socket_t fd)
{
    http_connections_socket_closed(context, fd);
    return close(fd);
}

static int http_apply_tls(struct http_request *request)
{
    const struct http_origin *origin = request->origin;
    const char *ca_file = origin->ca_file != NULL ? origin->ca_file : HTTP_SYSTEM_CA_FILE;

    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_CAINFO, ca_file);
    /* Debian's default is the system's directory of roots, which would be trusted besides. */
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_PROXY_CAINFO, ca_file);
    SET(CURLOPT_PROXY_CAPATH, NULL);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* How long a changed CA file may go unseen by new connections. */
    SET(CURLOPT_CA_CACHE_TIMEOUT, 300L);
    SET(CURLOPT_PINNEDPUBLICKEY, origin->pin);
    SET(CURLOPT_SSLCERT, origin->certificate);
    SET(CURLOPT_SSLKEY, origin->key);
    /* An encrypted key fails instead of asking on the terminal. */
    SET(CURLOPT_KEYPASSWD, "");
    return 0;
}

static int http_apply_proxy(struct http_request *request)
{
    const struct http_origin *origin = request->origin;

    /* "" rather than NULL: the environment's proxies and exceptions don't count. */
    SET(CURLOPT_PROXY, origin->proxy != NULL ? origin->proxy : "");
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
    SET(CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
    SET(CURLOPT_PROXYUSERNAME, origin->proxy_username);
    SET(CURLOPT_PROXYPASSWORD, origin->proxy_password);
    return 0;
}

static int http_apply_callbacks(struct http_request *request)
{
    SET(CURLOPT_PRIVATE, request);
    SET(CURLOPT_ERRORBUFFER, request->error);
    SET(CURLOPT_WRITEFUNCTION, http_on_body);
    SET(CURLOPT_WRITEDATA, request);
    SET(CURLOPT_PREREQFUNCTION, http_on_sending);
    SET(CURLOPT_PREREQDATA, request);
    SET(CURLOPT_SOCKOPTFUNCTION, http_on_socket_made);
    SET(CURLOPT_SOCKOPTDATA, request);
    SET(CURLOPT_CLOSESOCKETFUNCTION, http_on_socket_closed);
    return 0;
}

int http_options_apply(struct http_request *request)
{
    int result;

    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    /* Wait for the connection that is being made rather than open one for each request. */
    SET(CURLOPT_PIPEWAIT, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)request->origin->connect_timeout_ms);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_KEEPIDLE, 30L);
    SET(CURLOPT_TCP_KEEPINTVL, 10L);
    /* Otherwise a cancelled request would wait here for its name look-up to end. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    result = http_apply_callbacks(request);
    if (result == 0)
        result = http_apply_tls(request);
    if (result == 0)
        result = http_apply_proxy(request);
    return result;
}
