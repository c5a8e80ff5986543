#include "admin/web.h"

#include "admin/page.h"
#include "admin/reply.h"
#include "admin/web_socket.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WEB_SWEEP_MS 1000
#define WEB_RUNS 16 /* turns of MHD_run() before other work of the loop gets its turn */
#define WEB_PAGE_MAXIMUM ((size_t)16 << 20)
#define WEB_WHY_BYTES 4096

struct web {
    const struct admin_gateway *gateway;
    struct loop *loop;
    struct MHD_Daemon *daemon;
    int fd, port; /* fd is MHD's once the daemon runs */
    struct loop_watch watch;
    struct timer timer;
    struct list_node connections;
    struct list_node waiting; /* requests whose answer somebody else makes */
    bool ended;
};

/* One TCP connection: how long has it kept us waiting? */
struct web_connection {
    struct list_node node;
    int fd;
    int64_t since_ms;
};

struct web_request {
    struct list_node node;
    struct web *web;
    struct MHD_Connection *connection;
    json_t *status; /* the answer has come */
    bool failed, waits;
};

/* ---- answers ---- */

static void web_headers(struct MHD_Response *response, const char *type)
{
    static const char *const headers[][2] = {
        {"Cache-Control", "no-store"},
        {"Content-Security-Policy",
         "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
         "form-action 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
    };

    MHD_add_response_header(response, "Content-Type", type);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

static enum MHD_Result web_queue(struct MHD_Connection *connection, unsigned status,
                                 const char *type, struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    web_headers(response, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result web_answer(struct MHD_Connection *connection, unsigned status,
                                  const char *type, const char *text)
{
    return web_queue(connection, status, type,
                     MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                     MHD_RESPMEM_MUST_COPY));
}

static enum MHD_Result web_answer_plain(struct MHD_Connection *connection, unsigned status,
                                        const char *text)
{
    return web_answer(connection, status, "text/plain; charset=utf-8", text);
}

/* Takes the buffer's memory over. */
static enum MHD_Result web_answer_buffer(struct MHD_Connection *connection, const char *type,
                                         struct buffer *text)
{
    size_t length = 0;
    char *data = buffer_take(text, &length);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, data, MHD_RESPMEM_MUST_FREE);

    if (response == NULL)
        free(data);
    return web_queue(connection, MHD_HTTP_OK, type, response);
}

static enum MHD_Result web_metrics(struct web *web, struct MHD_Connection *connection)
{
    struct buffer text;

    buffer_init(&text, WEB_PAGE_MAXIMUM);
    if (metrics_render(web->gateway->metrics, &text) < 0) {
        buffer_free(&text);
        return web_answer_plain(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    }
    return web_answer_buffer(connection, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static bool web_is_ready(const struct web *web, char ret_why[WEB_WHY_BYTES])
{
    ret_why[0] = '\0';
    if (web->gateway->ready(web->gateway->context, ret_why, WEB_WHY_BYTES)) {
        ret_why[0] = '\0';
        return true;
    }
    return false;
}

static enum MHD_Result web_ready(const struct web *web, struct MHD_Connection *connection)
{
    char why[WEB_WHY_BYTES], text[WEB_WHY_BYTES + 2];

    if (web_is_ready(web, why))
        return web_answer_plain(connection, MHD_HTTP_OK, "ready\n");
    snprintf(text, sizeof text, "%s\n", why[0] != '\0' ? why : "not ready");
    return web_answer_plain(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

/* ---- the status page: its answer is made by others ---- */

static void web_run(struct web *web);

static void web_on_status(struct admin_reply *reply)
{
    struct web_request *request = reply->context;
    struct web *web = request->web;

    request->status = json_incref(reply->result);
    request->failed = reply->result == NULL;
    request->waits = false;
    list_remove(&request->node);
    admin_reply_free(reply);
    MHD_resume_connection(request->connection);
    web_run(web);
}

static enum MHD_Result web_page(struct web_request *request)
{
    const struct admin_gateway *gateway = request->web->gateway;
    char why[WEB_WHY_BYTES];
    struct buffer text;

    if (request->failed)
        return web_answer_plain(request->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                                "the status is not available\n");
    if (!web_is_ready(request->web, why) && why[0] == '\0')
        snprintf(why, sizeof why, "not ready");
    buffer_init(&text, WEB_PAGE_MAXIMUM);
    if (page_render(&text, gateway->name, gateway->version, why, request->status) < 0) {
        buffer_free(&text);
        return web_answer_plain(request->connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                                "out of memory\n");
    }
    return web_answer_buffer(request->connection, "text/html; charset=utf-8", &text);
}

static enum MHD_Result web_ask_status(struct web_request *request)
{
    const struct admin_gateway *gateway = request->web->gateway;

    if (request->web->ended)
        return web_answer_plain(request->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                                "the gateway is ending\n");
    struct admin_reply *reply = admin_reply_new(request->web->loop, web_on_status, request);
    if (reply == NULL)
        return MHD_NO;
    request->waits = true;
    list_append(&request->web->waiting, &request->node);
    MHD_suspend_connection(request->connection);
    gateway->status(gateway->context, reply);
    return MHD_YES;
}

/* ---- requests ---- */

static enum MHD_Result web_route(struct web_request *request, const char *path)
{
    struct MHD_Connection *connection = request->connection;

    if (strcmp(path, "/metrics") == 0)
        return web_metrics(request->web, connection);
    if (strcmp(path, "/livez") == 0)
        return web_answer_plain(connection, MHD_HTTP_OK, "alive\n");
    if (strcmp(path, "/readyz") == 0)
        return web_ready(request->web, connection);
    if (strcmp(path, "/style.css") == 0)
        return web_answer(connection, MHD_HTTP_OK, "text/css; charset=utf-8", page_style);
    if (strcmp(path, "/") != 0)
        return web_answer_plain(connection, MHD_HTTP_NOT_FOUND, "not found\n");
    if (request->status == NULL && !request->failed)
        return web_ask_status(request);
    return web_page(request);
}

static enum MHD_Result web_handle(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **request_context)
{
    struct web_request *request = *request_context;

    (void)version;
    (void)upload;
    if (request == NULL) { /* only the header is there yet */
        if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
            return web_answer_plain(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        request = calloc(1, sizeof *request);
        if (request == NULL)
            return MHD_NO;
        request->web = context;
        request->connection = connection;
        list_init(&request->node);
        *request_context = request;
        return MHD_YES;
    }
    if (*upload_size != 0) {
        *upload_size = 0; /* a body that nobody asked for */
        return MHD_YES;
    }
    if (request->waits)
        return MHD_YES;
    return web_route(request, path);
}

static void web_on_completed(void *context, struct MHD_Connection *connection,
                             void **request_context, enum MHD_RequestTerminationCode code)
{
    struct web_request *request = *request_context;
    struct web *web = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct web_connection *timed = info == NULL ? NULL : info->socket_context;

    (void)code;
    if (timed != NULL)
        timed->since_ms = loop_now_ms(web->loop);
    if (request == NULL)
        return;
    json_decref(request->status);
    list_remove(&request->node);
    free(request);
    *request_context = NULL;
}

static void web_on_connection(void *context, struct MHD_Connection *connection,
                              void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    struct web *web = context;
    struct web_connection *timed = *socket_context;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (timed != NULL)
            list_remove(&timed->node);
        free(timed);
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    timed = calloc(1, sizeof *timed);
    if (timed == NULL || info == NULL) {
        free(timed);
        return; /* MHD's own time-out is left */
    }
    timed->fd = info->connect_fd;
    timed->since_ms = loop_now_ms(web->loop);
    list_append(&web->connections, &timed->node);
    *socket_context = timed;
}

/* ---- running it ---- */

static void web_rearm(struct web *web, int64_t delay_ms)
{
    /* The timer is in the heap since web_start(): moving it cannot fail. */
    (void)!timers_start(loop_timers(web->loop), &web->timer, loop_now_ms(web->loop) + delay_ms);
}

static void web_run(struct web *web)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    int runs = 0;

    do
        MHD_run(web->daemon);
    while (++runs < WEB_RUNS && MHD_get_timeout(web->daemon, &wait_ms) == MHD_YES && wait_ms == 0);
    if (runs == WEB_RUNS)
        web_rearm(web, 0);
}

static void web_on_ready(void *context, int events)
{
    (void)events;
    web_run(context);
}

/* libmicrohttpd's time-out starts anew with every byte; this one does not. */
static void web_cut_slow(struct web *web)
{
    int64_t oldest_ms = loop_now_ms(web->loop) - WEB_REQUEST_MS;

    LIST_FOREACH_SAFE(node, next, &web->connections) {
        struct web_connection *timed = LIST_ENTRY(node, struct web_connection, node);
        if (timed->since_ms < oldest_ms)
            shutdown(timed->fd, SHUT_RDWR);
    }
}

static void web_on_timer(struct timer *timer)
{
    struct web *web = LIST_ENTRY(timer, struct web, timer);

    web_rearm(web, WEB_SWEEP_MS);
    web_cut_slow(web);
    web_run(web);
}

/* What libmicrohttpd has to say is about broken clients: metrics and logs are ours. */
static void web_no_log(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

static struct MHD_Daemon *web_daemon(struct web *web)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
                            NULL, web_handle, web, MHD_OPTION_EXTERNAL_LOGGER, web_no_log, NULL,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_LISTEN_SOCKET, web->fd,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)WEB_CONNECTIONS,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)WEB_CONNECTION_BYTES,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(WEB_REQUEST_MS / 1000),
                            MHD_OPTION_NOTIFY_COMPLETED, web_on_completed, web,
                            MHD_OPTION_NOTIFY_CONNECTION, web_on_connection, web, MHD_OPTION_END);
}

struct web *web_new(const struct admin_gateway *gateway, struct loop *loop, const char *address,
                    char ret_error[512])
{
    struct web *web = calloc(1, sizeof *web);

    if (web == NULL) {
        snprintf(ret_error, 512, "out of memory");
        return NULL;
    }
    web->gateway = gateway;
    web->loop = loop;
    web->timer.fire = web_on_timer;
    list_init(&web->connections);
    list_init(&web->waiting);
    if (web_socket_open(address, &web->fd, &web->port, ret_error) < 0) {
        free(web);
        return NULL;
    }
    web->daemon = web_daemon(web);
    if (web->daemon == NULL) {
        snprintf(ret_error, 512, "admin.address %s: the HTTP server did not start", address);
        close(web->fd);
        free(web);
        return NULL;
    }
    return web;
}

int web_start(struct web *web)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    if (info == NULL)
        return -ENOTSUP;
    int result =
        timers_start(loop_timers(web->loop), &web->timer, loop_now_ms(web->loop) + WEB_SWEEP_MS);
    if (result < 0)
        return result;
    return loop_watch_start(web->loop, &web->watch, info->epoll_fd, UV_READABLE, web_on_ready, web);
}

int web_port(const struct web *web)
{
    return web->port;
}

void web_end(struct web *web)
{
    web->ended = true;
}

void web_free(struct web **web)
{
    struct web *old = *web;

    if (old == NULL)
        return;
    web_end(old);
    loop_watch_stop(&old->watch);
    timers_stop(loop_timers(old->loop), &old->timer);
    /* Nobody answers these any more, and MHD can't be stopped while they are suspended. */
    LIST_FOREACH_SAFE(node, next, &old->waiting) {
        struct web_request *request = LIST_ENTRY(node, struct web_request, node);
        request->failed = true;
        request->waits = false;
        list_remove(&request->node);
        MHD_resume_connection(request->connection);
    }
    MHD_run(old->daemon);
    MHD_stop_daemon(old->daemon);
    free(old);
    *web = NULL;
}
