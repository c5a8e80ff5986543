#include "spool/memory_private.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

/* ---- an operator's acts ---- */

int memory_replay(struct spool_backend *backend, uint64_t id, bool out_of_order, int64_t now_ms,
                  uint64_t *ret_id)
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

int memory_discard(struct spool_backend *backend, uint64_t id, int64_t now_ms)
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

int memory_move(struct spool_backend *backend, const char *from, const char *to, unsigned limit,
                uint64_t *ret_moved, bool *ret_done)
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

int memory_purge(struct spool_backend *backend, int64_t now_ms, unsigned limit)
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
