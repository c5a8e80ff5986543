#include "admin/web_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WEB_BACKLOG 64

static int web_listen(const struct addrinfo *info, int *ret_fd)
{
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, WEB_BACKLOG) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    *ret_fd = fd;
    return 0;
}

static int web_bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {0}};
    socklen_t size = sizeof address;

    if (getsockname(fd, &address.any, &size) < 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* Cuts text into host and port in place. */
static int web_split(char *text, const char **ret_host, const char **ret_port)
{
    char *colon = strrchr(text, ':');

    if (colon == NULL || colon == text || colon[1] == '\0')
        return -EINVAL;
    *colon = '\0';
    if (text[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        text++;
    }
    *ret_host = text;
    *ret_port = colon + 1;
    return 0;
}

int web_socket_open(const char *address, int *ret_fd, int *ret_port, char ret_error[512])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    const char *host = NULL, *port = NULL;
    struct addrinfo *info = NULL;
    char text[256];
    int fd = -1, result = -EINVAL;

    snprintf(text, sizeof text, "%s", address);
    if (web_split(text, &host, &port) == 0 && getaddrinfo(host, port, &hints, &info) == 0) {
        result = web_listen(info, &fd);
        freeaddrinfo(info);
    }
    if (result < 0) {
        snprintf(ret_error, 512, "admin.address %s: %s", address,
                 result == -EINVAL ? "an address and a port are wanted, as 127.0.0.1:8080"
                                   : strerror(-result));
        return result;
    }
    *ret_fd = fd;
    *ret_port = web_bound_port(fd);
    return 0;
}
