/*
 * The spool in memory: the reference model that the conformance suite compares SQLite with, and a
 * spool for tests and for gateways whose messages may die with the process. Made to be obviously
 * right, not fast: rows are one sorted array, and what belongs to a lane is found by looking at all.
 *
 * Every stored thing is immutable. A change puts a changed copy in its place and notes the old one,
 * which commit frees and rollback puts back.
 */
#include "base/digest.h"
#include "spool/leases.h"
#include "spool/operations.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct memory_row {
    struct spool_row row;
    struct message *message;
    struct answer_bytes *answer;
};

struct memory_slot {
    uint64_t id;
    struct memory_row *row; /* NULL: removed */
};

struct memory_lane {
    char *name, *route;
    uint64_t queued, dead, kept;
    int64_t queued_bytes;
    uint64_t stopped_by; /* id of a dead letter; 0: not stopped */
};

struct memory_record {
    uint8_t digest[32]; /* first: memory_record_order() */
    struct spool_record record;
};

struct memory_sequence {
    char *key;
    long last;
};

enum memory_change_kind { CHANGE_ROW, CHANGE_STOP, CHANGE_RECORD, CHANGE_SEQUENCE };

struct memory_change {
    enum memory_change_kind kind;
    uint64_t id;                  /* ROW: whose; STOP: who stopped the lane before */
    size_t index;                 /* STOP: the lane; SEQUENCE: which one */
    long last;                    /* SEQUENCE: before */
    struct memory_row *row;       /* ROW: before; NULL: none */
    struct memory_record *record; /* RECORD: before; NULL: none */
    uint8_t digest[32];           /* RECORD: whose */
};

struct memory {
    struct spool_backend backend; /* first */
    struct spool_backend_settings settings;
    struct digest_key *digest_key;
    uint64_t next_id;
    struct memory_slot *slots; /* ascending ids */
    size_t slot_count, slot_capacity, slots_removed;
    struct memory_lane *lanes;
    size_t lane_count;
    void *records; /* tsearch(3), of struct memory_record */
    struct memory_sequence *sequences;
    size_t sequence_count;
    struct leases leases;
    struct spool_totals totals;
    bool in_transaction, failed;
    struct memory_change *changes;
    size_t change_count, change_capacity;
};

static struct memory *memory_of(struct spool_backend *backend)
{
    return (struct memory *)backend;
}

/* ---- rows and records as values ---- */

static void memory_row_free(struct memory_row *row)
{
    if (row == NULL)
        return;
    spool_row_clear(&row->row);
    message_release(&row->message);
    answer_bytes_release(&row->answer);
    free(row);
}

static char *memory_text(struct span text)
{
    char *copy = malloc(text.length + 1);

    if (copy == NULL)
        return NULL;
    if (text.length > 0)
        memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return copy;
}

static int memory_row_duplicate(const struct spool_row *from, struct spool_row *ret_row)
{
    struct spool_row copy = *from;

    copy.lane = strdup(from->lane);
    copy.route = strdup(from->route);
    copy.peer = strdup(from->peer);
    copy.listener = strdup(from->listener);
    copy.control_id = memory_text(span_of(from->control_id, from->control_id_length));
    copy.message_type = strdup(from->message_type);
    if (copy.lane == NULL || copy.route == NULL || copy.peer == NULL || copy.listener == NULL ||
        copy.control_id == NULL || copy.message_type == NULL) {
        spool_row_clear(&copy);
        return -ENOMEM;
    }
    *ret_row = copy;
    return 0;
}

static struct memory_row *memory_row_copy(const struct memory_row *from)
{
    struct memory_row *copy = calloc(1, sizeof *copy);

    if (copy == NULL)
        return NULL;
    if (memory_row_duplicate(&from->row, &copy->row) < 0) {
        free(copy);
        return NULL;
    }
    copy->message = message_reference(from->message);
    copy->answer = answer_bytes_reference(from->answer);
    return copy;
}

static void memory_record_free(void *record)
{
    if (record == NULL)
        return;
    spool_record_clear(&((struct memory_record *)record)->record);
    free(record);
}

static int memory_record_order(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

/* ---- lanes ---- */

/* The index of the lane; made when it isn't there yet and route is given. SIZE_MAX: none. */
static size_t memory_lane(struct memory *memory, const char *name, const char *route)
{
    for (size_t i = 0; i < memory->lane_count; i++)
        if (strcmp(memory->lanes[i].name, name) == 0)
            return i;
    if (route == NULL)
        return SIZE_MAX;

    struct memory_lane *lanes = realloc(memory->lanes, (memory->lane_count + 1) * sizeof *lanes);
    if (lanes == NULL)
        return SIZE_MAX;
    memory->lanes = lanes;
    struct memory_lane lane = {.name = strdup(name), .route = strdup(route)};
    if (lane.name == NULL || lane.route == NULL) {
        free(lane.name);
        free(lane.route);
        return SIZE_MAX;
    }
    lanes[memory->lane_count] = lane;
    return memory->lane_count++;
}

static int64_t memory_row_weight(const struct memory_row *row)
{
    return row->row.bytes + SPOOL_ROW_OVERHEAD +
           (row->answer == NULL ? 0 : (int64_t)row->answer->length);
}

/* The one place where anything is counted. direction: 1 the row comes, -1 it goes. */
static void memory_count(struct memory *memory, const struct memory_row *row, int direction)
{
    if (row == NULL)
        return;
    struct memory_lane *lane = &memory->lanes[memory_lane(memory, row->row.lane, NULL)];
    uint64_t one = (uint64_t)(int64_t)direction;

    memory->totals.bytes += direction * memory_row_weight(row);
    switch (row->row.state) {
    case SPOOL_QUEUED:
        memory->totals.queued += one;
        lane->queued += one;
        lane->queued_bytes += direction * row->row.bytes;
        break;
    case SPOOL_DEAD:
        memory->totals.dead += one;
        lane->dead += one;
        break;
    case SPOOL_KEPT:
        memory->totals.kept += one;
        lane->kept += one;
        break;
    }
}

/* ---- changes and their undoing ---- */

static struct memory_change *memory_note(struct memory *memory, enum memory_change_kind kind)
{
    if (memory->change_count == memory->change_capacity) {
        size_t capacity = memory->change_capacity == 0 ? 64 : memory->change_capacity * 2;
        struct memory_change *changes = realloc(memory->changes, capacity * sizeof *changes);
        if (changes == NULL) {
            memory->failed = true;
            return NULL;
        }
        memory->changes = changes;
        memory->change_capacity = capacity;
    }
    struct memory_change *change = &memory->changes[memory->change_count++];
    *change = (struct memory_change){.kind = kind};
    return change;
}

/* The first slot whose id is not smaller. */
static size_t memory_slot(const struct memory *memory, uint64_t id)
{
    size_t low = 0, high = memory->slot_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memory->slots[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct memory_row *memory_get(const struct memory *memory, uint64_t id)
{
    size_t place = memory_slot(memory, id);

    if (place == memory->slot_count || memory->slots[place].id != id)
        return NULL;
    return memory->slots[place].row;
}

/* Puts row in the place of id and gives back what was there. The slot exists. */
static struct memory_row *memory_swap(struct memory *memory, uint64_t id, struct memory_row *row)
{
    struct memory_slot *slot = &memory->slots[memory_slot(memory, id)];
    struct memory_row *before = slot->row;

    memory_count(memory, before, -1);
    memory_count(memory, row, 1);
    memory->slots_removed += (row == NULL ? 1u : 0u) - (before == NULL ? 1u : 0u);
    slot->row = row;
    return before;
}

static int memory_slot_make(struct memory *memory, uint64_t id)
{
    size_t place = memory_slot(memory, id);

    if (place < memory->slot_count && memory->slots[place].id == id)
        return 0;
    if (memory->slot_count == memory->slot_capacity) {
        size_t capacity = memory->slot_capacity == 0 ? 64 : memory->slot_capacity * 2;
        struct memory_slot *slots = realloc(memory->slots, capacity * sizeof *slots);
        if (slots == NULL)
            return -ENOMEM;
        memory->slots = slots;
        memory->slot_capacity = capacity;
    }
    memmove(memory->slots + place + 1, memory->slots + place,
            (memory->slot_count - place) * sizeof *memory->slots);
    memory->slots[place] = (struct memory_slot){id, NULL};
    memory->slot_count++;
    memory->slots_removed++;
    return 0;
}

/* Takes over row (NULL: removes). */
static int memory_set(struct memory *memory, uint64_t id, struct memory_row *row)
{
    struct memory_change *change = NULL;

    if ((row == NULL || memory_lane(memory, row->row.lane, row->row.route) != SIZE_MAX) &&
        memory_slot_make(memory, id) == 0)
        change = memory_note(memory, CHANGE_ROW);
    if (change == NULL) {
        memory->failed = true;
        memory_row_free(row);
        return -ENOMEM;
    }
    change->id = id;
    change->row = memory_swap(memory, id, row);
    return 0;
}

static int memory_stop_lane(struct memory *memory, const char *name, uint64_t id)
{
    size_t lane = memory_lane(memory, name, NULL);
    struct memory_change *change = memory_note(memory, CHANGE_STOP);

    if (change == NULL)
        return -ENOMEM;
    change->index = lane;
    change->id = memory->lanes[lane].stopped_by;
    memory->lanes[lane].stopped_by = id;
    return 0;
}

/* Puts record in the place of digest and gives back what was there. */
static struct memory_record *memory_record_swap(struct memory *memory, const uint8_t digest[32],
                                                struct memory_record *record)
{
    struct memory_record **place = tfind(digest, &memory->records, memory_record_order);
    struct memory_record *before = place == NULL ? NULL : *place;

    if (before != NULL && record != NULL) {
        *place = record;
    } else if (before != NULL) {
        tdelete(digest, &memory->records, memory_record_order);
        memory->totals.records--;
    } else if (record != NULL) {
        if (tsearch(record, &memory->records, memory_record_order) == NULL)
            abort(); /* a model that has lost count is worth nothing */
        memory->totals.records++;
    }
    return before;
}

static int memory_record_set(struct memory *memory, const uint8_t digest[32],
                             struct memory_record *record)
{
    struct memory_change *change = memory_note(memory, CHANGE_RECORD);

    if (change == NULL) {
        memory_record_free(record);
        return -ENOMEM;
    }
    memcpy(change->digest, digest, 32);
    change->record = memory_record_swap(memory, digest, record);
    return 0;
}

static void memory_undo(struct memory *memory, struct memory_change *change)
{
    switch (change->kind) {
    case CHANGE_ROW:
        memory_row_free(memory_swap(memory, change->id, change->row));
        break;
    case CHANGE_STOP:
        memory->lanes[change->index].stopped_by = change->id;
        break;
    case CHANGE_RECORD:
        memory_record_free(memory_record_swap(memory, change->digest, change->record));
        break;
    case CHANGE_SEQUENCE:
        memory->sequences[change->index].last = change->last;
        break;
    }
}

/* Squeezes removed slots out once they are the larger part. */
static void memory_compact(struct memory *memory)
{
    if (memory->slots_removed < 64 || memory->slots_removed < memory->slot_count / 2)
        return;
    size_t used = 0;
    for (size_t i = 0; i < memory->slot_count; i++)
        if (memory->slots[i].row != NULL)
            memory->slots[used++] = memory->slots[i];
    memory->slot_count = used;
    memory->slots_removed = 0;
}

static int memory_begin(struct spool_backend *backend)
{
    struct memory *memory = memory_of(backend);

    if (memory->in_transaction)
        return -EBUSY;
    memory->in_transaction = true;
    memory->failed = false;
    return 0;
}

static void memory_rollback(struct spool_backend *backend)
{
    struct memory *memory = memory_of(backend);

    while (memory->change_count > 0)
        memory_undo(memory, &memory->changes[--memory->change_count]);
    leases_rollback(&memory->leases);
    memory->in_transaction = false;
}

static int memory_commit(struct spool_backend *backend)
{
    struct memory *memory = memory_of(backend);

    if (memory->failed) {
        memory_rollback(backend);
        return -ENOMEM;
    }
    for (size_t i = 0; i < memory->change_count; i++) {
        memory_row_free(memory->changes[i].row);
        memory_record_free(memory->changes[i].record);
    }
    memory->change_count = 0;
    leases_commit(&memory->leases);
    memory_compact(memory);
    memory->in_transaction = false;
    return 0;
}

/* ---- put ---- */

static int memory_room(struct spool_backend *backend, int64_t bytes, unsigned rows)
{
    const struct memory *memory = memory_of(backend);
    int64_t wanted = bytes + (int64_t)rows * SPOOL_ROW_OVERHEAD;

    if (memory->settings.maximum_bytes > 0 &&
        wanted > memory->settings.maximum_bytes - memory->totals.bytes)
        return -ENOSPC;
    return 0;
}

static int memory_digest(struct spool_backend *backend, struct message *message)
{
    const struct span parts[] = {span_of_string(message->peer), message->control_id, message->body};

    return digest_compute(memory_of(backend)->digest_key, parts, 3, message->digest);
}

static uint64_t memory_reserve_id(struct spool_backend *backend)
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
                                  .control_id = memory_text(message->control_id),
                                  .control_id_length = message->control_id.length,
                                  .message_type = memory_text(message->message_type),
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

static int memory_put(struct spool_backend *backend, const struct message *message,
                      const char *route, const char *lane, bool leased, int64_t now_ms,
                      uint64_t *ret_id)
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

static int memory_record_put(struct spool_backend *backend, const struct message *message,
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

static int memory_record_find(struct spool_backend *backend, const uint8_t digest[32],
                              int64_t now_ms, struct spool_record *ret_record)
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

static int memory_lease(struct spool_backend *backend, const char *lane_name, uint64_t below_id,
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

static int memory_settle(struct spool_backend *backend, uint64_t id, const struct verdict *verdict,
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

static void memory_release(struct spool_backend *backend, uint64_t id)
{
    leases_remove(&memory_of(backend)->leases, id);
}

/* ---- an operator's acts ---- */

static int memory_replay(struct spool_backend *backend, uint64_t id, bool out_of_order,
                         int64_t now_ms, uint64_t *ret_id)
{
    struct memory *memory = memory_of(backend);
    const struct memory_row *before = memory_get(memory, id);

    (void)now_ms;
    if (before == NULL)
        return -ENOENT;
    if (before->row.state != SPOOL_DEAD)
        return -EINVAL;
    const char *lane = before->row.lane;
    bool in_place = memory->lanes[memory_lane(memory, lane, NULL)].stopped_by == id;
    if (!in_place && !out_of_order && !spool_lane_is_unordered(lane))
        return -EXDEV;

    struct memory_row *row = memory_row_copy(before);
    if (row == NULL) {
        memory->failed = true;
        return -ENOMEM;
    }
    row->row.state = SPOOL_QUEUED;
    row->row.counted_attempts = 0;
    row->row.settled_ms = 0;
    row->row.id = in_place ? id : memory->next_id++;
    int result = memory_set(memory, row->row.id, row);
    if (result == 0)
        result =
            in_place ? memory_stop_lane(memory, row->row.lane, 0) : memory_set(memory, id, NULL);
    if (result == 0)
        *ret_id = row->row.id;
    return result;
}

static int memory_discard(struct spool_backend *backend, uint64_t id, int64_t now_ms)
{
    struct memory *memory = memory_of(backend);
    const struct memory_row *row = memory_get(memory, id);
    int result = 0;

    (void)now_ms;
    if (row == NULL)
        return -ENOENT;
    if (row->row.state == SPOOL_KEPT)
        return -EINVAL;
    if (leases_has(&memory->leases, id))
        return -EBUSY;
    if (memory->lanes[memory_lane(memory, row->row.lane, NULL)].stopped_by == id)
        result = memory_stop_lane(memory, row->row.lane, 0);
    if (result == 0)
        result = memory_record_set(memory, row->row.digest, NULL);
    if (result == 0)
        result = memory_set(memory, id, NULL);
    return result;
}

static int memory_move_row(struct memory *memory, const struct memory_row *before, const char *to)
{
    uint64_t id = before->row.id;
    size_t old_lane = memory_lane(memory, before->row.lane, NULL);
    struct memory_row *row = memory_row_copy(before);
    char *lane = spool_lane_moved(before->row.lane, to), *route = strdup(to);

    if (row == NULL || lane == NULL || route == NULL) {
        free(lane);
        free(route);
        memory_row_free(row);
        memory->failed = true;
        return -ENOMEM;
    }
    free(row->row.lane);
    free(row->row.route);
    row->row.lane = lane;
    row->row.route = route;
    row->row.due_ms = 0; /* the other route's store has asked for no patience */
    int result = memory_set(memory, id, row); /* before is freed by commit only */
    if (result < 0 || memory->lanes[old_lane].stopped_by != id)
        return result;
    result = memory_stop_lane(memory, before->row.lane, 0);
    if (result == 0 && memory->lanes[memory_lane(memory, lane, NULL)].stopped_by == 0)
        result = memory_stop_lane(memory, lane, id);
    return result;
}

static int memory_move(struct spool_backend *backend, const char *from, const char *to,
                       unsigned limit, uint64_t *ret_moved, bool *ret_done)
{
    struct memory *memory = memory_of(backend);
    uint64_t moved = 0;

    (void)limit; /* no transaction is too large here */
    for (size_t i = 0; i < memory->slot_count; i++)
        if (memory->slots[i].row != NULL && strcmp(memory->slots[i].row->row.route, from) == 0 &&
            leases_has(&memory->leases, memory->slots[i].id))
            return -EBUSY;
    for (size_t i = 0; i < memory->slot_count; i++) {
        const struct memory_row *row = memory->slots[i].row;
        if (row == NULL || strcmp(row->row.route, from) != 0)
            continue;
        int result = memory_move_row(memory, row, to);
        if (result < 0)
            return result;
        moved++;
    }
    *ret_moved = moved;
    *ret_done = true;
    return 0;
}

/* ---- looking ---- */

static bool memory_matches(const struct memory_row *row, const struct spool_filter *filter)
{
    return row != NULL && row->row.id > filter->after_id &&
           (filter->route == NULL || strcmp(filter->route, row->row.route) == 0) &&
           (filter->lane == NULL || strcmp(filter->lane, row->row.lane) == 0) &&
           (filter->peer == NULL || strcmp(filter->peer, row->row.peer) == 0) &&
           (!filter->by_state || filter->state == row->row.state);
}

static int memory_list(struct spool_backend *backend, const struct spool_filter *filter,
                       spool_list_each *each, void *context)
{
    struct memory *memory = memory_of(backend);
    unsigned count = 0;

    for (size_t i = 0; i < memory->slot_count; i++) {
        if (!memory_matches(memory->slots[i].row, filter))
            continue;
        if (filter->limit > 0 && count == filter->limit)
            break;
        struct spool_row row = memory->slots[i].row->row;
        row.leased = leases_has(&memory->leases, row.id);
        each(context, &row);
        count++;
    }
    return 0;
}

static int memory_show(struct spool_backend *backend, uint64_t id, struct spool_row *ret_row,
                       struct message **ret_message, struct answer_bytes **ret_answer)
{
    struct memory *memory = memory_of(backend);
    const struct memory_row *row = memory_get(memory, id);

    if (row == NULL)
        return -ENOENT;
    int result = memory_row_duplicate(&row->row, ret_row);
    if (result < 0)
        return result;
    ret_row->leased = leases_has(&memory->leases, id);
    *ret_message = message_reference(row->message);
    *ret_answer = answer_bytes_reference(row->answer);
    return 0;
}

static void memory_totals(struct spool_backend *backend, struct spool_totals *ret_totals)
{
    *ret_totals = memory_of(backend)->totals;
}

static void memory_describe_lane(const struct memory *memory, const struct memory_lane *lane,
                                 struct spool_lane_statistics *ret_statistics)
{
    *ret_statistics = (struct spool_lane_statistics){.queued = lane->queued,
                                                     .dead = lane->dead,
                                                     .queued_bytes = lane->queued_bytes,
                                                     .stopped = lane->stopped_by != 0};
    for (size_t i = 0; i < memory->slot_count && lane->queued > 0; i++) {
        const struct memory_row *row = memory->slots[i].row;
        if (row == NULL || row->row.state != SPOOL_QUEUED || strcmp(row->row.lane, lane->name) != 0)
            continue;
        ret_statistics->oldest_ms = row->row.received_ms;
        break;
    }
}

static int memory_lane_statistics(struct spool_backend *backend, const char *name,
                                  struct spool_lane_statistics *ret_statistics)
{
    struct memory *memory = memory_of(backend);
    size_t lane = memory_lane(memory, name, NULL);

    *ret_statistics = (struct spool_lane_statistics){0};
    if (lane != SIZE_MAX)
        memory_describe_lane(memory, &memory->lanes[lane], ret_statistics);
    return 0;
}

static int memory_lanes(struct spool_backend *backend, spool_lanes_each *each, void *context)
{
    struct memory *memory = memory_of(backend);

    for (size_t i = 0; i < memory->lane_count; i++) {
        const struct memory_lane *lane = &memory->lanes[i];
        struct spool_lane_statistics statistics;
        if (lane->queued == 0 && lane->dead == 0)
            continue;
        memory_describe_lane(memory, lane, &statistics);
        each(context, lane->route, lane->name, &statistics);
    }
    return 0;
}

static int memory_keys(struct spool_backend *backend, spool_keys_each *each, void *context)
{
    (void)backend; /* nothing is sealed here */
    (void)each;
    (void)context;
    return 0;
}

/* ---- purge ---- */

struct memory_expired {
    const struct memory *memory;
    int64_t now_ms;
    unsigned count, limit;
    uint8_t (*digests)[32];
};

static void memory_collect_expired(const void *node, VISIT visit, void *closure)
{
    const struct memory_record *record = *(struct memory_record *const *)node;
    struct memory_expired *expired = closure;

    if ((visit == postorder || visit == leaf) && expired->count < expired->limit &&
        expired->now_ms - record->record.recorded_ms >= expired->memory->settings.window_ms)
        memcpy(expired->digests[expired->count++], record->digest, 32);
}

static int memory_purge_records(struct memory *memory, int64_t now_ms, unsigned limit)
{
    struct memory_expired expired = {memory, now_ms, 0, limit, calloc(limit, 32)};
    int result = 0;

    if (expired.digests == NULL)
        return -ENOMEM;
    twalk_r(memory->records, memory_collect_expired, &expired);
    for (unsigned i = 0; i < expired.count && result == 0; i++)
        result = memory_record_set(memory, expired.digests[i], NULL);
    free(expired.digests);
    return result < 0 ? result : (int)expired.count;
}

static int memory_purge(struct spool_backend *backend, int64_t now_ms, unsigned limit)
{
    struct memory *memory = memory_of(backend);
    unsigned count = 0;

    for (size_t i = 0; i < memory->slot_count && count < limit; i++) {
        const struct memory_row *row = memory->slots[i].row;
        if (row == NULL || row->row.state != SPOOL_KEPT ||
            now_ms - row->row.settled_ms < memory->settings.retain_ms)
            continue;
        int result = memory_set(memory, row->row.id, NULL);
        if (result < 0)
            return result;
        count++;
    }
    if (count == limit)
        return (int)count;
    int records = memory_purge_records(memory, now_ms, limit - count);
    return records < 0 ? records : (int)count + records;
}

/* ---- sequence numbers ---- */

static int memory_sequence_get(struct spool_backend *backend, const char *key, long *ret_last)
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

static int memory_sequence_put(struct spool_backend *backend, const char *key, long last)
{
    struct memory *memory = memory_of(backend);
    size_t index = memory_sequence(memory, key);
    struct memory_change *change = index == SIZE_MAX ? NULL : memory_note(memory, CHANGE_SEQUENCE);

    if (change == NULL) {
        memory->failed = true;
        return -ENOMEM;
    }
    change->index = index;
    change->last = memory->sequences[index].last;
    memory->sequences[index].last = last;
    return 0;
}

/* ---- open and close ---- */

static void memory_configure(struct spool_backend *backend,
                             const struct spool_backend_settings *settings)
{
    struct memory *memory = memory_of(backend);

    memory->settings.maximum_bytes = settings->maximum_bytes;
    memory->settings.retain_ms = settings->retain_ms;
    memory->settings.window_ms = settings->window_ms;
}

static void memory_close(struct spool_backend *backend)
{
    struct memory *memory = memory_of(backend);

    if (memory->in_transaction)
        memory_rollback(backend);
    for (size_t i = 0; i < memory->slot_count; i++)
        memory_row_free(memory->slots[i].row);
    for (size_t i = 0; i < memory->lane_count; i++) {
        free(memory->lanes[i].name);
        free(memory->lanes[i].route);
    }
    for (size_t i = 0; i < memory->sequence_count; i++)
        free(memory->sequences[i].key);
    tdestroy(memory->records, memory_record_free);
    leases_free(&memory->leases);
    digest_key_free(&memory->digest_key);
    free(memory->slots);
    free(memory->lanes);
    free(memory->sequences);
    free(memory->changes);
    free(memory);
}

static const struct spool_operations memory_operations = {
    .close = memory_close,
    .configure = memory_configure,
    .begin = memory_begin,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .room = memory_room,
    .digest = memory_digest,
    .reserve_id = memory_reserve_id,
    .put = memory_put,
    .record_put = memory_record_put,
    .record_find = memory_record_find,
    .lease = memory_lease,
    .settle = memory_settle,
    .release = memory_release,
    .replay = memory_replay,
    .discard = memory_discard,
    .move = memory_move,
    .list = memory_list,
    .show = memory_show,
    .totals = memory_totals,
    .lane_statistics = memory_lane_statistics,
    .lanes = memory_lanes,
    .keys = memory_keys,
    .purge = memory_purge,
    .sequence_get = memory_sequence_get,
    .sequence_put = memory_sequence_put,
};

int spool_memory_open(const struct spool_backend_settings *settings, int64_t now_ms,
                      struct spool_backend **ret_backend, char ret_error[512])
{
    struct memory *memory = calloc(1, sizeof *memory);
    uint8_t key[32];

    (void)now_ms;
    if (memory == NULL || getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        goto fail;
    memory->backend.operations = &memory_operations;
    memory->next_id = 1;
    leases_init(&memory->leases);
    memory_configure(&memory->backend, settings);
    memory->digest_key = digest_key_new(key);
    explicit_bzero(key, sizeof key);
    if (memory->digest_key == NULL)
        goto fail;
    *ret_backend = &memory->backend;
    return 0;
fail:
    free(memory);
    snprintf(ret_error, 512, "the spool in memory cannot be made: memory or randomness is out");
    return -ENOMEM;
}
