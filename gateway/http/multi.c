/* libcurl's multi_socket interface on the loop. */
#include "http/private.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

struct http_socket {
    struct list_node node;
    struct http_connections *connections;
    struct loop_watch watch;
    curl_socket_t fd;
};

/* The timer stays in the heap for good, so that moving it can't fail. */
#define HTTP_NEVER_MS (INT64_MAX / 2)

/* libcurl's sockets, also those that no request is on just now. */
void http_connections_socket_made(struct http_connections *connections, curl_socket_t fd)
{
    if (connections->made_count < HTTP_CORKED_MAXIMUM)
        connections->made[connections->made_count++] = fd;
}

void http_connections_socket_closed(struct http_connections *connections, curl_socket_t fd)
{
    for (size_t i = 0; i < connections->made_count; i++) {
        if (connections->made[i] == fd) {
            connections->made[i] = connections->made[--connections->made_count];
            return;
        }
    }
}

static void http_connections_cork(const struct http_connections *connections, int corked)
{
    for (size_t i = 0; i < connections->made_count; i++)
        (void)setsockopt(connections->made[i], IPPROTO_TCP, TCP_CORK, &corked, sizeof(corked));
}

/* One call into libcurl. It writes each request with a send() of its own; corked, all requests of a
 * call leave in one go, which saves most of what sending costs, here and at the server. */
static void http_connections_act(struct http_connections *connections, curl_socket_t fd, int bits)
{
    int running;

    http_connections_cork(connections, 1);
    (void)curl_multi_socket_action(connections->multi, fd, bits, &running);
    if (connections->broken) {
        connections->broken = false;
        (void)curl_multi_perform(connections->multi, &running);
    }
    http_connections_cork(connections, 0);
}

static void http_connections_dispatch(struct http_connections *connections)
{
    struct http_origin *origin = connections->origin;
    CURLMsg *message;
    int left;

    origin->dispatching++;
    while (!origin->dead && (message = curl_multi_info_read(connections->multi, &left)) != NULL) {
        struct http_request *request = NULL;
        CURLcode code = message->data.result; /* gone once the handle is removed */

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        http_request_finish(request, code);
    }
    origin->dispatching--;
    if (origin->dead)
        http_origin_free(&origin);
    else
        http_connections_sweep(origin);
}

void http_connections_sweep(struct http_origin *origin)
{
    LIST_FOREACH_SAFE(node, next, &origin->connections) {
        struct http_connections *each = LIST_ENTRY(node, struct http_connections, node);

        if (each != origin->current && list_empty(&each->requests))
            http_connections_free(&each);
    }
}

static void http_on_ready(void *context, int events)
{
    const struct http_socket *ready = context;
    struct http_connections *connections = ready->connections;
    int bits = ((events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);

    /* libcurl may drop the socket here, and ready with it. */
    http_connections_act(connections, ready->fd, bits);
    http_connections_dispatch(connections);
}

static void http_on_timer(struct timer *timer)
{
    struct http_connections *connections = LIST_ENTRY(timer, struct http_connections, timer);

    /* Back into the heap before libcurl asks for a new time. */
    if (timers_start(loop_timers(connections->origin->client->loop), timer, HTTP_NEVER_MS) != 0)
        abort(); /* the slot that it just left is free */
    http_connections_act(connections, CURL_SOCKET_TIMEOUT, 0);
    http_connections_dispatch(connections);
}

static int http_set_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct http_connections *connections = context;
    struct loop *loop = connections->origin->client->loop;
    int64_t due_ms = timeout_ms < 0 ? HTTP_NEVER_MS : loop_now_ms(loop) + timeout_ms;

    (void)multi;
    return timers_start(loop_timers(loop), &connections->timer, due_ms) == 0 ? 0 : -1;
}

static void http_socket_free(struct http_socket *old)
{
    loop_watch_stop(&old->watch);
    list_remove(&old->node);
    free(old);
}

/* The socket callback's -1 makes libcurl give up every transfer of the multi; but it only does so when
 * it runs them, and it asks for no timer any more. */
static int http_connections_break(struct http_connections *connections)
{
    struct loop *loop = connections->origin->client->loop;

    connections->broken = true;
    if (timers_start(loop_timers(loop), &connections->timer, loop_now_ms(loop)) != 0)
        abort(); /* it is in the heap already */
    return -1;
}

static int http_socket_new(struct http_connections *connections, curl_socket_t fd, int events)
{
    struct http_socket *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return http_connections_break(connections);
    made->connections = connections;
    made->fd = fd;
    list_append(&connections->sockets, &made->node);
    if (loop_watch_start(connections->origin->client->loop, &made->watch, fd, events, http_on_ready,
                         made) != 0) {
        list_remove(&made->node);
        free(made);
        return http_connections_break(connections);
    }
    curl_multi_assign(connections->multi, fd, made);
    return 0;
}

static int http_set_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *watched)
{
    struct http_socket *known = watched;
    int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                 ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (known != NULL)
            http_socket_free(known);
        return 0;
    }
    if (known == NULL)
        return http_socket_new(context, fd, events);
    loop_watch_set(&known->watch, events);
    return 0;
}

struct http_connections *http_connections_new(struct http_origin *origin)
{
    struct http_connections *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return NULL;
    made->origin = origin;
    list_init(&made->node);
    list_init(&made->sockets);
    list_init(&made->requests);
    made->timer.fire = http_on_timer;
    made->multi = curl_multi_init();
    if (made->multi == NULL ||
        timers_start(loop_timers(origin->client->loop), &made->timer, HTTP_NEVER_MS) != 0) {
        http_connections_free(&made);
        return NULL;
    }
    curl_multi_setopt(made->multi, CURLMOPT_SOCKETFUNCTION, http_set_socket);
    curl_multi_setopt(made->multi, CURLMOPT_SOCKETDATA, made);
    curl_multi_setopt(made->multi, CURLMOPT_TIMERFUNCTION, http_set_timer);
    curl_multi_setopt(made->multi, CURLMOPT_TIMERDATA, made);
    curl_multi_setopt(made->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(made->multi, CURLMOPT_MAX_HOST_CONNECTIONS, origin->maximum_connections);
    list_append(&origin->connections, &made->node);
    return made;
}

/* There are no requests left, or they are dropped. */
void http_connections_free(struct http_connections **connections)
{
    struct http_connections *old = *connections;

    if (old == NULL)
        return;
    LIST_FOREACH_SAFE(node, next, &old->requests)
        http_request_drop(LIST_ENTRY(node, struct http_request, node));
    if (old->multi != NULL)
        curl_multi_cleanup(old->multi);
    LIST_FOREACH_SAFE(node, next, &old->sockets)
        http_socket_free(LIST_ENTRY(node, struct http_socket, node));
    if (old->origin->client != NULL)
        timers_stop(loop_timers(old->origin->client->loop), &old->timer);
    list_remove(&old->node);
    free(old);
    *connections = NULL;
}
