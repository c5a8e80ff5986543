#include "vpn/status_server.h"

#include "vpn/tunneld_log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16
#define PAUSE_MS 1000

struct client {
    uv_poll_t poll;
    struct status_server *server;
    int fd;        /* -1: the place is free, or its handle is being closed */
    bool closing;  /* the handle is the loop's until it has closed it */
    char *rest;    /* of the line that has begun to go out; NULL: none */
    size_t length; /* of it */
    size_t sent;
    unsigned behind; /* lines that it did not get meanwhile */
};

struct status_server {
    uv_poll_t poll;
    uv_timer_t pause; /* runs: nobody is accepted meanwhile */
    int fd;
    int told; /* why nobody could be accepted: errno; 0: all is well */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    status_server_greet *greet;
    void *context;
    struct client clients[STATUS_SERVER_CLIENTS];
    unsigned handles; /* that the loop has not closed yet; at 0 a closed server is freed */
    bool closed;
};

/* --- the end of things -------------------------------------------------------------------- */

static void release(struct status_server *server)
{
    if (--server->handles == 0 && server->closed)
        free(server);
}

static void on_client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    client->closing = false;
    release(client->server);
}

static void on_server_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void drop(struct client *client)
{
    if (client->fd < 0)
        return;
    uv_poll_stop(&client->poll);
    client->closing = true;
    uv_close((uv_handle_t *)&client->poll, on_client_closed);
    close(client->fd);
    client->fd = -1;
    free(client->rest);
    client->rest = NULL;
}

/* --- one client --------------------------------------------------------------------------- */

/* How much went out now; SIZE_MAX: the client is gone. */
static size_t push(const struct client *client, const char *data, size_t length)
{
    size_t sent = 0;

    while (sent < length) {
        ssize_t part = send(client->fd, data + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return errno == EAGAIN ? sent : SIZE_MAX;
        sent += (size_t)part;
    }
    return sent;
}

static void on_client(uv_poll_t *poll, int status, int events);

static void watch(struct client *client)
{
    int events = UV_DISCONNECT | (client->rest != NULL ? UV_WRITABLE : 0);
    if (uv_poll_start(&client->poll, events, on_client) != 0)
        drop(client);
}

static void push_rest(struct client *client)
{
    size_t sent = push(client, client->rest + client->sent, client->length - client->sent);

    if (sent == SIZE_MAX) {
        drop(client);
        return;
    }
    client->sent += sent;
    if (sent > 0)
        client->behind = 0; /* it takes what it gets, if slowly */
    if (client->sent == client->length) {
        free(client->rest);
        client->rest = NULL;
        watch(client);
    }
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct client *client = poll->data;

    if (status < 0 || (events & UV_DISCONNECT) != 0)
        drop(client);
    else if ((events & UV_WRITABLE) != 0 && client->rest != NULL)
        push_rest(client);
}

static void send_line(struct client *client, const char *line, size_t length)
{
    size_t sent;

    if (client->rest != NULL) {
        if (++client->behind > STATUS_SERVER_BEHIND)
            drop(client);
        return;
    }
    sent = push(client, line, length);
    if (sent == length)
        return;
    client->rest = sent == SIZE_MAX ? NULL : malloc(length - sent);
    if (client->rest == NULL) {
        drop(client);
        return;
    }
    client->length = length - sent;
    client->sent = 0;
    client->behind = 0;
    memcpy(client->rest, line + sent, client->length);
    watch(client);
}

/* --- the server --------------------------------------------------------------------------- */

static struct client *free_place(struct status_server *server)
{
    for (size_t i = 0; i < STATUS_SERVER_CLIENTS; i++) {
        if (server->clients[i].fd < 0 && !server->clients[i].closing)
            return &server->clients[i];
    }
    return NULL;
}

static void greet_client(struct client *client)
{
    struct status_server *server = client->server;
    size_t length = 0;
    char *line = server->greet(server->context, &length);

    if (line == NULL)
        drop(client);
    else
        send_line(client, line, length);
    free(line);
}

static void on_server(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct status_server *server = timer->data;

    if (uv_poll_start(&server->poll, UV_READABLE, on_server) != 0)
        uv_timer_start(timer, on_pause_over, PAUSE_MS, 0);
}

/* No descriptor or memory is left: who waits goes on waiting, and the loop would turn as fast as it can. */
static void pause_accepting(struct status_server *server, int error)
{
    uv_poll_stop(&server->poll);
    uv_timer_start(&server->pause, on_pause_over, PAUSE_MS, 0);
    if (server->told == error)
        return;
    server->told = error;
    TUNNELD_LOG(CONFIG_LOG_ERROR, "status-client-not-accepted",
                TUNNELD_TEXT("reason", strerror(error)));
}

static bool has_gone(int error)
{
    return error == EAGAIN || error == EINTR || error == ECONNABORTED;
}

static void on_server(uv_poll_t *poll, int status, int events)
{
    struct status_server *server = poll->data;
    struct client *client;
    int fd;

    (void)events;
    if (status < 0)
        return;
    fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (!has_gone(errno))
            pause_accepting(server, errno);
        return;
    }
    server->told = 0;
    client = free_place(server);
    if (client == NULL || uv_poll_init(poll->loop, &client->poll, fd) != 0) {
        close(fd);
        return;
    }
    server->handles++;
    client->poll.data = client;
    client->server = server;
    client->fd = fd;
    client->behind = 0;
    watch(client);
    if (client->fd >= 0)
        greet_client(client);
}

/* A socket that somebody has left: nothing else may be removed. */
static bool is_abandoned(const struct sockaddr_un *address)
{
    struct stat status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool abandoned = fd >= 0 && lstat(address->sun_path, &status) == 0 &&
                     S_ISSOCK(status.st_mode) &&
                     connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                     errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return abandoned;
}

/* 0660 from the first moment on. */
static int bind_here(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(0117);
    int error = bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : -errno;

    if (error == -EADDRINUSE && is_abandoned(address) && unlink(address->sun_path) == 0)
        error = bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : -errno;
    umask(before);
    return error;
}

static int listen_at(const char *path, gid_t group, int *ret_fd, gid_t *ret_group)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status = {0};
    int fd, error = 0;

    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    error = bind_here(fd, &address);
    if (error == 0 && group != (gid_t)-1)
        (void)!lchown(path, (uid_t)-1, group); /* *ret_group tells */
    if (error == 0 && (listen(fd, BACKLOG) != 0 || stat(path, &status) != 0))
        error = -errno;
    if (error != 0) {
        close(fd);
        return error;
    }
    *ret_fd = fd;
    *ret_group = status.st_gid;
    return 0;
}

int status_server_open(uv_loop_t *loop, const char *path, gid_t group, status_server_greet *greet,
                       void *context, struct status_server **ret_server, gid_t *ret_group,
                       char ret_error[STATUS_SERVER_ERROR_BYTES])
{
    struct status_server *server = calloc(1, sizeof *server);
    int error = server == NULL ? -ENOMEM : listen_at(path, group, &server->fd, ret_group);

    if (error == 0 && uv_poll_init(loop, &server->poll, server->fd) != 0) {
        close(server->fd);
        error = -EIO;
    }
    if (error != 0) {
        snprintf(ret_error, STATUS_SERVER_ERROR_BYTES, "%.120s: %s", path,
                 error == -EADDRINUSE ? "another mllp-tunneld answers on it" : strerror(-error));
        free(server);
        return error;
    }
    snprintf(server->path, sizeof server->path, "%s", path);
    server->greet = greet;
    server->context = context;
    server->handles = 2;
    server->poll.data = server;
    (void)uv_timer_init(loop, &server->pause); /* it always can */
    server->pause.data = server;
    for (size_t i = 0; i < STATUS_SERVER_CLIENTS; i++)
        server->clients[i].fd = -1;
    *ret_server = server;
    error = uv_poll_start(&server->poll, UV_READABLE, on_server);
    if (error != 0) {
        snprintf(ret_error, STATUS_SERVER_ERROR_BYTES, "%.120s: %s", path, uv_strerror(error));
        status_server_close(ret_server);
    }
    return error != 0 ? -EIO : 0;
}

void status_server_send(struct status_server *server, const char *line, size_t length)
{
    for (size_t i = 0; i < STATUS_SERVER_CLIENTS; i++) {
        if (server->clients[i].fd >= 0)
            send_line(&server->clients[i], line, length);
    }
}

size_t status_server_clients(const struct status_server *server)
{
    size_t count = 0;

    for (size_t i = 0; i < STATUS_SERVER_CLIENTS; i++)
        count += server->clients[i].fd >= 0 ? 1 : 0;
    return count;
}

void status_server_close(struct status_server **server)
{
    struct status_server *closed = *server;

    if (closed == NULL)
        return;
    *server = NULL;
    for (size_t i = 0; i < STATUS_SERVER_CLIENTS; i++)
        drop(&closed->clients[i]);
    closed->closed = true;
    uv_poll_stop(&closed->poll);
    uv_close((uv_handle_t *)&closed->poll, on_server_closed);
    uv_close((uv_handle_t *)&closed->pause, on_server_closed);
    close(closed->fd);
    (void)unlink(closed->path);
}
