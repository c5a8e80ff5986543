/* Answers on their way out: writing, lingering, application acknowledgments made later. */
#include "ingress/connection_internal.h"

#include <errno.h>

#define LINGER_MS 2000 /* how long the rest of a refused frame is read away */
#define NOTICES_MAXIMUM 1000
#define NOTICES_BYTES ((size_t)64 << 10)     /* in one go; the rest when those are out */
#define NOTICES_BYTES_HELD ((size_t)4 << 20) /* by all that wait */
#define KEEP_BYTES 1024                      /* an idle connection keeps no larger output buffer */

/* ---- writing ---- */

/* Closing a socket with unread bytes resets it and may take the answer with it: so end our
 * direction, and read the rest away for a moment. */
static void begin_linger(struct connection *connection)
{
    stream_shutdown(&connection->stream);
    list_remove(&connection->in_frames); /* or it would keep its place as the oldest frame */
    connection->frame_started_ms = 0;
    mllp_decoder_reset(&connection->decoder);
    buffer_free(&connection->pending);
    connection_account(connection);
    connection->state_deadline_ms = connection_now(connection) + LINGER_MS;
    connection_set_state(connection, CONNECTION_LINGER);
    connection_update_watch(connection);
    connection_arm(connection);
}

void connection_linger(struct connection *connection)
{
    struct connection_world *world = connection->world;

    for (int reads = 0; reads < 16; reads++) {
        ssize_t got = stream_read(&connection->stream, world->scratch, world->scratch_size);
        if (got == -EAGAIN) {
            return;
        }
        if (got <= 0) {
            connection_close(connection, connection->close_after);
            return;
        }
    }
}

static void answer_is_out(struct connection *connection)
{
    connection->out_sent = 0;
    if (connection->out.capacity > KEEP_BYTES) {
        buffer_free(&connection->out);
    } else {
        buffer_clear(&connection->out);
    }
    connection->last_activity_ms = connection_now(connection);
    if (connection->close_after == REASON_PEER_CLOSED) {
        connection_close(connection, REASON_PEER_CLOSED);
    } else if (connection->close_after != REASON_NONE) {
        begin_linger(connection);
    } else if (connection->world->draining && connection->frame_started_ms == 0) {
        connection->close_after = REASON_DRAIN;
        begin_linger(connection);
    } else {
        connection_set_state(connection, CONNECTION_OPEN);
    }
}

static void wait_for_room(struct connection *connection)
{
    if (connection->state != CONNECTION_WRITING) {
        connection->state_deadline_ms =
            connection_now(connection) + connection->config->write_timeout_ms;
        connection_set_state(connection, CONNECTION_WRITING);
    }
    connection_update_watch(connection);
    connection_arm(connection);
}

void connection_flush(struct connection *connection)
{
    while (connection->out_sent < connection->out.length) {
        ssize_t sent =
            stream_write(&connection->stream, connection->out.data + connection->out_sent,
                         connection->out.length - connection->out_sent);
        if (sent > 0) {
            connection->out_sent += (size_t)sent;
        } else if (sent == -EAGAIN || sent == 0) {
            wait_for_room(connection);
            return;
        } else {
            connection_close(connection,
                             sent == -EPROTO ? REASON_TLS_ERROR : REASON_CONNECTION_RESET);
            return;
        }
    }
    answer_is_out(connection);
}

/* ---- application acknowledgments made later ---- */

static int append_notice(struct connection *connection, const struct spool_notice *notice)
{
    struct exchange_policy policy = connection_policy(connection);
    struct exchange_time time = connection_answer_time(connection);
    struct exchange_sent sent;
    int error =
        exchange_application_answer(notice->message, &notice->verdict, &policy, &time,
                                    &connection->world->answer_scratch, &connection->out, &sent);

    if (error == 0) {
        connection_count_answer(connection, &sent);
    }
    return error;
}

/* What it holds while it waits. */
static size_t notice_bytes(const struct spool_notice *notice)
{
    const struct answer_bytes *answer = notice->verdict.answer;

    return sizeof(*notice) + notice->message->body.length + (answer == NULL ? 0 : answer->length);
}

/* The oldest that waits, which is the caller's from now on; NULL: none. */
static struct spool_notice *next_notice(struct connection *connection)
{
    struct list_node *node = list_pop_front(&connection->notices);
    struct spool_notice *notice;

    if (node == NULL) {
        return NULL;
    }
    notice = LIST_ENTRY(node, struct spool_notice, node);
    connection->notice_count--;
    connection->notice_bytes -= notice_bytes(notice);
    return notice;
}

void connection_send_notices(struct connection *connection)
{
    struct spool_notice *notice;

    while (connection->out.length < NOTICES_BYTES && (notice = next_notice(connection)) != NULL) {
        int error = append_notice(connection, notice);
        spool_notice_free(&notice);
        if (error != 0) {
            connection_close(connection, REASON_OUT_OF_MEMORY);
            return;
        }
    }
    connection_account(connection);
    connection_flush(connection);
}

static void count_unsent(struct connection *connection, const struct spool_notice *notice)
{
    statistics_application_unsent(connection->world->statistics, notice->message->listener,
                                  notice->message->peer);
}

void connection_drop_notices(struct connection *connection)
{
    struct spool_notice *notice;

    while ((notice = next_notice(connection)) != NULL) {
        count_unsent(connection, notice);
        spool_notice_free(&notice);
    }
}

/* A sender that holds a frame open, or reads nothing, lets them gather: at most so many, and so many
 * bytes, which count as buffered. */
static bool has_room(const struct connection *connection, const struct spool_notice *notice)
{
    return connection->notice_count < NOTICES_MAXIMUM &&
           (connection->notice_count == 0 ||
            connection->notice_bytes + notice_bytes(notice) <= NOTICES_BYTES_HELD);
}

void connection_notice(struct connection *connection, struct spool_notice *notice)
{
    if (!exchange_application_due(notice->message, &notice->verdict, connection->config)) {
        spool_notice_free(&notice);
        return;
    }
    exchange_application_shorten(&notice->message, &notice->verdict, connection->config);
    if (connection->state == CONNECTION_CLOSED || !has_room(connection, notice)) {
        count_unsent(connection, notice);
        spool_notice_free(&notice);
        return;
    }
    list_append(&connection->notices, &notice->node);
    connection->notice_count++;
    connection->notice_bytes += notice_bytes(notice);
    connection_account(connection);
    if (connection->state == CONNECTION_OPEN) {
        connection_run(connection);
    }
}
