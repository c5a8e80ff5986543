/* From messages to answers: judging, the spool, waiting, writing. */
#include "base/log.h"
#include "ingress/connection_internal.h"

#include <errno.h>
#include <stdlib.h>

#define WAIT_STEP_MS 200 /* unavailable, on_unavailable = wait: how often it is tried again */
#define LINGER_MS 2000   /* how long the rest of a refused frame is read away */
#define LATE_MS 1000 /* delivered: the route keeps the deadline; this is the worker's backstop */
#define NOTICES_MAXIMUM 1000
#define KEEP_BYTES 1024 /* an idle connection keeps no larger output buffer */

static struct exchange_time answer_time(const struct connection *connection)
{
    return (struct exchange_time){clock_wall_ms(connection->world->clock),
                                  connection->world->zone_minutes};
}

static void log_message_refused(const struct connection *connection, struct span control_id,
                                const struct exchange_result *result)
{
    LOG_EVENT(LOG_LEVEL_AUDIT, "message-refused", LOG_INTEGER("connection", connection->id),
              LOG_STRING("listener", connection->config->name),
              LOG_STRING("peer", connection->peer->name), LOG_CONTROL_ID(control_id),
              LOG_STRING("reason", reason_code(result->reason)),
              LOG_STRING("words", reason_words(result->reason)),
              LOG_STRING("store", result->verdict == NULL ? NULL : result->verdict->reason));
}

static void count_answer(struct connection *connection, const struct exchange_sent *sent)
{
    for (size_t i = 0; i < sent->count; i++) {
        statistics_acknowledged(connection->statistics, sent->codes[i]);
    }
    if (sent->unknown_condition && connection->statistics != NULL &&
        !connection->statistics->warned_condition) {
        connection->statistics->warned_condition = true;
        LOG_EVENT(LOG_LEVEL_WARNING, "acknowledgment-condition-unknown",
                  LOG_INTEGER("connection", connection->id),
                  LOG_STRING("peer", connection->peer->name),
                  LOG_STRING("words", "MSH-15 or MSH-16 is outside table 0155: counted as AL"));
    }
}

/* Builds the answer for the exchange in hand and sends it. */
static void give_answer(struct connection *connection, const struct exchange_result *result)
{
    struct exchange_policy policy = connection_policy(connection);
    struct exchange_time time = answer_time(connection);
    struct exchange_sent sent;

    if (result->outcome != ACK_OUTCOME_ACCEPTED) {
        struct span id = connection->exchange.message->control_id;
        connection->refused++;
        log_message_refused(connection, id, result);
        statistics_message_refused(connection->world->statistics, connection->statistics,
                                   result->reason);
    }
    if (exchange_answer(&connection->exchange, &policy, result, &time,
                        &connection->world->answer_scratch, &connection->out, &sent) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    count_answer(connection, &sent);
    if (connection->statistics != NULL) {
        metric_observe_ns(connection->statistics->acknowledge_seconds,
                          clock_monotonic_ns() - connection->message_complete_ns);
    }
    exchange_clear(&connection->exchange);
    if (sent.close) {
        connection_close(connection, sent.close_reason);
        return;
    }
    connection_flush(connection);
}

/* ---- to the spool ---- */

static struct spool_put *make_put(struct connection *connection)
{
    struct exchange_policy policy = connection_policy(connection);
    struct spool_target *targets = calloc(policy.route_count, sizeof(*targets));
    char(*lanes)[EXCHANGE_LANE_BYTES] = calloc(policy.route_count, sizeof(*lanes));
    struct spool_put *put = NULL;

    if (targets != NULL && lanes != NULL) {
        for (size_t i = 0; i < policy.route_count; i++) {
            exchange_lane(&connection->exchange, policy.routes[i], lanes[i]);
            targets[i] = (struct spool_target){policy.routes[i]->name, lanes[i]};
        }
        put = spool_put_new(message_reference(connection->exchange.message), targets,
                            policy.route_count);
    }
    free(targets);
    free(lanes);
    return put;
}

static bool set_sequence(struct connection *connection, struct spool_put *put)
{
    if (!connection->exchange.sequence_set) {
        return true;
    }
    put->sequence_set = true;
    put->sequence_last = connection->exchange.sequence_last;
    put->sequence_key = sequences_key(connection->config->name, connection->peer->name);
    return put->sequence_key != NULL;
}

void connection_put_again(struct connection *connection)
{
    struct spool_put *put = make_put(connection);
    bool delivered = connection->config->acknowledge == CONFIG_ACKNOWLEDGE_DELIVERED;

    if (put == NULL || !set_sequence(connection, put)) {
        spool_put_free(&put);
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    put->connection = connection->id;
    put->exchange = ++connection->exchange_number;
    put->delivered = delivered;
    put->wait = connection->config->on_unavailable == CONFIG_ON_UNAVAILABLE_WAIT;
    put->deadline_ms = connection->state_deadline_ms - (delivered ? LATE_MS : 0);
    connection_set_state(connection, CONNECTION_EXCHANGE);
    connection->world->put(connection->world, connection, put);
}

static void begin_exchange(struct connection *connection)
{
    bool delivered = connection->config->acknowledge == CONFIG_ACKNOWLEDGE_DELIVERED;

    connection->state_deadline_ms = connection_now(connection) +
                                    connection->config->answer_deadline_ms +
                                    (delivered ? LATE_MS : 0);
    connection_put_again(connection);
}

void connection_submit(struct connection *connection)
{
    int64_t now = connection_now(connection);
    int64_t wait = limits_message_wait_ms(connection->world->limits, connection->peer->name,
                                          connection->peer->messages_per_second, now);

    if (wait > 0) {
        connection->retry_ms = now + wait;
        connection_set_state(connection, CONNECTION_THROTTLED);
        return;
    }
    begin_exchange(connection);
}

void connection_message(struct connection *connection, char *content, size_t length)
{
    struct exchange_policy policy = connection_policy(connection);
    enum exchange_action action = EXCHANGE_IGNORE;
    long last = SEQUENCE_NONE;

    connection->message_complete_ns = clock_monotonic_ns();
    connection->messages++;
    connection->last_message_wall_ms = clock_wall_ms(connection->world->clock);
    if (connection->statistics != NULL) {
        metric_add(connection->statistics->messages, 1);
        metric_add(connection->statistics->bytes, (int64_t)length);
    }
    if (connection->config->sequence_numbers) {
        last = sequences_get(connection->world->sequences, connection->config->name,
                             connection->peer->name);
    }
    if (exchange_judge(&connection->exchange, &policy, content, length, connection->id,
                       connection->last_message_wall_ms, last, &action) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    switch (action) {
    case EXCHANGE_PUT:
        connection_submit(connection);
        break;
    case EXCHANGE_ANSWER:
        give_answer(connection, &connection->exchange.result);
        break;
    case EXCHANGE_IGNORE:
        exchange_clear(&connection->exchange);
        if (connection->close_after != REASON_NONE) {
            connection_close(connection, connection->close_after);
        }
        break;
    }
}

/* ---- the spool's answer ---- */

static bool may_wait(const struct connection *connection, const struct exchange_result *result,
                     const struct spool_put *put)
{
    return result->unavailable && !put->delivered && !connection->world->draining &&
           connection->config->on_unavailable == CONFIG_ON_UNAVAILABLE_WAIT &&
           connection_now(connection) < connection->state_deadline_ms;
}

static void wait_and_try_again(struct connection *connection, enum reason reason)
{
    connection->waiting_reason = reason;
    connection->retry_ms = connection_now(connection) + WAIT_STEP_MS;
    connection_set_state(connection, CONNECTION_WAITING);
    connection_arm(connection);
}

void connection_answer(struct connection *connection, struct spool_put *put)
{
    struct exchange_result result = connection->exchange.result;

    if (connection->state != CONNECTION_EXCHANGE || put->exchange != connection->exchange_number) {
        return; /* closed, or given up at its deadline */
    }
    exchange_result_of_put(put, &result);
    if (may_wait(connection, &result, put)) {
        wait_and_try_again(connection, result.reason);
        return;
    }
    if (put->repeated && connection->statistics != NULL) {
        metric_add(connection->statistics->repeated, 1);
    }
    if (result.outcome == ACK_OUTCOME_ACCEPTED && connection->exchange.sequence_set &&
        sequences_set(connection->world->sequences, connection->config->name,
                      connection->peer->name, connection->exchange.sequence_last) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    give_answer(connection, &result);
    if (connection->state == CONNECTION_OPEN) {
        connection_run(connection);
    }
}

/* ---- frames that never became a message ---- */

/* A negative answer for content that is not (wholly) there: built from the header alone. */
static int answer_fragment(struct connection *connection, const struct exchange_result *result,
                           struct exchange_sent *ret_sent)
{
    struct exchange_policy policy = connection_policy(connection);
    struct exchange_time time = answer_time(connection);
    struct exchange fragment = {.result = *result};
    enum msh_problem problem =
        batch_read(mllp_decoder_content(&connection->decoder), &fragment.batch, NULL);

    *ret_sent = (struct exchange_sent){.close = false};
    fragment.header_usable = fragment.batch.header.encoding.length > 0;
    connection->refused++;
    log_message_refused(connection, fragment.batch.header.control_id, result);
    statistics_message_refused(connection->world->statistics, connection->statistics,
                               result->reason);
    if (problem != MSH_OK || msh_is_acknowledgment(&fragment.batch.header)) {
        return 0; /* nobody could tell what the answer is about */
    }
    return exchange_answer(&fragment, &policy, result, &time, &connection->world->answer_scratch,
                           &connection->out, ret_sent);
}

void connection_frame_abandoned(struct connection *connection)
{
    struct exchange_result result = {
        .outcome = ACK_OUTCOME_ERROR,
        .reason = REASON_FRAME_ABANDONED,
        .error = ACK_ERROR_INTERNAL,
    };
    struct exchange_sent sent;

    if (connection->statistics != NULL) {
        metric_add(connection->statistics->abandoned_frames, 1);
    }
    switch (connection->config->abandoned_frame) {
    case CONFIG_ABANDONED_CLOSE:
        connection_close(connection, REASON_FRAME_ABANDONED);
        return;
    case CONFIG_ABANDONED_SILENT:
        connection->refused++;
        statistics_message_refused(connection->world->statistics, connection->statistics,
                                   REASON_FRAME_ABANDONED);
        return;
    case CONFIG_ABANDONED_NACK:
        break;
    }
    if (answer_fragment(connection, &result, &sent) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    count_answer(connection, &sent);
    if (sent.close && sent.close_reason != REASON_NOTHING_MAY_BE_SENT) {
        connection_close(connection, sent.close_reason);
        return;
    }
    connection_flush(connection);
}

void connection_frame_too_large(struct connection *connection)
{
    struct exchange_result result = {
        .outcome = ACK_OUTCOME_REJECT,
        .reason = REASON_FRAME_TOO_LARGE,
        .error = ACK_ERROR_INTERNAL,
    };
    struct exchange_sent sent;

    if (answer_fragment(connection, &result, &sent) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    count_answer(connection, &sent);
    connection->close_after = REASON_FRAME_TOO_LARGE;
    if (sent.count == 0) {
        connection_close(connection, REASON_FRAME_TOO_LARGE);
        return;
    }
    connection_flush(connection);
}

/* ---- writing ---- */

/* Closing a socket with unread bytes resets it and may take the answer with it: so end our
 * direction, and read the rest away for a moment. */
static void begin_linger(struct connection *connection)
{
    stream_shutdown(&connection->stream);
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
    struct exchange_time time = answer_time(connection);
    struct exchange_sent sent;
    int error =
        exchange_application_answer(notice->message, &notice->verdict, &policy, &time,
                                    &connection->world->answer_scratch, &connection->out, &sent);

    if (error == 0) {
        count_answer(connection, &sent);
    }
    return error;
}

void connection_send_notices(struct connection *connection)
{
    struct list_node *node;

    while ((node = list_pop_front(&connection->notices)) != NULL) {
        struct spool_notice *notice = LIST_ENTRY(node, struct spool_notice, node);
        int error = append_notice(connection, notice);
        spool_notice_free(&notice);
        if (error != 0) {
            connection_close(connection, REASON_OUT_OF_MEMORY);
            return;
        }
    }
    connection_flush(connection);
}

void connection_notice(struct connection *connection, struct spool_notice *notice)
{
    size_t waiting = 0;

    LIST_FOREACH_SAFE(node, next, &connection->notices) {
        waiting++;
    }
    if (connection->state == CONNECTION_CLOSED || waiting >= NOTICES_MAXIMUM) {
        spool_notice_free(&notice);
        return;
    }
    list_append(&connection->notices, &notice->node);
    if (connection->state == CONNECTION_OPEN) {
        connection_run(connection);
    }
}
