/*
 * One put after another: answered from its record, joined to its copy under way, or written.
 */
#include "spool/spool_private.h"

#include <errno.h>
#include <stdlib.h>

/* ---- answers ---- */

static void put_deliver_answer(struct mail *mail)
{
    struct spool_put *put =
        (struct spool_put *)(void *)((char *)mail - offsetof(struct spool_put, mail));

    put->on_answer(put);
}

static void put_post(struct spool_put *put)
{
    put->mail.deliver = put_deliver_answer;
    mailbox_post(put->reply_to, &put->mail);
}

/* Copies that came meanwhile get what the first one got. */
static void put_answer_waiters(struct spool_put *put)
{
    struct list_node *node;

    while ((node = list_pop_front(&put->waiters)) != NULL) {
        struct spool_put *waiter = LIST_ENTRY(node, struct spool_put, node);
        waiter->outcome = put->outcome;
        waiter->reason = put->reason;
        waiter->repeated = true;
        verdict_clear(&waiter->verdict);
        waiter->verdict = put->verdict;
        answer_bytes_reference(waiter->verdict.answer);
        metric_add(put->spool->counters.retransmissions, 1);
        put_post(waiter);
    }
}

void spool_put_answer(struct spool_put *put, enum spool_outcome outcome, enum reason reason)
{
    put->outcome = outcome;
    put->reason = reason;
    list_remove(&put->in_under_way);
    put_answer_waiters(put);
    put_post(put);
}

/* ---- puts ---- */

void spool_put_from_record(struct spool *spool, struct spool_put *put, struct spool_record *record)
{
    put->outcome = SPOOL_SAFE;
    put->repeated = true;
    put->verdict.kind =
        record->code[0] == '\0' || record->code[1] == 'A' ? VERDICT_ACCEPTED : VERDICT_REFUSED;
    memcpy(put->verdict.code, record->code, sizeof put->verdict.code);
    put->verdict.answer = record->answer;
    put->verdict.answer_is_hl7 = record->answer_is_hl7;
    record->answer = NULL;
    metric_add(spool->counters.retransmissions, 1);
    list_append(&spool->answered, &put->node);
}

static int put_write_sequence(struct spool *spool, const struct spool_put *put)
{
    if (!put->sequence_set || put->sequence_key == NULL)
        return 0;
    return spool_backend_sequence_put(spool->backend, put->sequence_key, put->sequence_last);
}

/* 1: the put needs nothing more. */
static int put_is_repeat(struct spool *spool, struct spool_put *put, int64_t now_ms)
{
    const uint8_t *digest = put->message->digest;
    struct spool_record record = {0};

    if (put->message->control_id.length == 0)
        return 0;
    struct spool_put *first = spool_under_way_find(spool, digest);
    if (first != NULL) {
        list_append(&first->waiters, &put->node);
        return 1;
    }
    int result = spool_backend_record_find(spool->backend, digest, now_ms, &record);
    if (result == -ENOENT)
        return 0;
    if (result < 0)
        return result;
    spool_put_from_record(spool, put, &record);
    spool_record_clear(&record);
    result = put_write_sequence(spool, put);
    return result < 0 ? result : 1;
}

static int put_store_target(struct spool *spool, struct spool_put *put,
                            const struct spool_target *target, int64_t now_ms)
{
    struct spool_lane *lane = spool_lane_get(spool, target->route, target->lane);
    struct message *message = put->message;
    struct spool_holding *holding = NULL;
    uint64_t id = 0;

    if (lane == NULL)
        return -ENOMEM;
    if (spool_lane_flows(spool, lane) && lane->waiting_rows == 0 && list_empty(&lane->transients) &&
        spool_lane_has_room(spool, lane, (int64_t)message->body.length))
        holding = spool_holding_new(spool, lane, message, 0);
    int result = spool_backend_put(spool->backend, message, target->route, target->lane,
                                   holding != NULL, now_ms, &id);
    if (result < 0) {
        spool_holding_free(holding);
        return result;
    }
    spool->group_size++;
    if (holding == NULL) {
        lane->waiting_rows++;
        if (lane->out_count == 0 && spool_lane_flows(spool, lane))
            spool_lane_wants_pump(spool, lane); /* nothing comes back that would do it */
        return 0;
    }
    holding->entry.id = id;
    spool_holding_out(holding); /* counts now, so that a group keeps to the window */
    list_append(&spool->born, &holding->node);
    return 0;
}

static int64_t put_bytes(const struct spool_put *put)
{
    return put->delivered ? 0 : (int64_t)put->message->body.length * (int64_t)put->target_count;
}

static int put_store(struct spool *spool, struct spool_put *put, int64_t now_ms)
{
    int64_t bytes = put_bytes(put);
    int result = 0;

    if (!spool_takes(spool, bytes, (unsigned)put->target_count)) {
        put->outcome = SPOOL_UNAVAILABLE;
        put->reason = REASON_SPOOL_FULL;
        list_append(&spool->answered, &put->node);
        return 0;
    }
    spool->group_bytes += bytes;
    /* From here on it is on the list that tells a failed group whom to answer. */
    list_append(&spool->committing, &put->node);
    spool_under_way_add(spool, put);
    for (size_t i = 0; i < put->target_count; i++) {
        result = put_store_target(spool, put, &put->targets[i], now_ms);
        if (result < 0)
            return result;
    }
    if (put->message->control_id.length > 0)
        result = spool_backend_record_put(spool->backend, put->message, NULL, now_ms);
    if (result == 0)
        result = put_write_sequence(spool, put);
    return result;
}

static int put_take(struct spool *spool, struct spool_put *put, int64_t now_ms)
{
    int result = put_is_repeat(spool, put, now_ms);

    if (result == 1)
        return 0;
    if (result == 0 && put->target_count == 0)
        result = -EINVAL; /* nowhere to go: it must not be called safe */
    if (result < 0) {
        list_remove(&put->node); /* it may have been answered from its record */
        list_append(&spool->committing, &put->node);
        return result;
    }
    return put->delivered ? spool_transient_put(spool, put) : put_store(spool, put, now_ms);
}

int spool_puts_write(struct spool *spool, int64_t now_ms)
{
    int result = 0;

    for (int i = 0; i < spool->settings.group_rows && result == 0; i++) {
        if (list_empty(&spool->puts))
            break;
        struct spool_put *put = LIST_ENTRY(spool->puts.next, struct spool_put, node);
        if (!spool_group_takes(spool, put_bytes(put)))
            break; /* the next group's first */
        list_remove(&put->node);
        spool->put_count--;
        spool->last_group = (size_t)i + 1;
        result = put_take(spool, put, now_ms);
        if (result < 0 && !spool_error_is_the_disks(result))
            spool->unwritable_put = put;
    }
    return result;
}

void spool_put_forget_outcome(struct spool_put *put)
{
    put->repeated = false;
    verdict_clear(&put->verdict);
    put->outcome = SPOOL_UNAVAILABLE;
    put->reason = REASON_NONE;
}
