#include "ingress/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t socket_result(ssize_t result)
{
    if (result >= 0) {
        return result;
    }
    switch (errno) {
    case EAGAIN:
    case EINTR:
        return -EAGAIN;
    case EPIPE:
        return -EPIPE;
    default: /* ETIMEDOUT, EHOSTUNREACH ...: the connection is gone whatever it is called */
        return -ECONNRESET;
    }
}

static ssize_t plain_read(struct stream *stream, void *data, size_t size)
{
    ssize_t got = socket_result(recv(stream->fd, data, size, 0));

    if (got > 0) {
        stream->plain_received += (uint64_t)got;
    }
    return got;
}

static ssize_t plain_write(struct stream *stream, const void *data, size_t length)
{
    return socket_result(send(stream->fd, data, length, MSG_NOSIGNAL));
}

static void plain_shutdown(struct stream *stream)
{
    (void)shutdown(stream->fd, SHUT_WR);
}

static void any_close(struct stream *stream)
{
    tls_session_free(&stream->tls);
    if (stream->fd >= 0) {
        close(stream->fd);
    }
    stream->fd = -1;
}

static bool plain_has_pending(const struct stream *stream)
{
    (void)stream;
    return false;
}

static uint64_t plain_received(const struct stream *stream)
{
    return stream->plain_received;
}

static const struct stream_operations plain_operations = {
    .read = plain_read,
    .write = plain_write,
    .shutdown = plain_shutdown,
    .close = any_close,
    .has_pending = plain_has_pending,
    .received = plain_received,
};

static ssize_t tls_read(struct stream *stream, void *data, size_t size)
{
    return tls_session_read(stream->tls, data, size);
}

static ssize_t tls_write(struct stream *stream, const void *data, size_t length)
{
    return tls_session_write(stream->tls, data, length);
}

static void tls_shutdown(struct stream *stream)
{
    tls_session_shutdown(stream->tls);
    (void)shutdown(stream->fd, SHUT_WR);
}

static bool tls_has_pending(const struct stream *stream)
{
    return stream->tls != NULL && tls_session_has_pending(stream->tls);
}

static uint64_t tls_received(const struct stream *stream)
{
    return stream->tls == NULL ? 0 : tls_session_received(stream->tls);
}

static const struct stream_operations tls_operations = {
    .read = tls_read,
    .write = tls_write,
    .shutdown = tls_shutdown,
    .close = any_close,
    .has_pending = tls_has_pending,
    .received = tls_received,
};

void stream_init_plain(struct stream *stream, int fd)
{
    *stream = (struct stream){.operations = &plain_operations, .fd = fd};
}

int stream_start_tls(struct stream *stream, struct tls_server *server, struct span already)
{
    stream->tls = tls_session_new(server, stream->fd, already);
    if (stream->tls == NULL) {
        return -ENOMEM;
    }
    stream->operations = &tls_operations;
    return 0;
}
