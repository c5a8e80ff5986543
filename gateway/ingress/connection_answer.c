/* From messages to answers: judging, the spool, waiting. */
#include "base/log.h"
#include "ingress/connection_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WAIT_STEP_MS 200 /* unavailable, on_unavailable = wait: how often it is tried again */
#define LATE_MS 1000 /* delivered: the route keeps the deadline; this is the worker's backstop */

struct exchange_time connection_answer_time(const struct connection *connection)
{
    return (struct exchange_time){clock_wall_ms(connection->world->clock),
                                  connection->world->zone_minutes};
}

static void log_message_refused(const struct connection *connection, struct span control_id,
                                const struct exchange_result *result)
{
    char at[32] = "";

    if (result->has_offset) {
        snprintf(at, sizeof(at), "byte %zu", result->offset);
    }
    LOG_EVENT(LOG_LEVEL_AUDIT, "message-refused", LOG_INTEGER("connection", connection->id),
              LOG_STRING("listener", connection->config->name),
              LOG_STRING("peer", connection->peer->name), LOG_CONTROL_ID(control_id),
              LOG_STRING("reason", reason_code(result->reason)),
              LOG_STRING("words", reason_words(result->reason)), LOG_STRING("at", at),
              LOG_STRING("store", result->verdict == NULL ? NULL : result->verdict->reason));
}

void connection_count_answer(struct connection *connection, const struct exchange_sent *sent)
{
    for (size_t i = 0; i < sent->count; i++) {
        statistics_acknowledged(connection->statistics, sent->codes[i]);
    }
    if (sent->unknown_condition &&
        limits_first_warning(connection->world->limits, connection->peer->name)) {
        LOG_EVENT(LOG_LEVEL_WARNING, "acknowledgment-condition-unknown",
                  LOG_INTEGER("connection", connection->id),
                  LOG_STRING("peer", connection->peer->name),
                  LOG_STRING("words", "MSH-15 or MSH-16 is outside table 0155: counted as AL"));
    }
}

static void note_refused(struct connection *connection, struct span control_id,
                         const struct exchange_result *result)
{
    connection->refused++;
    log_message_refused(connection, control_id, result);
    statistics_message_refused(connection->world->statistics, connection->statistics,
                               result->reason);
}

void connection_give_up(struct connection *connection, enum reason reason)
{
    struct exchange_result result = {.reason = reason};

    note_refused(connection, connection->exchange.message->control_id, &result);
    connection_close(connection, reason);
}

/* Builds the answer for the exchange in hand and sends it. */
static void give_answer(struct connection *connection, const struct exchange_result *result)
{
    struct exchange_policy policy = connection_policy(connection);
    struct exchange_time time = connection_answer_time(connection);
    struct exchange_sent sent;

    if (result->outcome != ACK_OUTCOME_ACCEPTED) {
        note_refused(connection, connection->exchange.message->control_id, result);
    }
    if (exchange_answer(&connection->exchange, &policy, result, &time,
                        &connection->world->answer_scratch, &connection->out, &sent) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    connection_count_answer(connection, &sent);
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

/* The routes of now and what they demand, also for a connection that the snapshot of now refuses and that
 * only waits for its last answer: what goes to a route that has been removed would be acknowledged and
 * stay. */
static struct exchange_policy put_policy(const struct connection *connection)
{
    struct exchange_policy policy = connection_policy(connection);
    const struct snapshot *now = connection->world->snapshot;
    int listener = snapshot_find_listener(now, connection->config->name);

    if (listener >= 0) {
        policy.routes = now->listeners[listener].routes;
        policy.route_count = now->listeners[listener].route_count;
        policy.demand = now->listeners[listener].demand;
    }
    return policy;
}

static struct spool_put *make_put(struct connection *connection,
                                  const struct exchange_policy *policy)
{
    struct spool_target *targets = calloc(policy->route_count, sizeof(*targets));
    char(*lanes)[EXCHANGE_LANE_BYTES] = calloc(policy->route_count, sizeof(*lanes));
    struct spool_put *put = NULL;

    if (targets != NULL && lanes != NULL) {
        for (size_t i = 0; i < policy->route_count; i++) {
            exchange_lane(&connection->exchange, policy->routes[i], lanes[i]);
            targets[i] = (struct spool_target){policy->routes[i]->name, lanes[i]};
        }
        struct message *message = message_reference(connection->exchange.message);
        put = spool_put_new(message, targets, policy->route_count);
        if (put == NULL) {
            message_release(&message);
        }
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

/* A reload has led the listener to another store meanwhile, which would not take the message. */
static void refuse_waiting(struct connection *connection)
{
    struct exchange_result result = connection->exchange.result;

    if (connection->exchange.sequence_set) {
        result.sequence = connection->exchange.sequence_last; /* not taken: expected still */
    }
    give_answer(connection, &result);
    if (connection->state == CONNECTION_OPEN) {
        connection_run_answered(connection);
    }
}

void connection_put_again(struct connection *connection)
{
    struct exchange_policy policy = put_policy(connection);
    bool delivered = connection->config->acknowledge == CONFIG_ACKNOWLEDGE_DELIVERED;
    struct spool_put *put;
    bool meets = false;

    if (exchange_meets(&connection->exchange, &policy.demand, &meets) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    if (!meets) {
        refuse_waiting(connection);
        return;
    }
    put = make_put(connection, &policy);
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

/* An acknowledgment is never answered, but its block is committed all the same: a Release 2 source
 * would send it again otherwise. */
static void commit_ignored(struct connection *connection)
{
    if (!connection->config->commit_blocks) {
        return;
    }
    if (mllp_encode_commit(&connection->out, true) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    connection_flush(connection);
}

void connection_message(struct connection *connection, char *content, size_t length)
{
    struct exchange_policy policy = put_policy(connection);
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
        commit_ignored(connection);
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

    if (!connection_catch_up(connection) || connection->state != CONNECTION_EXCHANGE ||
        put->exchange != connection->exchange_number) {
        return; /* closed, or given up at its deadline */
    }
    exchange_result_of_put(put, &result);
    if (result.outcome != ACK_OUTCOME_ACCEPTED && connection->exchange.sequence_set) {
        result.sequence = connection->exchange.sequence_last; /* not taken: expected still */
    }
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
        connection_run_answered(connection);
    }
}

/* ---- frames that never became a message ---- */

/* Whom the answer would be about is known only when the header segment is whole: a control id that
 * was cut off could be another message's. */
static bool fragment_has_header(const struct batch *batch, struct span content)
{
    struct span segment = batch->header.segment;
    struct msh header;

    return batch->has_header && msh_read(segment, &header, NULL) == MSH_OK &&
           segment.data + segment.length < content.data + content.length &&
           !msh_is_acknowledgment(&header);
}

/* A negative answer for content that is not (wholly) there: built from the header alone. */
static int answer_fragment(struct connection *connection, const struct exchange_result *result,
                           struct exchange_sent *ret_sent)
{
    struct exchange_policy policy = connection_policy(connection);
    struct exchange_time time = connection_answer_time(connection);
    struct exchange fragment = {.result = *result, .header_usable = true};
    struct span content = mllp_decoder_content(&connection->decoder);
    bool known;

    *ret_sent = (struct exchange_sent){.close = false};
    (void)batch_read(content, &fragment.batch, NULL); /* what is missing has no header to read */
    known = fragment_has_header(&fragment.batch, content);
    note_refused(connection, known ? fragment.batch.header.control_id : span_of(NULL, 0), result);
    if (!known) {
        return 0;
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
    if (connection->config->abandoned_frame == CONFIG_ABANDONED_CLOSE) {
        connection_close(connection, REASON_FRAME_ABANDONED);
        return;
    }
    /* A Release 2 sender waits for one commit block for one content block: what is said of the lost
     * frame it would take for the commit of the frame that has just begun. */
    if (connection->config->abandoned_frame == CONFIG_ABANDONED_SILENT ||
        connection->config->commit_blocks) {
        connection->refused++;
        statistics_message_refused(connection->world->statistics, connection->statistics,
                                   REASON_FRAME_ABANDONED);
        return;
    }
    if (answer_fragment(connection, &result, &sent) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    connection_count_answer(connection, &sent);
    if (sent.close && sent.close_reason == REASON_NOTHING_MAY_BE_SENT) {
        /* The end of the connection is the only sign that may be given; the frame that has begun is
         * not to be lost over it. */
        connection->close_after = sent.close_reason;
        return;
    }
    if (sent.close) {
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
    connection_count_answer(connection, &sent);
    connection->close_after = REASON_FRAME_TOO_LARGE;
    if (sent.count == 0) {
        connection_close(connection, REASON_FRAME_TOO_LARGE);
        return;
    }
    connection_flush(connection);
}
