/*
 * One transaction for all that came: what was settled first, then the puts, so that a copy finds the
 * record of a message that was accepted a moment ago. Nothing of it shows outside before the commit.
 */
#include "spool/spool_private.h"

#include "base/log.h"

#include <errno.h>

/* ---- the group's end ---- */

static void group_answer(struct list_node *puts, const enum spool_outcome *outcome,
                         enum reason reason)
{
    struct list_node *node;

    while ((node = list_pop_front(puts)) != NULL) {
        struct spool_put *put = LIST_ENTRY(node, struct spool_put, node);
        if (outcome == NULL)
            spool_put_answer(put, put->outcome, put->reason);
        else
            spool_put_answer(put, *outcome, reason);
    }
}

static void group_committed(struct spool *spool)
{
    static const enum spool_outcome safe = SPOOL_SAFE;
    struct list_node *node;

    spool->group_bytes = 0; /* no trouble that comes before the next group is this one's */
    spool_recover(spool);
    group_answer(&spool->committing, &safe, REASON_NONE);
    group_answer(&spool->answered, NULL, REASON_NONE);
    while ((node = list_pop_front(&spool->born)) != NULL) {
        spool_holding_push(LIST_ENTRY(node, struct spool_holding, node));
    }
    spool_settlements_finish(spool);
}

static void group_forget_born(struct spool *spool)
{
    struct list_node *node;

    while ((node = list_pop_front(&spool->born)) != NULL) {
        struct spool_holding *holding = LIST_ENTRY(node, struct spool_holding, node);
        spool_holding_back(holding);
        spool_holding_free(holding);
    }
}

/* As it was before the group looked at it. Copies of it keep waiting for it. */
static void put_requeue(struct spool *spool, struct spool_put *put)
{
    list_remove(&put->in_under_way);
    list_remove(&put->node);
    spool_put_forget_outcome(put);
    list_prepend(&spool->puts, &put->node);
    spool->put_count++;
}

/* The last first, each to the front: all are looked at again in the order in which they came. What was
 * answered from a record is, too: the record may have been of the transaction that is gone. */
static void group_requeue_puts(struct spool *spool)
{
    while (!list_empty(&spool->committing))
        put_requeue(spool, LIST_ENTRY(spool->committing.prev, struct spool_put, node));
    LIST_FOREACH_SAFE(node, next, &spool->answered) {
        struct spool_put *put = LIST_ENTRY(node, struct spool_put, node);
        if (put->outcome == SPOOL_SAFE)
            put_requeue(spool, put);
    }
}

/* The group was rolled back because of one entry: it is taken out, the others are tried again. */
static void group_leave_out(struct spool *spool, int error)
{
    struct spool_put *put = spool->unwritable_put;

    group_forget_born(spool);
    if (put != NULL) {
        list_remove(&put->node);
        spool_put_forget_outcome(put);
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-message-unwritable",
                  LOG_STRING("reason", strerror(-error)), LOG_STRING("peer", put->message->peer),
                  LOG_CONTROL_ID(put->message->control_id));
        spool_put_answer(put, SPOOL_UNAVAILABLE, REASON_SPOOL_ERROR);
    }
    group_requeue_puts(spool);
    spool_lanes_refresh(spool, NULL); /* rows counted as waiting are not there */
    if (spool->unwritable_settlement != NULL)
        spool_settlement_unwritable(spool, spool->unwritable_settlement, error);
}

/* Nothing of the group is on disk: whoever waits hears so, and what was settled stays to be written. */
static void group_take_back(struct spool *spool)
{
    static const enum spool_outcome unavailable = SPOOL_UNAVAILABLE;

    group_forget_born(spool);
    LIST_FOREACH_SAFE(each, next, &spool->answered) {
        /* Its record may have been of this very transaction. */
        struct spool_put *put = LIST_ENTRY(each, struct spool_put, node);
        if (put->outcome == SPOOL_SAFE) {
            spool_put_forget_outcome(put);
            put->reason = spool_failure_reason(spool);
        }
    }
    group_answer(&spool->committing, &unavailable, spool_failure_reason(spool));
    group_answer(&spool->answered, NULL, REASON_NONE);
    spool_lanes_refresh(spool, NULL); /* rows counted as waiting are not there */
}

/* A repeat of a message that is safe needs no disk to be written. */
static bool refused_is_safe(struct spool *spool, struct spool_put *put)
{
    struct spool_record record = {0};

    if (put->message->control_id.length == 0 || put->sequence_set ||
        spool_backend_record_find(spool->backend, put->message->digest, spool_wall(spool),
                                  &record) < 0)
        return false;
    spool_put_from_record(spool, put, &record);
    spool_record_clear(&record);
    return true;
}

/* While the disk fails or is full: no wait, no load on it between two probes. */
static void group_refuse(struct spool *spool)
{
    struct list_node *node;

    while ((node = list_pop_front(&spool->puts)) != NULL) {
        struct spool_put *put = LIST_ENTRY(node, struct spool_put, node);
        spool->put_count--;
        if (!refused_is_safe(spool, put))
            spool_put_answer(put, SPOOL_UNAVAILABLE, spool_failure_reason(spool));
    }
    group_answer(&spool->answered, NULL, REASON_NONE);
}

/* A probe with nothing to write would prove nothing. No listener has an empty name. */
static int group_write_probe(struct spool *spool)
{
    if (spool->failure == 0 || spool->group_size > 0)
        return 0;
    return spool_backend_sequence_put(spool->backend, "/probe", 0);
}

static int group_transaction(struct spool *spool, int64_t now_ms)
{
    int result = spool_backend_begin(spool->backend);

    if (result < 0)
        return result;
    result = spool_settlements_write(spool, now_ms);
    if (result == 0 && !spool->intake_closed)
        result = spool_puts_write(spool, now_ms);
    if (result == 0)
        result = group_write_probe(spool);
    if (result < 0) {
        spool_backend_rollback(spool->backend);
        return result;
    }
    int64_t began = clock_monotonic_ns();
    result = spool_backend_commit(spool->backend);
    if (result == 0 && spool->group_size > 0)
        spool_metrics_commit(spool, spool->group_size, clock_monotonic_ns() - began);
    return result;
}

/* Each round writes the group or has one entry less in it. */
static int group_try(struct spool *spool)
{
    for (;;) {
        spool->group_size = 0;
        spool->group_bytes = 0;
        spool->unwritable_put = NULL;
        spool->unwritable_settlement = NULL;
        int result = group_transaction(spool, spool_wall(spool));
        if (spool->unwritable_put == NULL && spool->unwritable_settlement == NULL)
            return result;
        group_leave_out(spool, result);
    }
}

/* The disk is full. Puts are given up; what was settled gets all the room there is, for it is what
 * makes room. */
static int group_without_puts(struct spool *spool)
{
    int result = -ENOSPC;

    spool_close_intake(spool);
    group_take_back(spool);
    for (int all = 0; all <= 1 && result == -ENOSPC; all++) {
        spool_backend_make_room(spool->backend, all == 1);
        result = group_try(spool);
    }
    return result;
}

void spool_group_run(struct spool *spool)
{
    if (spool->failure != 0 && !spool->probe_due) {
        group_refuse(spool);
        return;
    }
    if (spool->intake_closed && spool->failure == 0 && spool->probe_due)
        spool_probe_intake(spool);
    if (spool->intake_closed)
        group_refuse(spool);
    if (list_empty(&spool->puts) && list_empty(&spool->settlements) && spool->failure == 0) {
        spool_check_full(spool);
        return;
    }
    int result = group_try(spool);
    if (result == -ENOSPC)
        result = group_without_puts(spool);
    if (result < 0) {
        spool_fail(spool, result);
        spool_settlements_failed(spool);
        group_take_back(spool);
    } else {
        group_committed(spool);
    }
    spool_check_full(spool);
}
