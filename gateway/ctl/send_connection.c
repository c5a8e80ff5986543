#include "ctl/send_connection.h"

#include "base/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SEND_OUT_MAXIMUM ((size_t)SEND_SOURCE_MAXIMUM * 2)
#define SEND_OUT_ENOUGH 262144 /* bytes that may wait when no answer paces us */
#define SEND_REOPEN_MS 200

static void connection_watch(struct send_connection *connection, unsigned events)
{
    if (connection->events == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    /* Can only fail for our own bugs: the descriptor is there since it was added. */
    epoll_ctl(connection->engine->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    connection->events = events;
}

static int64_t connection_now_ms(const struct send_connection *connection)
{
    return connection->engine->now_ns / 1000000;
}

int send_connection_open(struct send_connection *connection)
{
    const struct send_settings *settings = connection->engine->settings;
    int one = 1;

    connection->fd =
        socket(settings->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        return -errno;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->events = EPOLLOUT;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
    if (epoll_ctl(connection->engine->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        return -errno;
    connection->state = SEND_CONNECTING;
    connection->answered = false;
    connection->deadline_ms = connection_now_ms(connection) + settings->timeout_ms;
    connection->engine->totals.connects++;
    if (connect(connection->fd, (const struct sockaddr *)(const void *)&settings->address,
                settings->address_length) < 0 &&
        errno != EINPROGRESS)
        send_connection_close(connection, strerror(errno));
    return 0;
}

void send_connection_close(struct send_connection *connection, const char *problem)
{
    struct send_engine *engine = connection->engine;

    if (connection->state == SEND_CLOSED)
        return;
    if (problem != NULL) {
        if (connection->state == SEND_OPEN)
            engine->totals.lost++;
        snprintf(engine->totals.problem, sizeof engine->totals.problem, "%s%s: %s",
                 engine->settings->target, connection->state == SEND_OPEN ? "" : " (connecting)",
                 problem);
    }
    tls_session_free(&connection->tls);
    close(connection->fd);
    connection->fd = -1;
    connection->state = SEND_CLOSED;
    connection->deadline_ms = connection_now_ms(connection) + SEND_REOPEN_MS;
    mllp_decoder_reset(&connection->decoder);
    buffer_clear(&connection->out);
    connection->out_at = 0;
    for (int i = 0; i < connection->flight_count; i++)
        send_engine_lost(engine, &connection->flights[i]);
    connection->flight_count = 0;
}

/* ---- out ---- */

static ssize_t connection_write(struct send_connection *connection, const char *data, size_t length)
{
    if (connection->tls != NULL)
        return tls_session_write(connection->tls, data, length);
    ssize_t written = send(connection->fd, data, length, MSG_NOSIGNAL);
    return written < 0 ? -errno : written;
}

static const char *connection_words(const struct send_connection *connection, ssize_t result)
{
    const char *problem = connection->tls == NULL ? "" : tls_session_problem(connection->tls);

    if (problem != NULL && problem[0] != '\0')
        return problem;
    if (result != 0 && result != -EPIPE && result != -ECONNRESET)
        return strerror((int)-result);
    /* What an address or a certificate that is not listed looks like from here. */
    if (!connection->answered)
        return "the other side closed the connection before any answer; a gateway's log says why "
               "(connection-refused, tls-handshake-failed)";
    return result == 0 ? "the other side closed the connection" : strerror((int)-result);
}

static void connection_flush(struct send_connection *connection)
{
    struct buffer *out = &connection->out;

    while (connection->out_at < out->length) {
        ssize_t written = connection_write(connection, out->data + connection->out_at,
                                           out->length - connection->out_at);
        if (written == -EAGAIN || written == -EINTR) {
            connection_watch(connection, EPOLLIN | EPOLLOUT);
            return;
        }
        if (written < 0) {
            send_connection_close(connection, connection_words(connection, written));
            return;
        }
        connection->out_at += (size_t)written;
        connection->engine->totals.bytes_sent += written;
    }
    buffer_clear(out);
    connection->out_at = 0;
    connection_watch(connection, EPOLLIN);
}

static int connection_frame(struct send_connection *connection, const struct send_flight *flight)
{
    const struct send_message *message = &connection->engine->source->messages[flight->message];
    struct span id = send_flight_id(connection->engine, flight);
    struct buffer *out = &connection->out;
    size_t at = message->has_id ? message->id_at : message->length;
    size_t behind = message->has_id ? at + message->id_length : message->length;
    int result = buffer_append_byte(out, MLLP_VT);

    if (result == 0)
        result = buffer_append(out, message->data, at);
    if (result == 0)
        result = buffer_append(out, id.data, id.length);
    if (result == 0)
        result = buffer_append(out, message->data + behind, message->length - behind);
    return result < 0 ? result : buffer_append(out, "\x1c\r", 2);
}

static bool connection_has_room(const struct send_connection *connection)
{
    return connection->state == SEND_OPEN &&
           connection->flight_count < connection->engine->settings->window &&
           connection->out.length - connection->out_at < SEND_OUT_ENOUGH;
}

void send_connection_fill(struct send_connection *connection)
{
    struct send_engine *engine = connection->engine;
    struct send_flight flight;

    while (connection_has_room(connection) && send_engine_take(engine, &flight)) {
        const struct send_message *message = &engine->source->messages[flight.message];
        flight.sent_ns = engine->now_ns;
        connection->flights[connection->flight_count++] = flight;
        if (connection_frame(connection, &flight) < 0) {
            send_connection_close(connection, "out of memory");
            return;
        }
        if (!message->accept && !message->application) {
            connection->flight_count--;
            engine->totals.not_expected++;
            engine->settled++;
        }
    }
    if (connection->state == SEND_OPEN && connection->out.length > 0)
        connection_flush(connection);
}

/* ---- in ---- */

static void connection_show(struct send_connection *connection, struct span content)
{
    FILE *out = connection->engine->settings->show;
    struct buffer text;

    if (out == NULL)
        return;
    buffer_init(&text, content.length * 4 + 1);
    if (text_escape(&text, content, true) == 0) {
        fwrite(text.data, 1, text.length, out);
        fputc('\n', out);
    }
    buffer_free(&text);
}

static void connection_settle(struct send_connection *connection, int index, bool positive)
{
    struct send_flight *flight = &connection->flights[index];

    send_engine_answered(connection->engine, flight, positive);
    connection->flight_count--;
    memmove(flight, flight + 1, (size_t)(connection->flight_count - index) * sizeof *flight);
}

static void connection_answer(struct send_connection *connection, struct span content)
{
    struct send_engine *engine = connection->engine;
    struct ack_reply reply;

    connection->answered = true;
    connection_show(connection, content);
    if (ack_read(content, &reply) < 0) {
        engine->totals.unmatched++;
        return;
    }
    engine->totals.codes[reply.code]++;
    for (int i = 0; i < connection->flight_count; i++) {
        struct send_flight *flight = &connection->flights[i];
        const struct send_message *message = &engine->source->messages[flight->message];
        if (!span_equal(reply.control_id, send_flight_id(engine, flight)))
            continue;
        if (reply.code == ACK_CA && message->application && message->accept && !flight->accepted)
            flight->accepted = true; /* the application acknowledgment follows */
        else
            connection_settle(connection, i, ack_code_is_positive(reply.code));
        return;
    }
    engine->totals.unmatched++;
}

static void connection_event(struct send_connection *connection, enum mllp_event event)
{
    struct send_totals *totals = &connection->engine->totals;

    if (event == MLLP_MESSAGE)
        connection_answer(connection, mllp_decoder_content(&connection->decoder));
    else if (event == MLLP_COMMIT_ACK)
        totals->commits++;
    else if (event == MLLP_COMMIT_NAK) {
        totals->commit_refusals++;
        if (connection->flight_count > 0)
            connection_settle(connection, 0, false);
    }
}

/* 0, or -EPROTO when the other side doesn't speak MLLP. */
static int connection_decode(struct send_connection *connection, const char *data, size_t length)
{
    while (length > 0) {
        enum mllp_event event = MLLP_NEED_MORE;
        size_t used = 0;
        if (mllp_decoder_feed(&connection->decoder, data, length, &used, &event) < 0 ||
            event == MLLP_TOO_LARGE)
            return -EPROTO;
        connection_event(connection, event);
        data += used;
        length -= used;
    }
    return 0;
}

static ssize_t connection_read(struct send_connection *connection)
{
    char *input = connection->engine->input;

    if (connection->tls != NULL)
        return tls_session_read(connection->tls, input, SEND_INPUT_BYTES);
    ssize_t got = recv(connection->fd, input, SEND_INPUT_BYTES, 0);
    return got < 0 ? -errno : got;
}

static void connection_input(struct send_connection *connection)
{
    bool more = true;

    while (more && connection->state == SEND_OPEN) {
        ssize_t got = connection_read(connection);
        if (got == -EAGAIN || got == -EINTR)
            return;
        if (got <= 0) {
            send_connection_close(connection, connection_words(connection, got));
            return;
        }
        connection->engine->totals.bytes_received += got;
        if (connection_decode(connection, connection->engine->input, (size_t)got) < 0)
            send_connection_close(connection, "what came is no acknowledgment");
        /* epoll tells of bytes in the socket, not of those that TLS has decrypted already. */
        more = connection->tls == NULL
                   ? got == SEND_INPUT_BYTES
                   : connection->state == SEND_OPEN && tls_session_has_pending(connection->tls);
    }
}

/* ---- getting there ---- */

static void connection_handshake(struct send_connection *connection)
{
    int result = tls_session_handshake(connection->tls);

    if (result == -EAGAIN) {
        connection_watch(connection, tls_session_wants_write(connection->tls) ? EPOLLOUT : EPOLLIN);
        return;
    }
    if (result < 0) {
        send_connection_close(connection, connection_words(connection, result));
        return;
    }
    connection->state = SEND_OPEN;
    connection_watch(connection, EPOLLIN);
}

static void connection_connected(struct send_connection *connection)
{
    int error = 0;
    socklen_t size = sizeof error;

    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        send_connection_close(connection, strerror(error));
        return;
    }
    if (connection->engine->settings->tls == NULL) {
        connection->state = SEND_OPEN;
        connection_watch(connection, EPOLLIN);
        return;
    }
    connection->tls = tls_client_session_new(connection->engine->settings->tls, connection->fd);
    if (connection->tls == NULL) {
        send_connection_close(connection, "out of memory");
        return;
    }
    connection->state = SEND_HANDSHAKE;
    connection_handshake(connection);
}

void send_connection_ready(struct send_connection *connection, unsigned events)
{
    if (connection->state == SEND_CONNECTING)
        connection_connected(connection);
    else if (connection->state == SEND_HANDSHAKE)
        connection_handshake(connection);
    else if (connection->state == SEND_OPEN && (events & ~(unsigned)EPOLLOUT) != 0)
        connection_input(connection);
    send_connection_fill(connection);
}
