/*
 * What was settled: written down with the group, and what becomes of it once that is committed.
 */
#include "spool/spool_private.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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

static int settlement_write(struct spool *spool, struct spool_holding *holding, int64_t now_ms)
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

/* Nothing is left out as long as puts follow: a copy must find what was accepted before it came. */
static bool settlements_are_enough(const struct spool *spool, int64_t answer_bytes)
{
    return spool->intake_closed &&
           (spool->settled >= SPOOL_ROWS_FULL || answer_bytes >= SPOOL_SETTLE_BYTES_FULL);
}

int spool_settlements_write(struct spool *spool, int64_t now_ms)
{
    int64_t answer_bytes = 0;

    spool->settled = 0;
    LIST_FOREACH_SAFE(node, next, &spool->settlements) {
        struct spool_holding *holding = LIST_ENTRY(node, struct spool_holding, node);
        const struct answer_bytes *answer = holding->entry.verdict.answer;
        if (settlements_are_enough(spool, answer_bytes))
            break;
        int result = settlement_write(spool, holding, now_ms);
        if (result < 0) {
            if (!spool_error_is_the_disks(result))
                spool->unwritable_settlement = holding;
            return result;
        }
        if (answer != NULL)
            answer_bytes += (int64_t)answer->length;
        spool->settled++;
        spool->group_size++;
    }
    return 0;
}

static void settlement_notice(struct spool *spool, struct spool_holding *holding)
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

static void settlement_finish(struct spool *spool, struct spool_holding *holding)
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
            settlement_notice(spool, holding);
        if (!entry->released && kind == VERDICT_REFUSED && entry->stop_lane)
            lane->stopped = true;
        spool_lane_wants_pump(spool, lane);
    }
    spool_transient_recorded(holding);
    spool_holding_free(holding);
}

void spool_settlements_finish(struct spool *spool)
{
    for (; spool->settled > 0; spool->settled--) {
        struct list_node *node = list_pop_front(&spool->settlements);
        settlement_finish(spool, LIST_ENTRY(node, struct spool_holding, node));
    }
}

/* They stay to be written; their senders are not kept waiting for a disk that fails. */
void spool_settlements_failed(struct spool *spool)
{
    LIST_FOREACH_SAFE(node, next, &spool->settlements) {
        spool_transient_recorded(LIST_ENTRY(node, struct spool_holding, node));
    }
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
void spool_settlement_unwritable(struct spool *spool, struct spool_holding *holding, int error)
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
