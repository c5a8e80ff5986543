/*
 * acknowledge = "delivered": the message goes through its lane like a stored one, but is never on
 * disk; its outcome is the answer. An accepted one leaves a record for retransmissions.
 */
#include "spool/spool_private.h"

#include <errno.h>
#include <stdlib.h>

/* ---- messages under way ---- */

static struct list_node *under_way_bucket(struct spool *spool, const uint8_t digest[32])
{
    return &spool->under_way[(digest[0] | (size_t)digest[1] << 8) % SPOOL_BUCKETS];
}

struct spool_put *spool_under_way_find(struct spool *spool, const uint8_t digest[32])
{
    LIST_FOREACH_SAFE(node, next, under_way_bucket(spool, digest)) {
        struct spool_put *put = LIST_ENTRY(node, struct spool_put, in_under_way);
        if (memcmp(put->message->digest, digest, sizeof put->message->digest) == 0)
            return put;
    }
    return NULL;
}

void spool_under_way_add(struct spool *spool, struct spool_put *put)
{
    if (put->message->control_id.length > 0)
        list_append(under_way_bucket(spool, put->message->digest), &put->in_under_way);
}

/* ---- outcomes ---- */

/* With several targets the worst outcome is the message's. */
static int outcome_rank(enum spool_outcome outcome)
{
    switch (outcome) {
    case SPOOL_SAFE:
        return 0;
    case SPOOL_UNAVAILABLE:
        return 1;
    case SPOOL_UNKNOWN:
        return 2;
    case SPOOL_REFUSED:
        return 3;
    }
    return 3;
}

/* The answer, once the record is written; or can't be now: the message is with the store. */
void spool_transient_recorded(struct spool_holding *holding)
{
    struct spool_put *put = holding->put;

    holding->put = NULL;
    if (put != NULL)
        spool_put_answer(put, put->outcome, put->reason);
}

/* The last holding of an accepted message becomes the note that its record is to be written. The
 * answer doesn't wait for that: without the record a repeat would be delivered again under the same
 * stable id. A copy that comes before the commit finds it all the same: a group's settlements are
 * written before its puts are looked at. But without its sequence number the sender's next message
 * would be a wrong one, after a crash: that is on disk first. */
static void transient_leave_record(struct spool_holding *holding, struct spool_put *put, bool waits)
{
    verdict_clear(&holding->entry.verdict);
    holding->entry.verdict = put->verdict;
    answer_bytes_reference(holding->entry.verdict.answer);
    if (put->sequence_set) {
        holding->sequence_key = put->sequence_key;
        holding->sequence_last = put->sequence_last;
        put->sequence_key = NULL;
        holding->put = waits ? put : NULL;
    }
    holding->task = TASK_RECORD;
    list_append(&holding->spool->settlements, &holding->node);
}

static void transient_conclude(struct spool_holding *holding, enum spool_outcome outcome,
                               enum reason reason)
{
    struct spool_put *put = holding->put;
    bool first = put->pending == put->target_count;

    holding->put = NULL;
    list_remove(&holding->node);
    timers_stop(&holding->spool->timers, &holding->deadline);
    if (first || outcome_rank(outcome) > outcome_rank(put->outcome)) {
        verdict_clear(&put->verdict);
        put->outcome = outcome;
        put->reason = reason;
        put->verdict = holding->entry.verdict;
        holding->entry.verdict.answer = NULL;
    }
    put->pending--;
    bool leaves = put->pending == 0 && put->outcome == SPOOL_SAFE;
    bool waits = leaves && put->sequence_set && holding->spool->failure == 0;
    if (leaves)
        transient_leave_record(holding, put, waits);
    else
        spool_holding_free(holding);
    if (put->pending == 0 && !waits)
        spool_put_answer(put, put->outcome, put->reason);
}

void spool_transient_give_up(struct spool_holding *holding, enum reason reason)
{
    verdict_clear(&holding->entry.verdict);
    holding->entry.verdict.kind = VERDICT_RETRY;
    holding->entry.verdict.not_sent = true;
    transient_conclude(holding, SPOOL_UNAVAILABLE, reason);
}

static void transient_deadline(struct timer *timer)
{
    struct spool_holding *holding =
        (struct spool_holding *)(void *)((char *)timer - offsetof(struct spool_holding, deadline));

    spool_transient_give_up(holding, REASON_ANSWER_DEADLINE);
}

/* ---- waiting for their turn ---- */

/* In order of ids: an entry that was given back goes before those that came later. */
static void transient_wait(struct spool_holding *holding)
{
    struct spool *spool = holding->spool;
    struct spool_lane *lane = holding->lane;
    struct list_node *after = lane->transients.prev;

    while (after != &lane->transients &&
           LIST_ENTRY(after, struct spool_holding, node)->entry.id > holding->entry.id)
        after = after->prev;
    list_insert_between(after, after->next, &holding->node);
    spool_lane_wants_pump(spool, lane);
    if (!holding->entry.wait && (!lane->route->open || lane->stopped))
        spool_transient_give_up(holding, REASON_STORE_UNAVAILABLE);
    else if (timers_start(&spool->timers, &holding->deadline, holding->entry.deadline_ms) < 0)
        spool_transient_give_up(holding, REASON_OUT_OF_MEMORY);
}

/* Whatever an earlier run had under way is not written down anywhere. */
static bool transient_is_in_doubt(const struct spool *spool)
{
    int64_t age_ms = clock_monotonic_ms(spool->clock) - spool->started_ms;

    return age_ms < spool_backend_doubt_ms(spool->backend);
}

static struct spool_holding *transient_new(struct spool *spool, struct spool_put *put,
                                           const struct spool_target *target)
{
    struct spool_lane *lane = spool_lane_get(spool, target->route, target->lane);
    struct spool_holding *holding = NULL;

    if (lane != NULL)
        holding =
            spool_holding_new(spool, lane, put->message, spool_backend_reserve_id(spool->backend));
    if (holding == NULL)
        return NULL;
    holding->put = put;
    holding->deadline.fire = transient_deadline;
    holding->entry.transient = true;
    holding->entry.in_doubt = transient_is_in_doubt(spool);
    holding->entry.wait = put->wait;
    holding->entry.deadline_ms = put->deadline_ms;
    return holding;
}

int spool_transient_put(struct spool *spool, struct spool_put *put)
{
    struct list_node made, *node;

    list_init(&made);
    put->pending = put->target_count;
    for (size_t i = 0; i < put->target_count; i++) {
        struct spool_holding *holding = transient_new(spool, put, &put->targets[i]);
        if (holding == NULL) {
            while ((node = list_pop_front(&made)) != NULL)
                spool_holding_free(LIST_ENTRY(node, struct spool_holding, node));
            spool_put_answer(put, SPOOL_UNAVAILABLE, REASON_OUT_OF_MEMORY);
            return 0;
        }
        list_append(&made, &holding->node);
    }
    spool_under_way_add(spool, put);
    while ((node = list_pop_front(&made)) != NULL) /* the last one may end the put */
        transient_wait(LIST_ENTRY(node, struct spool_holding, node));
    return 0;
}

/* ---- back from the sink ---- */

void spool_transient_settled(struct spool_holding *holding)
{
    struct spool *spool = holding->spool;

    spool_holding_back(holding);
    spool_lane_wants_pump(spool, holding->lane);
    if (holding->entry.released) {
        holding->entry.released = false;
        spool_lane_hold(holding->lane);
        transient_wait(holding);
        return;
    }
    switch (holding->entry.verdict.kind) {
    case VERDICT_ACCEPTED:
        transient_conclude(holding, SPOOL_SAFE, REASON_NONE);
        break;
    case VERDICT_REFUSED:
        transient_conclude(holding, SPOOL_REFUSED, REASON_REFUSED_BY_STORE);
        break;
    case VERDICT_UNKNOWN:
        transient_conclude(holding, SPOOL_UNKNOWN, REASON_ANSWER_DEADLINE);
        break;
    default:
        transient_conclude(holding, SPOOL_UNAVAILABLE, REASON_STORE_UNAVAILABLE);
        break;
    }
}
