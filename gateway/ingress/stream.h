/*
 * stream: a connection's bytes, plain or through TLS, behind one set of functions, so that the
 * connection's state machine (and its replay tests) needn't know which.
 *
 * Ownership: the stream owns its descriptor and its TLS session.
 * Threads: the worker's own. Nothing blocks.
 */
#ifndef MLLPGW_INGRESS_STREAM_H
#define MLLPGW_INGRESS_STREAM_H

#include "base/span.h"
#include "tls/tls.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stream;

struct stream_operations {
    /* > 0 bytes, 0: ended, -EAGAIN, -ECONNRESET, -EPROTO */
    ssize_t (*read)(struct stream *stream, void *data, size_t size);
    /* > 0 bytes taken, -EAGAIN, -EPIPE, -ECONNRESET, -EPROTO */
    ssize_t (*write)(struct stream *stream, const void *data, size_t length);
    /* Ends our direction, as far as the socket takes it at once. */
    void (*shutdown)(struct stream *stream);
    void (*close)(struct stream *stream);
    /* Bytes wait inside that the socket doesn't tell of. */
    bool (*has_pending)(const struct stream *stream);
    /* Bytes off the wire so far: what reading has cost. */
    uint64_t (*received)(const struct stream *stream);
};

struct stream {
    const struct stream_operations *operations;
    int fd; /* -1: none */
    struct tls_session *tls;
    uint64_t plain_received;
};

/* Takes over fd (non-blocking). */
void stream_init_plain(struct stream *stream, int fd);
/* From now on through TLS; already: bytes read before TLS began. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
stream_start_tls(struct stream *stream, struct tls_server *server, struct span already);

static inline ssize_t stream_read(struct stream *stream, void *data, size_t size)
{
    return stream->operations->read(stream, data, size);
}

static inline ssize_t stream_write(struct stream *stream, const void *data, size_t length)
{
    return stream->operations->write(stream, data, length);
}

static inline void stream_shutdown(struct stream *stream)
{
    stream->operations->shutdown(stream);
}

static inline bool stream_has_pending(const struct stream *stream)
{
    return stream->operations->has_pending(stream);
}

static inline uint64_t stream_received(const struct stream *stream)
{
    return stream->operations->received(stream);
}

static inline void stream_close(struct stream *stream)
{
    stream->operations->close(stream);
}

#endif
