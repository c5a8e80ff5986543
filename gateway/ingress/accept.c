#include "ingress/accept.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

/* "127.0.0.1:2575", "[::]:2575"; the configuration's check has seen it already. */
static int parse_address(const char *text, struct sockaddr_storage *ret_address,
                         socklen_t *ret_length)
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    size_t length = colon == NULL ? 0 : (size_t)(colon - text);
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    unsigned long port;

    if (length == 0 || length >= sizeof(host)) {
        return -EINVAL;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    port = strtoul(colon + 1, NULL, 10);
    in.sin_port = in6.sin6_port = htons((uint16_t)port);
    memset(ret_address, 0, sizeof(*ret_address));
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(ret_address, &in, sizeof(in));
        *ret_length = sizeof(in);
        return 0;
    }
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &in6.sin6_addr) == 1) {
            memcpy(ret_address, &in6, sizeof(in6));
            *ret_length = sizeof(in6);
            return 0;
        }
    }
    return -EINVAL;
}

static int open_socket(const struct sockaddr_storage *address, socklen_t length, bool shared)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int error;

    if (fd < 0) {
        return -errno;
    }
    /* IPV6_V6ONLY stays off: "[::]" serves IPv4 too, as ::ffff:a.b.c.d, which counts as IPv4. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
        bind(fd, (const struct sockaddr *)address, length) == 0 &&
        (!shared || listen(fd, BACKLOG) == 0)) {
        return fd;
    }
    error = -errno;
    close(fd);
    return error;
}

static int open_for(const struct config_listener *listener, bool shared, char ret_error[512])
{
    struct sockaddr_storage address;
    socklen_t length;
    int fd = parse_address(listener->address, &address, &length);

    if (fd == 0) {
        fd = open_socket(&address, length, shared);
    }
    if (fd < 0) {
        snprintf(ret_error, 512, "listeners.%s: can't listen on %s: %s%s", listener->name,
                 listener->address, strerror(-fd),
                 fd == -EADDRINUSE ? " (another program has this port: ss -ltnp shows which)" : "");
    }
    return fd;
}

int accept_probe(const struct config_listener *listener, char ret_error[512])
{
    int fd = open_for(listener, false, ret_error);

    if (fd < 0) {
        return fd;
    }
    close(fd);
    return 0;
}

int accept_listen(const struct config_listener *listener, char ret_error[512])
{
    return open_for(listener, true, ret_error);
}

static void set(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

void accept_prepare(int fd, const struct config_listener *listener)
{
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (listener->keepalive_idle_s > 0) {
        set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, listener->keepalive_idle_s);
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL, listener->keepalive_interval_s);
        set(fd, IPPROTO_TCP, TCP_KEEPCNT, listener->keepalive_count);
    }
    if (listener->tcp_user_timeout_ms > 0) {
        set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)listener->tcp_user_timeout_ms);
    }
}
