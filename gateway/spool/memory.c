/*
 * The spool in memory: the reference model that the conformance suite compares SQLite with, and a
 * spool for tests and for gateways whose messages may die with the process. Made to be obviously
 * right, not fast: rows are one sorted array, and what belongs to a lane is found by looking at all.
 *
 * Every stored thing is immutable. A change puts a changed copy in its place and notes the old one,
 * which commit frees and rollback puts back.
 */
#include "spool/memory_private.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* ---- looking ---- */

static bool memory_matches(const struct memory_row *row, const struct spool_filter *filter)
{
    return (filter->route == NULL || strcmp(filter->route, row->row.route) == 0) &&
           (filter->lane == NULL || strcmp(filter->lane, row->row.lane) == 0) &&
           (filter->peer == NULL || strcmp(filter->peer, row->row.peer) == 0) &&
           (!filter->by_state || filter->state == row->row.state);
}

static int memory_list(struct spool_backend *backend, const struct spool_filter *filter,
                       spool_list_each *each, void *context, uint64_t *ret_next)
{
    struct memory *memory = memory_of(backend);
    unsigned looked = 0, count = 0;
    uint64_t next = 0;

    for (size_t i = 0; i < memory->slot_count && next == 0; i++) {
        const struct memory_row *from = memory->slots[i].row;
        if (from == NULL || from->row.id <= filter->after_id)
            continue;
        if (memory_matches(from, filter)) {
            struct spool_row row = from->row;
            row.leased = leases_has(&memory->leases, row.id);
            each(context, &row);
            count++;
        }
        if (++looked == SPOOL_LIST_ROWS || (filter->limit > 0 && count == filter->limit))
            next = from->row.id;
    }
    *ret_next = next;
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
