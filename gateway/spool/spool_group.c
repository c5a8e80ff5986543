/*
 * One transaction for all that came: what was settled first, then the puts, so that a copy finds the
 * record of a message that was accepted a moment ago. Nothing of it shows outside before the commit.
 */
#include "spool/spool_private.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
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

static enum reason failure_reason(const struct spool *spool)
{
    return spool->failure == ENOSPC ? REASON_SPOOL_FULL : REASON_SPOOL_ERROR;
}

/* ---- trouble ---- */

static void probe_later(struct spool *spool)
{
    spool->probe_due = false;
    if (timers_start(&spool->timers, &spool->probe, spool_monotonic(spool) + SPOOL_PROBE_MS) < 0)
        spool->probe_due = true; /* no memory for a timer: try at once */
}

void spool_fail(struct spool *spool, int error)
{
    probe_later(spool);
    metric_add(spool->counters.failures, 1);
    if (spool->group_bytes > spool->failed_bytes)
        spool->failed_bytes = spool->group_bytes;
    if (spool->failure == 0)
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-failed", LOG_STRING("reason", strerror(-error)),
                  LOG_STRING("consequence", "nothing is taken until it works again"));
    spool->failure = -error;
}

void spool_recover(struct spool *spool)
{
    if (spool->failure == ENOSPC &&
        !spool_backend_disk_room(spool->backend, 4 * spool->failed_bytes + SPOOL_DISK_ROOM)) {
        probe_later(spool);
        return;
    }
    spool->probe_due = false;
    if (spool->failure == 0)
        return;
    spool->failure = 0;
    spool->failed_bytes = 0;
    timers_stop(&spool->timers, &spool->probe);
    LOG_EVENT(LOG_LEVEL_WARNING, "spool-works-again",
              LOG_STRING("consequence", "messages are taken"));
}

/* What fails for everybody, and what another try may cure; or a damaged database, which can't be
 * written to for certain. Any other error is about the entry in hand (too long, too large, damaged):
 * it would fail again with each group that it is part of. */
bool spool_error_is_the_disks(int error)
{
    return error == -ENOSPC || error == -EIO || error == -EROFS || error == -EBUSY ||
           error == -ENOMEM || error == -EUCLEAN;
}

bool spool_error_is_the_lanes(int error)
{
    return error == -EUCLEAN || !spool_error_is_the_disks(error);
}

static void group_is_full(struct spool *spool, int64_t bytes, unsigned rows)
{
    spool->full_bytes = bytes + (int64_t)rows * SPOOL_ROW_OVERHEAD;
    if (!spool->full)
        LOG_EVENT(LOG_LEVEL_WARNING, "spool-full", LOG_STRING("reason", "maximum_bytes is reached"),
                  LOG_STRING("consequence", "messages are not taken until there is room"));
    spool->full = true;
}

int spool_transaction(struct spool *spool, int (*work)(struct spool *spool, void *context),
                      void *context)
{
    int result = spool_backend_begin(spool->backend);

    if (result == 0) {
        int done = work(spool, context);
        if (done < 0) {
            spool_backend_rollback(spool->backend);
            return done;
        }
        result = spool_backend_commit(spool->backend);
        if (result == 0)
            return done;
    }
    spool_fail(spool, result);
    return result;
}

/* ---- what is to be written down ---- */

/* Into the record that the put has left, for the sender's repeats: its own connection may be gone, and
 * the row goes, too. A record that is past its window, or discarded, is not made again. */
static int keep_verdict(struct spool *spool, const struct message *message, struct verdict verdict,
                        int64_t now_ms)
{
    struct spool_record record = {0};

    int result = spool_backend_record_find(spool->backend, message->digest, now_ms, &record);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    if (verdict.code[0] == '\0') /* no HL7 came; a refusal then has nothing to say of the content */
        snprintf(verdict.code, sizeof verdict.code, "%s",
                 verdict.kind == VERDICT_ACCEPTED ? "AA" : "AR");
    result = spool_backend_record_put(spool->backend, message, &verdict, record.recorded_ms);
    spool_record_clear(&record);
    return result;
}

static bool verdict_is_kept(const struct spool_holding *holding)
{
    enum verdict_kind kind = holding->entry.verdict.kind;

    return holding->task == TASK_SETTLE && (kind == VERDICT_ACCEPTED || kind == VERDICT_REFUSED) &&
           holding->entry.message->keep_verdict && holding->entry.message->control_id.length > 0;
}

static int group_write_settlement(struct spool *spool, struct spool_holding *holding,
                                  int64_t now_ms)
{
    const struct spool_entry *entry = &holding->entry;
    struct verdict verdict = entry->verdict; /* borrows the answer */
    int result = 0;

    if (holding->without_answer)
        verdict.answer = NULL;
    if (holding->task == TASK_RECORD) {
        if (entry->message->control_id.length > 0)
            result = spool_backend_record_put(spool->backend, entry->message, &verdict, now_ms);
        if (result == 0 && holding->sequence_key != NULL)
            result = spool_backend_sequence_put(spool->backend, holding->sequence_key,
                                                holding->sequence_last);
    } else if (!entry->released) {
        result = spool_backend_settle(spool->backend, entry->id, &verdict, entry->retry_due_wall_ms,
                                      holding->task == TASK_NOTE, entry->stop_lane, now_ms);
        if (result == 0 && verdict_is_kept(holding))
            result = keep_verdict(spool, entry->message, verdict, now_ms);
    }
    /* Gone already, or never leased: nothing of it can be written down, now or later. */
    return result == -ENOENT || result == -ESTALE ? 0 : result;
}

static int group_write_settlements(struct spool *spool, int64_t now_ms)
{
    LIST_FOREACH_SAFE(node, next, &spool->settlements) {
        struct spool_holding *holding = LIST_ENTRY(node, struct spool_holding, node);
        int result = group_write_settlement(spool, holding, now_ms);
        if (result < 0) {
            if (!spool_error_is_the_disks(result))
                spool->unwritable_settlement = holding;
            return result;
        }
        spool->group_size++;
    }
    return 0;
}

static void group_notice(struct spool *spool, struct spool_holding *holding)
{
    struct spool_entry *entry = &holding->entry;

    if (spool->on_notice == NULL || entry->message->connection == 0)
        return;
    struct spool_notice *notice = calloc(1, sizeof *notice);
    if (notice == NULL)
        return; /* the sender then has its commit acknowledgment only, as after a restart */
    notice->connection = entry->message->connection;
    notice->message = message_reference(entry->message);
    notice->verdict = entry->verdict;
    entry->verdict.answer = NULL;
    list_init(&notice->node);
    spool->on_notice(spool->notice_context, notice);
}

static void group_finish_settlement(struct spool *spool, struct spool_holding *holding)
{
    struct spool_lane *lane = holding->lane;
    const struct spool_entry *entry = &holding->entry;

    if (holding->task == TASK_SETTLE) {
        enum verdict_kind kind = entry->verdict.kind;
        bool final = kind == VERDICT_ACCEPTED || kind == VERDICT_REFUSED;
        spool_holding_back(holding);
        if (entry->released) {
            spool_backend_release(spool->backend, entry->id);
            spool_lane_hold(lane);
        }
        if (entry->released || !final)
            lane->waiting_rows++;
        else
            group_notice(spool, holding);
        if (!entry->released && kind == VERDICT_REFUSED && entry->stop_lane)
            lane->stopped = true;
        spool_lane_wants_pump(spool, lane);
    }
    spool_transient_recorded(holding);
    spool_holding_free(holding);
}

static void group_finish_settlements(struct spool *spool)
{
    struct list_node *node;

    while ((node = list_pop_front(&spool->settlements)) != NULL)
        group_finish_settlement(spool, LIST_ENTRY(node, struct spool_holding, node));
}

/* The row is queued on disk as before, and is handed out again: at least once. A lane that the sink
 * has stopped for it must take it back as its head. */
static void settlement_give_up(struct spool *spool, struct spool_holding *holding)
{
    const struct spool_entry *entry = &holding->entry;
    struct spool_lane *lane = holding->lane;

    spool_holding_back(holding);
    spool_backend_release(spool->backend, entry->id);
    if (entry->verdict.kind == VERDICT_REFUSED && entry->stop_lane)
        lane->resume_id = entry->id;
    spool_lane_hold(lane);
    spool_lane_refresh(spool, lane);
}

/* Tried once more without the store's answer, which is the part of any size; then dropped, or all
 * that comes behind it could never be written. */
static void settlement_is_unwritable(struct spool *spool, struct spool_holding *holding, int error)
{
    if (holding->entry.verdict.answer != NULL && !holding->without_answer) {
        holding->without_answer = true;
        return;
    }
    bool settles = holding->task == TASK_SETTLE;
    LOG_EVENT(LOG_LEVEL_ERROR, "spool-outcome-dropped", LOG_STRING("reason", strerror(-error)),
              LOG_INTEGER("entry", (int64_t)holding->entry.id),
              LOG_STRING("consequence", settles ? "the message stays queued and is sent again"
                                                : "it is not written down"));
    if (settles)
        settlement_give_up(spool, holding);
    spool_transient_recorded(holding);
    spool_holding_free(holding);
}

/* ---- puts ---- */

static void put_answer_from_record(struct spool *spool, struct spool_put *put,
                                   struct spool_record *record)
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
    put_answer_from_record(spool, put, &record);
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

static int put_store(struct spool *spool, struct spool_put *put, int64_t now_ms)
{
    int64_t bytes = (int64_t)put->message->body.length * (int64_t)put->target_count;
    int result = spool_backend_room(spool->backend, bytes, (unsigned)put->target_count);

    if (result == -ENOSPC) {
        group_is_full(spool, bytes, (unsigned)put->target_count);
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

static int group_write_puts(struct spool *spool, int64_t now_ms)
{
    int result = 0;

    for (int i = 0; i < spool->settings.group_rows && result == 0; i++) {
        struct list_node *node = list_pop_front(&spool->puts);
        if (node == NULL)
            break;
        spool->put_count--;
        spool->last_group = (size_t)i + 1;
        struct spool_put *put = LIST_ENTRY(node, struct spool_put, node);
        result = put_take(spool, put, now_ms);
        if (result < 0 && !spool_error_is_the_disks(result))
            spool->unwritable_put = put;
    }
    return result;
}

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

    spool_recover(spool);
    group_answer(&spool->committing, &safe, REASON_NONE);
    group_answer(&spool->answered, NULL, REASON_NONE);
    while ((node = list_pop_front(&spool->born)) != NULL) {
        spool_holding_push(LIST_ENTRY(node, struct spool_holding, node));
    }
    group_finish_settlements(spool);
}

static void put_forget_outcome(struct spool_put *put)
{
    put->repeated = false;
    verdict_clear(&put->verdict);
    put->outcome = SPOOL_UNAVAILABLE;
    put->reason = REASON_NONE;
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
    put_forget_outcome(put);
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
        put_forget_outcome(put);
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-message-unwritable",
                  LOG_STRING("reason", strerror(-error)), LOG_STRING("peer", put->message->peer),
                  LOG_CONTROL_ID(put->message->control_id));
        spool_put_answer(put, SPOOL_UNAVAILABLE, REASON_SPOOL_ERROR);
    }
    group_requeue_puts(spool);
    spool_lanes_refresh(spool, NULL); /* rows counted as waiting are not there */
    if (spool->unwritable_settlement != NULL)
        settlement_is_unwritable(spool, spool->unwritable_settlement, error);
}

/* Nothing of the group is on disk: whoever waits hears so, and what was settled stays to be written. */
static void group_failed(struct spool *spool, int error)
{
    static const enum spool_outcome unavailable = SPOOL_UNAVAILABLE;

    spool_fail(spool, error);
    group_forget_born(spool);
    LIST_FOREACH_SAFE(node, following, &spool->settlements) {
        spool_transient_recorded(LIST_ENTRY(node, struct spool_holding, node));
    }
    LIST_FOREACH_SAFE(each, next, &spool->answered) {
        /* Its record may have been of this very transaction. */
        struct spool_put *put = LIST_ENTRY(each, struct spool_put, node);
        if (put->outcome == SPOOL_SAFE) {
            put_forget_outcome(put);
            put->reason = failure_reason(spool);
        }
    }
    group_answer(&spool->committing, &unavailable, failure_reason(spool));
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
    put_answer_from_record(spool, put, &record);
    spool_record_clear(&record);
    return true;
}

/* While the disk fails: no wait, no load on it between two probes. */
static void group_refuse(struct spool *spool)
{
    struct list_node *node;

    while ((node = list_pop_front(&spool->puts)) != NULL) {
        struct spool_put *put = LIST_ENTRY(node, struct spool_put, node);
        spool->put_count--;
        if (!refused_is_safe(spool, put))
            spool_put_answer(put, SPOOL_UNAVAILABLE, failure_reason(spool));
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
    result = group_write_settlements(spool, now_ms);
    if (result == 0)
        result = group_write_puts(spool, now_ms);
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

/* Room again for what was refused last, and with some distance to the limit, so that the log does not
 * tell of every message. What can never fit doesn't keep an empty spool full. */
static void group_check_full(struct spool *spool)
{
    struct spool_totals totals;

    if (!spool->full)
        return;
    spool_backend_totals(spool->backend, &totals);
    if (totals.bytes > 0 &&
        spool_backend_room(spool->backend, spool->full_bytes + totals.bytes / 20, 0) < 0)
        return;
    spool->full = false;
    LOG_EVENT(LOG_LEVEL_WARNING, "spool-has-room", LOG_STRING("consequence", "messages are taken"));
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

void spool_group_run(struct spool *spool)
{
    if (spool->failure != 0 && !spool->probe_due) {
        group_refuse(spool);
        return;
    }
    if (list_empty(&spool->puts) && list_empty(&spool->settlements) && spool->failure == 0) {
        group_check_full(spool);
        return;
    }
    int result = group_try(spool);
    if (result < 0)
        group_failed(spool, result);
    else
        group_committed(spool);
    group_check_full(spool);
}
