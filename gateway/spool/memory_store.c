#include "spool/memory_private.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

/* ---- rows and records as values ---- */

void memory_row_free(struct memory_row *row)
{
    if (row == NULL)
        return;
    spool_row_clear(&row->row);
    message_release(&row->message);
    answer_bytes_release(&row->answer);
    free(row);
}

char *memory_span_text(struct span text)
{
    char *copy = malloc(text.length + 1);

    if (copy == NULL)
        return NULL;
    if (text.length > 0)
        memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return copy;
}

int memory_row_duplicate(const struct spool_row *from, struct spool_row *ret_row)
{
    struct spool_row copy = *from;

    copy.lane = strdup(from->lane);
    copy.route = strdup(from->route);
    copy.peer = strdup(from->peer);
    copy.listener = strdup(from->listener);
    copy.control_id = memory_span_text(span_of(from->control_id, from->control_id_length));
    copy.message_type = strdup(from->message_type);
    if (copy.lane == NULL || copy.route == NULL || copy.peer == NULL || copy.listener == NULL ||
        copy.control_id == NULL || copy.message_type == NULL) {
        spool_row_clear(&copy);
        return -ENOMEM;
    }
    *ret_row = copy;
    return 0;
}

struct memory_row *memory_row_copy(const struct memory_row *from)
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

void memory_record_free(void *record)
{
    if (record == NULL)
        return;
    spool_record_clear(&((struct memory_record *)record)->record);
    free(record);
}

int memory_record_order(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

/* ---- lanes ---- */

/* The index of the lane; made when it isn't there yet and route is given. SIZE_MAX: none. */
size_t memory_lane(struct memory *memory, const char *name, const char *route)
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

struct memory_change *memory_change_note(struct memory *memory, enum memory_change_kind kind)
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

const struct memory_row *memory_get(const struct memory *memory, uint64_t id)
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
int memory_set(struct memory *memory, uint64_t id, struct memory_row *row)
{
    struct memory_change *change = NULL;

    if ((row == NULL || memory_lane(memory, row->row.lane, row->row.route) != SIZE_MAX) &&
        memory_slot_make(memory, id) == 0)
        change = memory_change_note(memory, CHANGE_ROW);
    if (change == NULL) {
        memory->failed = true;
        memory_row_free(row);
        return -ENOMEM;
    }
    change->id = id;
    change->row = memory_swap(memory, id, row);
    return 0;
}

int memory_stop_lane(struct memory *memory, const char *name, uint64_t id)
{
    size_t lane = memory_lane(memory, name, NULL);
    struct memory_change *change = memory_change_note(memory, CHANGE_STOP);

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

int memory_record_set(struct memory *memory, const uint8_t digest[32], struct memory_record *record)
{
    struct memory_change *change = memory_change_note(memory, CHANGE_RECORD);

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

int memory_begin(struct spool_backend *backend)
{
    struct memory *memory = memory_of(backend);

    if (memory->in_transaction)
        return -EBUSY;
    memory->in_transaction = true;
    memory->failed = false;
    return 0;
}

void memory_rollback(struct spool_backend *backend)
{
    struct memory *memory = memory_of(backend);

    while (memory->change_count > 0)
        memory_undo(memory, &memory->changes[--memory->change_count]);
    leases_rollback(&memory->leases);
    memory->in_transaction = false;
}

int memory_commit(struct spool_backend *backend)
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
