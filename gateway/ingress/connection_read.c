/* From bytes to messages: reading, framing, junk, end of stream. */
#include "base/log.h"
#include "ingress/connection_internal.h"

#include <errno.h>

/* Bytes that a connection may take off the wire in one go before others get a turn: what they cost,
 * not what is in them (a TLS record of one byte has 22 around it). */
#define READ_BUDGET ((size_t)512 << 10)
#define PAUSE_MS 20

static void log_opened_plain(struct connection *connection)
{
    char address[INET6_ADDRSTRLEN];

    connection->spoke = true;
    address_text(&connection->source.any, address);
    LOG_EVENT(LOG_LEVEL_INFO, "connection-opened", LOG_INTEGER("connection", connection->id),
              LOG_STRING("listener", connection->config->name),
              LOG_STRING("peer", connection->peer->name), LOG_STRING("address", address));
}

/* A TLS record of kind handshake, version 3.x: nobody's MLLP begins like that. */
static bool looks_like_tls(const struct connection *connection)
{
    const uint8_t *greeting = connection->greeting;

    return connection->stream.tls == NULL &&
           connection->greeting_length == sizeof(connection->greeting) && greeting[0] == 0x16 &&
           greeting[1] == 0x03 && greeting[2] <= 4;
}

static void keep_greeting(struct connection *connection, struct span bytes)
{
    for (size_t i = 0;
         i < bytes.length && connection->greeting_length < sizeof(connection->greeting); i++) {
        connection->greeting[connection->greeting_length++] = (uint8_t)bytes.data[i];
    }
}

void connection_note_bytes(struct connection *connection, struct span bytes)
{
    connection->last_activity_ms = connection_now(connection);
    if (connection->greeting_length == 0) {
        connection->first_byte_ms = connection->last_activity_ms;
        if (!connection->spoke) {
            log_opened_plain(connection);
        }
    }
    if (connection->greeting_length < sizeof(connection->greeting)) {
        keep_greeting(connection, bytes);
        if (looks_like_tls(connection)) {
            connection_close(connection, REASON_TLS_ON_PLAIN_PORT);
        }
    }
}

static void frame_opened(struct connection *connection)
{
    connection->first_byte_ms = 0; /* a start block has come: framing is understood */
    connection->frame_started_ms = connection->last_activity_ms;
    connection->junk_mark = connection->decoder.junk_bytes;
    list_remove(&connection->in_frames);
    list_append(&connection->world->frames, &connection->in_frames);
}

static void frame_ended(struct connection *connection)
{
    connection->frame_started_ms = 0;
    list_remove(&connection->in_frames);
}

static void junk(struct connection *connection)
{
    const struct mllp_decoder *decoder = &connection->decoder;
    uint64_t since = decoder->junk_bytes - connection->junk_mark;
    int64_t maximum = connection->config->maximum_junk_bytes;

    if (!connection->warned_junk && since > 0) {
        connection->warned_junk = true;
        LOG_EVENT(LOG_LEVEL_WARNING, "bytes-outside-frames",
                  LOG_INTEGER("connection", connection->id),
                  LOG_STRING("peer", connection->peer->name), LOG_INTEGER("bytes", since),
                  LOG_INTEGER("offset", decoder->offset));
    }
    if (maximum > 0 && since > (uint64_t)maximum) {
        connection_close(connection, REASON_JUNK_LIMIT);
    }
}

static void complete(struct connection *connection)
{
    size_t length = 0;
    char *content = mllp_decoder_take(&connection->decoder, &length);

    frame_ended(connection);
    connection_message(connection, content, length);
}

static void handle(struct connection *connection, enum mllp_event event)
{
    switch (event) {
    case MLLP_NEED_MORE:
        break;
    case MLLP_OPENED:
        frame_opened(connection);
        break;
    case MLLP_MESSAGE:
        complete(connection);
        break;
    case MLLP_ABANDONED:
        connection_frame_abandoned(connection);
        if (connection->state != CONNECTION_CLOSED) {
            frame_opened(connection);
        }
        break;
    case MLLP_EMPTY:
        frame_ended(connection);
        break;
    case MLLP_COMMIT_ACK:
        frame_ended(connection);
        break;
    case MLLP_COMMIT_NAK:
        frame_ended(connection);
        LOG_EVENT(LOG_LEVEL_WARNING, "commit-nak-received",
                  LOG_INTEGER("connection", connection->id),
                  LOG_STRING("peer", connection->peer->name));
        break;
    case MLLP_JUNK:
        junk(connection);
        break;
    case MLLP_TOO_LARGE:
        frame_ended(connection);
        connection_frame_too_large(connection);
        break;
    }
}

/* Parses until the bytes are used up or the state says stop; returns how many were used. */
static size_t parse(struct connection *connection, struct span bytes)
{
    uint64_t junk_before = connection->decoder.junk_bytes;
    size_t used = 0;

    while (used < bytes.length && connection->state == CONNECTION_OPEN) {
        enum mllp_event event;
        size_t step = 0;
        if (mllp_decoder_feed(&connection->decoder, bytes.data + used, bytes.length - used, &step,
                              &event) != 0) {
            connection_close(connection, REASON_OUT_OF_MEMORY);
            return bytes.length;
        }
        used += step;
        handle(connection, event);
    }
    if (connection->state != CONNECTION_CLOSED && connection->statistics != NULL &&
        connection->decoder.junk_bytes != junk_before) {
        metric_add(connection->statistics->junk_bytes,
                   (int64_t)(connection->decoder.junk_bytes - junk_before));
    }
    return used;
}

static void parse_pending(struct connection *connection)
{
    /* Parsing may close the connection and free its buffers: it works on its own hold of them. */
    struct buffer pending = connection->pending;
    size_t used;

    buffer_init(&connection->pending, pending.maximum);
    used = parse(connection, buffer_span(&pending));
    if (connection->state != CONNECTION_CLOSED && connection->state != CONNECTION_LINGER &&
        used < pending.length) {
        buffer_consume(&pending, used);
        connection->pending = pending;
    } else {
        buffer_free(&pending);
    }
}

static void parse_read(struct connection *connection, struct span bytes)
{
    size_t used;

    connection_note_bytes(connection, bytes);
    if (connection->state == CONNECTION_CLOSED) {
        return;
    }
    used = parse(connection, bytes);
    if (used < bytes.length && connection->state != CONNECTION_CLOSED &&
        connection->state != CONNECTION_LINGER &&
        buffer_append(&connection->pending, bytes.data + used, bytes.length - used) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
    }
}

/* An open frame that never ends is never answered: its sender has to send it again. */
static void stream_ended(struct connection *connection)
{
    connection_close(connection, mllp_decoder_in_frame(&connection->decoder)
                                     ? REASON_PEER_CLOSED_IN_FRAME
                                     : REASON_PEER_CLOSED);
}

/* Over maximum_buffered_bytes only the connection with the oldest open frame goes on reading, so
 * that something always ends and gives memory back. */
static bool must_pause(const struct connection *connection)
{
    struct connection_world *world = connection->world;

    return !limits_buffered_ok(world->limits,
                               connection->snapshot->config->gateway.maximum_buffered_bytes) &&
           !list_empty(&world->frames) && world->frames.next != &connection->in_frames;
}

/* True when something was read and there may be more. */
static bool read_once(struct connection *connection, size_t *budget)
{
    struct connection_world *world = connection->world;
    uint64_t before = stream_received(&connection->stream);
    ssize_t got = stream_read(&connection->stream, world->scratch, world->scratch_size);
    uint64_t cost = stream_received(&connection->stream) - before;

    *budget -= cost < *budget ? (size_t)cost : *budget;
    if (got > 0) {
        parse_read(connection, span_of(world->scratch, (size_t)got));
        /* A short read from a plain socket has emptied it: asking again would only be told so.
         * TLS keeps decrypted bytes inside, so there the question must be asked. */
        return connection->stream.tls != NULL || stream_has_pending(&connection->stream) ||
               (size_t)got == world->scratch_size;
    }
    if (got == 0) {
        stream_ended(connection);
    } else if (got == -ECONNRESET || got == -EPIPE) {
        connection_close(connection, REASON_CONNECTION_RESET);
    } else if (got != -EAGAIN) {
        connection_close(connection, REASON_TLS_ERROR);
    } else if (stream_has_pending(&connection->stream)) {
        world->run_again(world, connection); /* enough for one go, and the socket won't tell */
    }
    return false;
}

/* In a gap only. What was read and not parsed yet may begin a frame: first see. */
static bool may_send_notices(const struct connection *connection)
{
    return !list_empty(&connection->notices) && !mllp_decoder_in_frame(&connection->decoder) &&
           connection->pending.length == 0 && !stream_has_pending(&connection->stream);
}

/* One step; false when there is nothing more to do now. */
static bool step(struct connection *connection, size_t *budget)
{
    if (may_send_notices(connection)) {
        connection_send_notices(connection);
        return true;
    }
    if (connection->pending.length > 0) {
        parse_pending(connection);
        return true;
    }
    if (must_pause(connection)) {
        connection->paused = true;
        connection->retry_ms = connection_now(connection) + PAUSE_MS;
        return false;
    }
    if (*budget == 0) {
        connection->world->run_again(connection->world, connection);
        return false;
    }
    return read_once(connection, budget);
}

/* Nothing more to do now: until bytes, a deadline or an answer come. */
static void rest(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN && connection->world->draining &&
        !mllp_decoder_in_frame(&connection->decoder)) {
        connection_close(connection, REASON_DRAIN);
        return;
    }
    connection_account(connection);
    connection_update_watch(connection);
    connection_arm(connection);
}

void connection_run(struct connection *connection)
{
    size_t budget = READ_BUDGET;

    if (!connection_catch_up(connection)) {
        return;
    }
    while (connection->state == CONNECTION_OPEN &&
           (step(connection, &budget) || may_send_notices(connection))) {
    }
    if (connection->state != CONNECTION_CLOSED) {
        rest(connection);
    }
}

/* Most senders wait for their answer before they send again: asking the socket right behind it would
 * be in vain, and the loop tells when bytes are there. */
void connection_run_answered(struct connection *connection)
{
    if (connection->pending.length > 0 || stream_has_pending(&connection->stream) ||
        may_send_notices(connection)) {
        connection_run(connection);
    } else {
        rest(connection);
    }
}
