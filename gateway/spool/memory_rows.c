#include "spool/memory_private.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

/* ---- put ---- */

int memory_room(struct spool_backend *backend, int64_t bytes, unsigned rows)
{
    const struct memory *memory = memory_of(backend);
    int64_t wanted = bytes + (int64_t)rows * SPOOL_ROW_OVERHEAD;

    if (memory->settings.maximum_bytes > 0 &&
        wanted > memory->settings.maximum_bytes - memory->totals.bytes)
        return -ENOSPC;
    return 0;
}

int memory_digest(struct spool_backend *backend, struct message *message)
{
    const struct span parts[] = {span_of_string(message->peer), message->control_id, message->body};

    int result = digest_compute(memory_of(backend)->digest_key, parts, 3, message->digest);

    if (result == 0)
        message_fold_listener(message);
    return result;
}

uint64_t memory_reserve_id(struct spool_backend *backend)
{
    return memory_of(backend)->next_id++;
}

static struct memory_row *memory_row_new(const struct message *message, const char *route,
                                         const char *lane, uint64_t id)
{
    struct memory_row *row = calloc(1, sizeof *row);

    if (row == NULL)
        return NULL;
    row->row = (struct spool_row){.id = id,
                                  .lane = strdup(lane),
                                  .route = strdup(route),
                                  .peer = strdup(message->peer),
                                  .listener = strdup(message->listener),
                                  .control_id = memory_span_text(message->control_id),
                                  .control_id_length = message->control_id.length,
                                  .message_type = memory_span_text(message->message_type),
                                  .batch = message->batch,
                                  .received_ms = message->received_wall_ms,
                                  .bytes = (int64_t)message->body.length,
                                  .connection = message->connection};
    memcpy(row->row.digest, message->digest, sizeof row->row.digest);
    if (row->row.lane == NULL || row->row.route == NULL || row->row.peer == NULL ||
        row->row.listener == NULL || row->row.control_id == NULL || row->row.message_type == NULL) {
        memory_row_free(row);
        return NULL;
    }
    row->message = message_reference((struct message *)(uintptr_t)message);
    return row;
}

int memory_put(struct spool_backend *backend, const struct message *message, const char *route,
               const char *lane, bool leased, int64_t now_ms, uint64_t *ret_id)
{
    struct memory *memory = memory_of(backend);
    uint64_t id = memory->next_id;

    (void)now_ms;
    int result = memory_room(backend, (int64_t)message->body.length, 1);
    if (result < 0)
        return result;
    struct memory_row *row = memory_row_new(message, route, lane, id);
    if (row == NULL) {
        memory->failed = true;
        return -ENOMEM;
    }
    result = memory_set(memory, id, row);
    if (result == 0 && leased)
        result = leases_transaction_add(&memory->leases, id);
    if (result < 0) {
        memory->failed = true;
        return result;
    }
    memory->next_id++;
    *ret_id = id;
    return 0;
}

/* ---- records ---- */

int memory_record_put(struct spool_backend *backend, const struct message *message,
                      const struct verdict *verdict, int64_t now_ms)
{
    struct memory_record *record = calloc(1, sizeof *record);

    if (record == NULL) {
        memory_of(backend)->failed = true;
        return -ENOMEM;
    }
    memcpy(record->digest, message->digest, sizeof record->digest);
    record->record.recorded_ms = now_ms;
    if (verdict != NULL) {
        memcpy(record->record.code, verdict->code, sizeof record->record.code);
        record->record.answer = answer_bytes_reference(verdict->answer);
        record->record.answer_is_hl7 = verdict->answer != NULL && verdict->answer_is_hl7;
    }
    return memory_record_set(memory_of(backend), message->digest, record);
}

int memory_record_find(struct spool_backend *backend, const uint8_t digest[32], int64_t now_ms,
                       struct spool_record *ret_record)
{
    struct memory *memory = memory_of(backend);
    struct memory_record **place = tfind(digest, &memory->records, memory_record_order);

    if (place == NULL || now_ms - (*place)->record.recorded_ms >= memory->settings.window_ms)
        return -ENOENT;
    *ret_record = (*place)->record;
    answer_bytes_reference(ret_record->answer);
    return 0;
}

/* ---- lease and settle ---- */

static int memory_lease_row(struct memory *memory, const struct memory_row *row,
                            spool_lease_each *each, void *context)
{
    struct spool_row copy;

    int result = memory_row_duplicate(&row->row, &copy);
    if (result < 0)
        return result;
    result = leases_add(&memory->leases, row->row.id);
    if (result < 0) {
        spool_row_clear(&copy);
        return result;
    }
    copy.leased = true;
    each(context, &copy, message_reference(row->message));
    return 0;
}

int memory_lease(struct spool_backend *backend, const char *lane_name, uint64_t below_id,
                 unsigned limit, int64_t limit_bytes, int64_t now_ms, spool_lease_each *each,
                 void *context)
{
    struct memory *memory = memory_of(backend);
    size_t lane = memory_lane(memory, lane_name, NULL);
    int64_t bytes = 0;
    int count = 0;

    (void)now_ms;
    if (lane == SIZE_MAX || memory->lanes[lane].stopped_by != 0)
        return 0;
    for (size_t i = 0; i < memory->slot_count && memory->slots[i].id < below_id; i++) {
        const struct memory_row *row = memory->slots[i].row;
        if (row == NULL || row->row.state != SPOOL_QUEUED ||
            strcmp(row->row.lane, lane_name) != 0 || leases_has(&memory->leases, row->row.id))
            continue;
        bytes += row->row.bytes;
        if ((unsigned)count == limit || (count > 0 && bytes > limit_bytes))
            break;
        int result = memory_lease_row(memory, row, each, context);
        if (result < 0)
            return count > 0 ? count : result;
        count++;
    }
    return count;
}

static void memory_apply_verdict(struct memory_row *row, const struct verdict *verdict)
{
    row->row.attempts++;
    if (verdict->about_message)
        row->row.counted_attempts++;
    row->row.last_kind = verdict->kind;
    row->row.last_status = verdict->status;
    memcpy(row->row.last_reason, verdict->reason, sizeof row->row.last_reason);
    answer_bytes_release(&row->answer);
    row->answer = answer_bytes_reference(verdict->answer);
}

static int memory_settle_row(struct memory *memory, const struct memory_row *before,
                             const struct verdict *verdict, int64_t due_ms, bool stop_lane,
                             int64_t now_ms)
{
    uint64_t id = before->row.id;

    if (verdict->kind == VERDICT_ACCEPTED && memory->settings.retain_ms <= 0)
        return memory_set(memory, id, NULL);

    struct memory_row *row = memory_row_copy(before);
    if (row == NULL) {
        memory->failed = true;
        return -ENOMEM;
    }
    memory_apply_verdict(row, verdict);
    if (verdict->kind == VERDICT_ACCEPTED || verdict->kind == VERDICT_REFUSED) {
        row->row.state = verdict->kind == VERDICT_ACCEPTED ? SPOOL_KEPT : SPOOL_DEAD;
        row->row.settled_ms = now_ms;
        row->row.due_ms = 0;
    } else {
        row->row.due_ms = due_ms;
    }
    int result = memory_set(memory, id, row);
    if (result == 0 && verdict->kind == VERDICT_REFUSED && stop_lane)
        result = memory_stop_lane(memory, row->row.lane, id);
    return result;
}

int memory_settle(struct spool_backend *backend, uint64_t id, const struct verdict *verdict,
                  int64_t due_ms, bool keep_lease, bool stop_lane, int64_t now_ms)
{
    struct memory *memory = memory_of(backend);
    const struct memory_row *row = memory_get(memory, id);
    bool final = verdict->kind == VERDICT_ACCEPTED || verdict->kind == VERDICT_REFUSED;

    if (row == NULL)
        return -ENOENT;
    if (!leases_has(&memory->leases, id))
        return -ESTALE;
    int result = memory_settle_row(memory, row, verdict, due_ms, stop_lane, now_ms);
    if (result == 0 && (final || !keep_lease))
        result = leases_transaction_remove(&memory->leases, id);
    if (result < 0)
        memory->failed = true;
    return result;
}

void memory_release(struct spool_backend *backend, uint64_t id)
{
    leases_remove(&memory_of(backend)->leases, id);
}

/* ---- sequence numbers ---- */

int memory_sequence_get(struct spool_backend *backend, const char *key, long *ret_last)
{
    const struct memory *memory = memory_of(backend);

    *ret_last = -1;
    for (size_t i = 0; i < memory->sequence_count; i++)
        if (strcmp(memory->sequences[i].key, key) == 0)
            *ret_last = memory->sequences[i].last;
    return 0;
}

static size_t memory_sequence(struct memory *memory, const char *key)
{
    for (size_t i = 0; i < memory->sequence_count; i++)
        if (strcmp(memory->sequences[i].key, key) == 0)
            return i;
    struct memory_sequence *sequences =
        realloc(memory->sequences, (memory->sequence_count + 1) * sizeof *sequences);
    if (sequences == NULL)
        return SIZE_MAX;
    memory->sequences = sequences;
    sequences[memory->sequence_count] = (struct memory_sequence){strdup(key), -1};
    if (sequences[memory->sequence_count].key == NULL)
        return SIZE_MAX;
    return memory->sequence_count++;
}

int memory_sequence_put(struct spool_backend *backend, const char *key, long last)
{
    struct memory *memory = memory_of(backend);
    size_t index = memory_sequence(memory, key);
    struct memory_change *change =
        index == SIZE_MAX ? NULL : memory_change_note(memory, CHANGE_SEQUENCE);

    if (change == NULL) {
        memory->failed = true;
        return -ENOMEM;
    }
    change->index = index;
    change->last = memory->sequences[index].last;
    memory->sequences[index].last = last;
    return 0;
}
