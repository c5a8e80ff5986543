/* Accepting: address and limits first, before anything is allocated for a connection. */
#include "ingress/accept.h"
#include "ingress/worker_private.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS_IN_A_GO 16 /* then established connections get their turn */

static void add_connection(struct worker *worker, struct worker_listener *listener, int fd,
                           const struct sockaddr *source, const struct sockaddr *local)
{
    struct served *served = calloc(1, sizeof(*served));
    uint64_t id = worker->last_id + worker->settings.count;
    struct served **bucket;

    if (served != NULL) {
        served->connection =
            connection_new(&worker->world, id, (unsigned)listener->index, fd, source, local);
    } else {
        close(fd);
    }
    if (served == NULL || served->connection == NULL) {
        uint8_t key[16];
        address_key(source, key);
        limits_leave_address(worker->settings.limits, listener->name, key);
        free(served);
        return;
    }
    worker->last_id = id;
    bucket = &worker->buckets[(id / worker->settings.count) & (WORKER_BUCKETS - 1)];
    served->next = *bucket;
    *bucket = served;
    worker->connections++;
    connection_start(served->connection);
}

static void refuse_at_once(struct worker *worker, const struct worker_listener *listener,
                           const struct sockaddr *source, enum reason reason)
{
    char address[INET6_ADDRSTRLEN];

    address_text(source, address);
    LOG_EVENT(LOG_LEVEL_AUDIT, "connection-refused", LOG_STRING("listener", listener->name),
              LOG_STRING("address", address), LOG_STRING("reason", reason_code(reason)),
              LOG_STRING("words", reason_words(reason)));
    statistics_connection_refused(&worker->statistics, listener->name, reason);
}

/* Before anything is allocated: address and limits. */
static enum reason precheck(struct worker *worker, const struct worker_listener *listener,
                            const struct sockaddr *source, const struct sockaddr *local)
{
    const struct snapshot *snapshot = worker->world.snapshot;
    const struct config_listener *config = snapshot->listeners[listener->index].config;
    unsigned index = (unsigned)listener->index;
    const struct admission_query query = {
        .listener = index,
        .source = source,
        .local = local,
        .now_ms = clock_monotonic_ms(worker->world.clock),
        .heard_ms = worker->world.heard_ms,
    };
    enum reason reason = REASON_NONE;
    uint8_t key[16];

    switch (admission_proxy(snapshot->rules, index, source)) {
    case ADMISSION_PROXY_REFUSED:
        return REASON_PROXY_NOT_ALLOWED;
    case ADMISSION_PROXY_NONE:
        reason = admission_by_address(snapshot->rules, &query);
        break;
    case ADMISSION_PROXY_EXPECTED:
        break;
    }
    if (reason != REASON_NONE) {
        return reason;
    }
    address_key(source, key);
    return limits_enter_address(worker->settings.limits, config->name, config->maximum_connections,
                                key, config->maximum_connections_per_address);
}

static void accepted(struct worker *worker, struct worker_listener *listener, int fd,
                     const struct sockaddr *source)
{
    struct sockaddr_storage local = {0}; /* where it can't be found out: of no family */
    socklen_t size = sizeof(local);
    enum reason reason;

    if (listener->index < 0 || worker->world.draining) {
        close(fd);
        return;
    }
    (void)!getsockname(fd, (struct sockaddr *)&local, &size);
    reason = precheck(worker, listener, source, (const struct sockaddr *)&local);
    if (reason != REASON_NONE) {
        refuse_at_once(worker, listener, source, reason);
        close(fd);
        return;
    }
    accept_prepare(fd, worker->world.snapshot->listeners[listener->index].config);
    add_connection(worker, listener, fd, source, (const struct sockaddr *)&local);
}

/* Out of descriptors: the socket stays readable and would spin; look again in a moment. */
static void pause_accepting(struct worker_listener *listener, int error)
{
    LOG_EVENT(LOG_LEVEL_ERROR, "accept-failed", LOG_STRING("listener", listener->name),
              LOG_STRING("error", strerror(error)));
    loop_watch_set(&listener->watch, 0);
    if (timers_start(loop_timers(listener->worker->loop), &listener->retry,
                     loop_now_ms(listener->worker->loop) + 100) != 0) {
        loop_watch_set(&listener->watch, UV_READABLE);
    }
}

void worker_accept_again(struct timer *timer)
{
    struct worker_listener *listener = LIST_ENTRY(timer, struct worker_listener, retry);

    if (listener->watched) {
        loop_watch_set(&listener->watch, UV_READABLE);
    }
}

static void on_acceptable(void *context, int events)
{
    struct worker_listener *listener = context;

    (void)events;
    for (int i = 0; i < ACCEPTS_IN_A_GO && listener->watched; i++) {
        struct sockaddr_storage source;
        socklen_t size = sizeof(source);
        int fd =
            accept4(listener->fd, (struct sockaddr *)&source, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(listener->worker, listener, fd, (const struct sockaddr *)&source);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(listener, errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* ECONNABORTED and the like concern that connection alone */
    }
}

void worker_stop_accepting(struct worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        struct worker_listener *listener = &worker->listeners[i];
        timers_stop(loop_timers(worker->loop), &listener->retry);
        if (listener->watched) {
            loop_watch_stop(&listener->watch);
            listener->watched = false;
        }
        if (listener->fd >= 0) {
            close(listener->fd);
            listener->fd = -1;
        }
    }
}

void worker_start_accepting(struct worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        struct worker_listener *listener = &worker->listeners[i];
        listener->watched = loop_watch_start(worker->loop, &listener->watch, listener->fd,
                                             UV_READABLE, on_acceptable, listener) == 0;
        if (!listener->watched) {
            LOG_EVENT(LOG_LEVEL_ERROR, "listen-failed", LOG_STRING("listener", listener->name));
        }
    }
}
