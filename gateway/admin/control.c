#include "admin/control.h"

#include "admin/control_request.h"
#include "admin/control_socket.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTROL_OUT_MAXIMUM ((size_t)1 << 30)
#define CONTROL_OUT_ENOUGH 262144 /* bytes that wait for the client before more is made */
#define CONTROL_READ_BYTES 4096

enum control_state {
    CONTROL_IDLE,     /* waits for a line */
    CONTROL_DISPATCH, /* the command's function is being called */
    CONTROL_BUSY,     /* a command is under way: nothing is read */
    CONTROL_LAST,     /* no more is read: closed when everything is written */
};

struct control_client {
    struct list_node node;
    struct deferred deferred;
    struct control *control;
    uint64_t id;
    int fd;
    struct loop_watch watch;
    struct timer deadline;
    struct control_caller caller;
    enum control_state state;
    struct buffer in, out;
    size_t out_at; /* bytes of out that are written */
    struct control_request *request;
};

struct control {
    const struct admin_gateway *gateway;
    struct loop *loop;
    int fd;
    char *path;
    struct stat status;
    gid_t operator_gid;
    int64_t idle_ms;
    int (*identify)(int fd, gid_t operator_gid, struct control_caller *ret_caller);
    struct loop_watch watch;
    struct list_node clients;
    unsigned client_count;
    uint64_t last_id;
    bool ended;
};

static void client_write(struct control_client *client);
static void client_next(struct control_client *client);

/* ---- clients ---- */

static struct control_client *control_find(const struct control *control, uint64_t id)
{
    for (struct list_node *node = control->clients.next; node != &control->clients;
         node = node->next) {
        struct control_client *client = LIST_ENTRY(node, struct control_client, node);
        if (client->id == id)
            return client;
    }
    return NULL;
}

static void client_free(struct deferred *deferred)
{
    struct control_client *client = LIST_ENTRY(deferred, struct control_client, deferred);

    buffer_free(&client->in);
    buffer_free(&client->out);
    free(client);
}

static void client_close(struct control_client *client)
{
    struct control_request *request = client->request;

    loop_watch_stop(&client->watch);
    timers_stop(loop_timers(client->control->loop), &client->deadline);
    close(client->fd);
    client->fd = -1;
    list_remove(&client->node);
    client->control->client_count--;
    client->request = NULL;
    client->deferred.run = client_free;
    loop_defer(client->control->loop, &client->deferred);
    if (request != NULL && request->drained != NULL) {
        void (*drained)(struct control_request *) = request->drained;
        request->drained = NULL;
        drained(request); /* finds its client gone */
    }
}

static size_t client_pending(const struct control_client *client)
{
    return client->out.length - client->out_at;
}

/* While a command is under way and nothing is to be written only the command can move us on. */
static void client_watch(struct control_client *client)
{
    struct timers *timers = loop_timers(client->control->loop);
    bool waits_for_client = client->state == CONTROL_IDLE || client_pending(client) > 0;
    int events = (client->state == CONTROL_IDLE ? UV_READABLE : 0) |
                 (client_pending(client) > 0 ? UV_WRITABLE : 0);

    loop_watch_set(&client->watch, events);
    if (!waits_for_client)
        timers_stop(timers, &client->deadline);
    else if (!timer_is_running(&client->deadline))
        /* Without memory for a timer it has no deadline: it holds one of few places, no more. */
        (void)!timers_start(timers, &client->deadline,
                            loop_now_ms(client->control->loop) + client->control->idle_ms);
}

static void client_progress(struct control_client *client)
{
    timers_stop(loop_timers(client->control->loop), &client->deadline);
}

static void client_on_deadline(struct timer *timer)
{
    client_close(LIST_ENTRY(timer, struct control_client, deadline));
}

/* ---- out ---- */

/* Appends a line; takes it over. A client for which there is no memory is cut off. */
static void client_append(struct control_client *client, json_t *line)
{
    char *text = line == NULL ? NULL : json_dumps(line, JSON_COMPACT);

    json_decref(line);
    if (text == NULL || buffer_append_string(&client->out, text) < 0 ||
        buffer_append_byte(&client->out, '\n') < 0) {
        buffer_clear(&client->out);
        client->out_at = 0;
        client->state = CONTROL_LAST;
    }
    free(text);
}

static int client_flush(struct control_client *client)
{
    while (client_pending(client) > 0) {
        ssize_t written = send(client->fd, client->out.data + client->out_at,
                               client_pending(client), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno == EAGAIN ? 0 : -errno;
        client->out_at += (size_t)written;
        client_progress(client);
    }
    buffer_free(&client->out);
    client->out_at = 0;
    return 0;
}

static void client_write(struct control_client *client)
{
    if (client_flush(client) < 0 ||
        (client->state == CONTROL_LAST && client_pending(client) == 0)) {
        client_close(client);
        return;
    }
    struct control_request *request = client->request;
    client_watch(client);
    if (request != NULL && request->drained != NULL &&
        client_pending(client) < CONTROL_OUT_ENOUGH) {
        void (*drained)(struct control_request *) = request->drained;
        request->drained = NULL;
        drained(request);
    }
}

/* ---- what commands call ---- */

bool control_has_ended(const struct control_request *request)
{
    return request->control->ended;
}

bool control_client_gone(const struct control_request *request)
{
    return control_find(request->control, request->client) == NULL;
}

void control_send(struct control_request *request, json_t *line)
{
    struct control_client *client = control_find(request->control, request->client);

    if (client == NULL) {
        json_decref(line);
        return;
    }
    client_append(client, line);
}

void control_when_drained(struct control_request *request,
                          void (*drained)(struct control_request *request))
{
    struct control_client *client = control_find(request->control, request->client);

    if (client == NULL) {
        drained(request);
        return;
    }
    request->drained = drained;
    client_write(client);
}

static void request_free(struct control_request *request)
{
    json_decref(request->arguments);
    free(request);
}

static void request_end(struct control_request *request, json_t *line)
{
    struct control_client *client = control_find(request->control, request->client);

    if (line != NULL && json_object_set_new(line, "end", json_true()) < 0) {
        json_decref(line);
        line = NULL;
    }
    request_free(request);
    if (client == NULL) {
        json_decref(line);
        return;
    }
    bool called_by_next = client->state == CONTROL_DISPATCH; /* which goes on by itself */
    client->request = NULL;
    if (client->state != CONTROL_LAST)
        client->state = CONTROL_IDLE;
    client_append(client, line);
    if (!called_by_next)
        client_next(client);
}

void control_finish(struct control_request *request, json_t *result)
{
    if (result == NULL)
        control_fail(request, "failed", "out of memory");
    else
        request_end(request, json_pack("{s:b s:o}", "ok", 1, "result", result));
}

void control_fail_with(struct control_request *request, const char *code, const char *error,
                       json_t *more)
{
    json_t *line = json_pack("{s:b s:s s:s}", "ok", 0, "code", code, "error", error);

    if (line == NULL) /* an error text that is no UTF-8: a path, say */
        line = json_pack("{s:b s:s s:s}", "ok", 0, "code", code, "error", "see the log");
    if (line != NULL && more != NULL)
        json_object_update_missing(line, more);
    json_decref(more);
    request_end(request, line);
}

void control_fail(struct control_request *request, const char *code, const char *format, ...)
{
    char error[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, sizeof error, format, arguments);
    va_end(arguments);
    control_fail_with(request, code, error, NULL);
}

void control_audit(const struct control_request *request, uint64_t entry, const char *result)
{
    const char *command = json_string_value(json_object_get(request->arguments, "command"));
    struct log_field fields[] = {
        LOG_STRING("command", command),
        LOG_INTEGER("uid", request->caller.uid),
        LOG_INTEGER("pid", request->caller.pid),
        LOG_STRING("result", result),
        LOG_INTEGER("entry", entry),
    };

    log_event(LOG_LEVEL_AUDIT, "operator-command", fields,
              sizeof fields / sizeof *fields - (entry == 0 ? 1 : 0));
}

/* ---- in ---- */

static void client_refuse_line(struct control_client *client, const char *why)
{
    client->state = CONTROL_LAST;
    client_append(
        client, json_pack("{s:b s:s s:s s:b}", "ok", 0, "code", "request", "error", why, "end", 1));
}

static void client_dispatch(struct control_client *client, json_t *arguments)
{
    struct control_request *request = calloc(1, sizeof *request);

    if (request == NULL) {
        json_decref(arguments);
        client->state = CONTROL_LAST;
        return;
    }
    *request = (struct control_request){
        .gateway = client->control->gateway,
        .loop = client->control->loop,
        .control = client->control,
        .client = client->id,
        .caller = client->caller,
        .arguments = arguments,
    };
    client->request = request;
    client->state = CONTROL_DISPATCH;
    control_dispatch(request);
    if (client->state == CONTROL_DISPATCH)
        client->state = CONTROL_BUSY;
}

static void client_line(struct control_client *client, size_t length)
{
    json_t *arguments =
        json_loadb(client->in.data, length, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);

    if (json_is_object(arguments)) {
        client_dispatch(client, arguments);
        return;
    }
    json_decref(arguments);
    client_refuse_line(client, "a line must be one JSON object");
}

static void client_next(struct control_client *client)
{
    while (client->fd >= 0 && client->state == CONTROL_IDLE &&
           client_pending(client) < CONTROL_OUT_ENOUGH) {
        const char *end =
            client->in.length == 0 ? NULL : memchr(client->in.data, '\n', client->in.length);
        if (end == NULL && client->in.length < CONTROL_LINE_MAXIMUM)
            break;
        if (end == NULL) {
            client_refuse_line(client, "the line is too long (64 KB at most)");
            break;
        }
        size_t length = (size_t)(end - client->in.data);
        client_progress(client);
        client_line(client, length);
        buffer_consume(&client->in, length + 1);
    }
    if (client->fd >= 0)
        client_write(client);
}

static void client_read(struct control_client *client)
{
    char bytes[CONTROL_READ_BYTES];
    size_t room = CONTROL_LINE_MAXIMUM - client->in.length;
    ssize_t got = recv(client->fd, bytes, room < sizeof bytes ? room : sizeof bytes, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_close(client);
        return;
    }
    if (buffer_append(&client->in, bytes, (size_t)got) < 0)
        client->state = CONTROL_LAST;
    client_next(client);
}

static void client_on_ready(void *context, int events)
{
    struct control_client *client = context;

    if ((events & UV_WRITABLE) != 0)
        client_write(client);
    if (client->fd >= 0 && client->state == CONTROL_IDLE) {
        if ((events & UV_READABLE) != 0 && client->in.length < CONTROL_LINE_MAXIMUM)
            client_read(client);
        else
            client_next(client);
    }
}

/* ---- the server ---- */

static int control_add(struct control *control, int fd)
{
    struct control_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return -ENOMEM;
    client->control = control;
    client->id = ++control->last_id;
    client->fd = fd;
    client->deadline.fire = client_on_deadline;
    buffer_init(&client->in, CONTROL_LINE_MAXIMUM);
    buffer_init(&client->out, CONTROL_OUT_MAXIMUM);
    int result = control->identify(fd, control->operator_gid, &client->caller);
    if (result == 0)
        result = loop_watch_start(control->loop, &client->watch, fd, 0, client_on_ready, client);
    if (result < 0) {
        free(client);
        return result;
    }
    list_append(&control->clients, &client->node);
    control->client_count++;
    client_watch(client);
    return 0;
}

static void control_on_ready(void *context, int events)
{
    struct control *control = context;

    (void)events;
    for (;;) {
        int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        int result = control->client_count >= CONTROL_CLIENTS ? -EUSERS : control_add(control, fd);
        if (result < 0) {
            close(fd);
            LOG_EVENT(LOG_LEVEL_WARNING, "control-client-refused",
                      LOG_STRING("reason", strerror(-result)));
        }
    }
}

struct control *control_new(const struct admin_gateway *gateway, struct loop *loop,
                            const struct control_settings *settings, char ret_error[512])
{
    struct control *control = calloc(1, sizeof *control);
    gid_t group = (gid_t)-1;

    if (control == NULL || (control->path = strdup(settings->path)) == NULL) {
        snprintf(ret_error, 512, "out of memory");
        free(control);
        return NULL;
    }
    control->gateway = gateway;
    control->loop = loop;
    control->fd = -1;
    control->idle_ms = settings->idle_ms;
    control->identify = settings->identify != NULL ? settings->identify : control_identify;
    list_init(&control->clients);
    if (control_group_find(settings->control_group, &group, ret_error) < 0 ||
        control_group_find(settings->operator_group, &control->operator_gid, ret_error) < 0 ||
        control_socket_open(settings->path, group, &control->fd, &control->status, ret_error) < 0)
        control_free(&control);
    return control;
}

int control_start(struct control *control)
{
    return loop_watch_start(control->loop, &control->watch, control->fd, UV_READABLE,
                            control_on_ready, control);
}

void control_end(struct control *control)
{
    control->ended = true;
    loop_watch_stop(&control->watch);
    LIST_FOREACH_SAFE(node, next, &control->clients)
        client_close(LIST_ENTRY(node, struct control_client, node));
}

void control_free(struct control **control)
{
    struct control *old = *control;

    if (old == NULL)
        return;
    control_end(old);
    control_socket_close(old->fd, old->path, &old->status);
    free(old->path);
    free(old);
    *control = NULL;
}
