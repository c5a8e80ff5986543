#include "ingress/connection.h"

#include "base/log.h"
#include "ingress/connection_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
    "proxy", "handshake", "open", "throttled", "exchange", "waiting", "writing", "linger", "closed",
};

const char *connection_state_name(enum connection_state state)
{
    return state_names[state];
}

void connection_set_state(struct connection *connection, enum connection_state state)
{
    if (log_enabled(LOG_LEVEL_DEBUG)) {
        LOG_EVENT(LOG_LEVEL_DEBUG, "connection-state", LOG_INTEGER("connection", connection->id),
                  LOG_STRING("from", state_names[connection->state]),
                  LOG_STRING("to", state_names[state]));
    }
    connection->state = state;
}

/* ---- deadlines ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t open_deadline(const struct connection *connection)
{
    const struct config_listener *config = connection->config;
    int64_t deadline = CONNECTION_NEVER;

    if (connection->paused) {
        deadline = earlier(deadline, connection->retry_ms);
    }
    if (connection->frame_started_ms != 0) {
        return earlier(deadline, connection->frame_started_ms + config->frame_timeout_ms);
    }
    if (connection->first_byte_ms != 0) {
        deadline = earlier(deadline, connection->first_byte_ms + config->frame_timeout_ms);
    }
    if (config->idle_timeout_ms > 0) {
        deadline = earlier(deadline, connection->last_activity_ms + config->idle_timeout_ms);
    }
    return deadline;
}

static int64_t state_deadline(const struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_OPEN:
        return open_deadline(connection);
    case CONNECTION_THROTTLED:
        return connection->retry_ms;
    case CONNECTION_WAITING:
        return earlier(connection->retry_ms, connection->state_deadline_ms);
    case CONNECTION_CLOSED:
        return CONNECTION_NEVER;
    default:
        return connection->state_deadline_ms;
    }
}

/* The timer is left running when it would only fire early: moving it for every message costs more
 * than one idle look a deadline. */
void connection_arm(struct connection *connection)
{
    struct timers *timers = connection->world->timers;
    int64_t deadline = state_deadline(connection);

    if (deadline == CONNECTION_NEVER ||
        (timer_is_running(&connection->timer) && connection->timer.due_ms <= deadline)) {
        return;
    }
    if (timers_start(timers, &connection->timer, deadline) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
    }
}

static void open_deadline_passed(struct connection *connection, int64_t now)
{
    const struct config_listener *config = connection->config;

    if (connection->frame_started_ms != 0 &&
        now >= connection->frame_started_ms + config->frame_timeout_ms) {
        connection_close(connection, REASON_FRAME_TIMEOUT);
    } else if (connection->frame_started_ms == 0 && connection->first_byte_ms != 0 &&
               now >= connection->first_byte_ms + config->frame_timeout_ms) {
        connection_close(connection, REASON_NO_START_BLOCK);
    } else if (connection->paused) {
        connection->paused = false;
        connection_run(connection);
    } else {
        connection_close(connection, REASON_IDLE_TIMEOUT);
    }
}

static void deadline_passed(struct connection *connection, int64_t now)
{
    switch (connection->state) {
    case CONNECTION_PROXY:
    case CONNECTION_HANDSHAKE:
        connection_opening_timeout(connection);
        break;
    case CONNECTION_OPEN:
        open_deadline_passed(connection, now);
        break;
    case CONNECTION_THROTTLED:
        connection_submit(connection);
        break;
    case CONNECTION_WAITING:
        if (now >= connection->state_deadline_ms) {
            connection_give_up(connection, connection->waiting_reason);
        } else {
            connection_put_again(connection);
        }
        break;
    case CONNECTION_EXCHANGE:
        connection_give_up(connection, REASON_ANSWER_DEADLINE);
        break;
    case CONNECTION_WRITING:
        connection_close(connection, REASON_WRITE_TIMEOUT);
        break;
    case CONNECTION_LINGER:
        connection_close(connection, connection->close_after);
        break;
    case CONNECTION_CLOSED:
        break;
    }
}

void connection_timer_fired(struct timer *timer)
{
    struct connection *connection =
        (struct connection *)((char *)timer - offsetof(struct connection, timer));
    int64_t now = connection_now(connection);

    if (connection_catch_up(connection) && now >= state_deadline(connection)) {
        deadline_passed(connection, now);
    }
    if (connection->state != CONNECTION_CLOSED) {
        connection_arm(connection);
    }
}

/* ---- memory ---- */

void connection_account(struct connection *connection)
{
    const struct message *message = connection->exchange.message;
    int64_t held = (int64_t)mllp_decoder_memory(&connection->decoder) +
                   (int64_t)connection->pending.capacity + (int64_t)connection->notice_bytes +
                   (message == NULL ? 0 : (int64_t)message->body.length);

    if (held != connection->accounted_bytes) {
        (void)limits_buffered_add(connection->world->limits, held - connection->accounted_bytes,
                                  INT64_MAX);
        connection->accounted_bytes = held;
    }
}

/* ---- what the snapshot says ---- */

struct exchange_policy connection_policy(const struct connection *connection)
{
    const struct snapshot_listener *listener =
        &connection->snapshot->listeners[connection->listener];

    return (struct exchange_policy){connection->config, connection->peer, listener->routes,
                                    listener->route_count, listener->demand};
}

void connection_use_limits(struct connection *connection)
{
    int64_t maximum = connection->config->maximum_frame_bytes;

    if (connection->peer->maximum_message_bytes > 0) {
        maximum = earlier(maximum, connection->peer->maximum_message_bytes);
    }
    mllp_decoder_set_limits(
        &connection->decoder,
        &(struct mllp_limits){(size_t)maximum, connection->config->lenient_end});
}

/* ---- readiness ---- */

void connection_update_watch(struct connection *connection)
{
    int events = 0;

    switch (connection->state) {
    case CONNECTION_PROXY:
        events = CONNECTION_READABLE;
        break;
    case CONNECTION_HANDSHAKE:
        events = tls_session_wants_write(connection->stream.tls) ? CONNECTION_WRITABLE
                                                                 : CONNECTION_READABLE;
        break;
    case CONNECTION_OPEN:
        events = connection->paused ? 0 : CONNECTION_READABLE;
        break;
    case CONNECTION_WRITING:
        events = CONNECTION_WRITABLE;
        break;
    case CONNECTION_LINGER:
        events = CONNECTION_READABLE;
        break;
    default:
        /* A message is under way: watched as before; if bytes come meanwhile, connection_ready()
         * stops watching. Most senders wait for their answer, so most messages cost no change. */
        return;
    }
    connection->world->watch(connection->world, connection, events);
}

void connection_ready(struct connection *connection, int events)
{
    (void)events;
    if (!connection_catch_up(connection)) {
        return;
    }
    switch (connection->state) {
    case CONNECTION_PROXY:
        connection_read_proxy(connection);
        break;
    case CONNECTION_HANDSHAKE:
        connection->world->watch(connection->world, connection, 0);
        connection->world->queue_handshake(connection->world, connection);
        break;
    case CONNECTION_OPEN:
        connection_run(connection);
        break;
    case CONNECTION_THROTTLED:
    case CONNECTION_EXCHANGE:
    case CONNECTION_WAITING:
        connection->world->watch(connection->world, connection, 0);
        break;
    case CONNECTION_WRITING:
        connection_flush(connection);
        if (connection->state == CONNECTION_OPEN) {
            connection_run(connection);
        }
        break;
    case CONNECTION_LINGER:
        connection_linger(connection);
        break;
    case CONNECTION_CLOSED:
        break;
    }
}

/* ---- draining, closing ---- */

static bool owes_answer(const struct connection *connection)
{
    return connection->state == CONNECTION_THROTTLED || connection->state == CONNECTION_EXCHANGE ||
           connection->state == CONNECTION_WAITING || connection->state == CONNECTION_WRITING;
}

void connection_close_when_answered(struct connection *connection, enum reason reason)
{
    if (connection->state == CONNECTION_LINGER || connection->state == CONNECTION_CLOSED) {
        return;
    }
    if (owes_answer(connection)) {
        connection->close_after = reason;
    } else {
        connection_close(connection, reason);
    }
}

void connection_drain(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN && mllp_decoder_in_frame(&connection->decoder)) {
        return; /* its frame may still end before the deadline; the answer is then the last */
    }
    connection_close_when_answered(connection, REASON_DRAIN);
}

static void log_closed(const struct connection *connection, enum reason reason)
{
    char address[INET6_ADDRSTRLEN];
    int64_t now = clock_wall_ms(connection->world->clock);

    address_text(&connection->source.any, address);
    LOG_EVENT(
        connection->spoke ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "connection-closed",
        LOG_INTEGER("connection", connection->id), LOG_STRING("listener", connection->config->name),
        LOG_STRING("peer", connection->peer == NULL ? NULL : connection->peer->name),
        LOG_STRING("address", address), LOG_STRING("reason", reason_code(reason)),
        LOG_STRING("words", reason_words(reason)), LOG_INTEGER("messages", connection->messages),
        LOG_INTEGER("seconds", (now - connection->opened_wall_ms) / 1000));
}

/* Ends our direction in good order: TLS clients take a missing close_notify for an attack. Not in
 * the middle of an answer. */
static void say_goodbye(struct connection *connection, enum reason reason)
{
    if (connection->peer != NULL && connection->out.length == 0 &&
        connection->state != CONNECTION_LINGER && reason != REASON_CONNECTION_RESET &&
        reason != REASON_TLS_ERROR) {
        stream_shutdown(&connection->stream);
    }
}

static void leave_limits(struct connection *connection)
{
    static const uint8_t left[16] = {255, 255, 255, 255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255, 255, 255, 255};

    if (memcmp(connection->address, left, sizeof(left)) != 0) {
        limits_leave_address(connection->world->limits, connection->config->name,
                             connection->address);
    }
    if (connection->counted_peer) {
        limits_leave_peer(connection->world->limits, connection->peer->name);
    }
}

void connection_close(struct connection *connection, enum reason reason)
{
    struct connection_world *world = connection->world;

    if (connection->state == CONNECTION_CLOSED) {
        return;
    }
    connection->closed = reason;
    log_closed(connection, reason);
    say_goodbye(connection, reason);
    if (connection->statistics != NULL) {
        statistics_connection_closed(world->statistics, connection->statistics, reason);
        metric_add(connection->statistics->connections, -1);
    }
    connection_set_state(connection, CONNECTION_CLOSED);
    connection->exchange_number++; /* an answer on its way misses */
    timers_stop(world->timers, &connection->timer);
    leave_limits(connection);
    exchange_clear(&connection->exchange);
    mllp_decoder_free(&connection->decoder);
    buffer_free(&connection->pending);
    buffer_free(&connection->out);
    connection_drop_notices(connection);
    connection_account(connection);
    list_remove(&connection->in_frames);
    list_remove(&connection->in_turn);
    list_remove(&connection->in_world);
    list_remove(&connection->undecided);
    world->watch(world, connection, -1); /* stop, before the descriptor is gone */
    stream_close(&connection->stream);
    snapshot_release(&connection->snapshot);
    world->release(world, connection);
}

void connection_free(struct connection *connection)
{
    free(connection);
}
