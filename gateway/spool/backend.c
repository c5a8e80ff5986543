#include "spool/operations.h"

#include <errno.h>
#include <stdlib.h>

void spool_row_clear(struct spool_row *row)
{
    free(row->lane);
    free(row->route);
    free(row->peer);
    free(row->listener);
    free(row->control_id);
    free(row->message_type);
    *row = (struct spool_row){0};
}

void spool_record_clear(struct spool_record *record)
{
    answer_bytes_release(&record->answer);
    *record = (struct spool_record){0};
}

bool spool_lane_is_unordered(const char *lane)
{
    size_t length = strlen(lane);

    return length >= 2 && lane[length - 1] == '*' && lane[length - 2] == '/';
}

char *spool_lane_moved(const char *lane, const char *to)
{
    const char *slash = strchr(lane, '/');
    size_t tail = slash == NULL ? 0 : strlen(slash), head = strlen(to);
    char *moved = malloc(head + tail + 1);

    if (moved == NULL)
        return NULL;
    memcpy(moved, to, head);
    if (tail > 0)
        memcpy(moved + head, slash, tail);
    moved[head + tail] = '\0';
    return moved;
}

void spool_backend_close(struct spool_backend **backend)
{
    if (backend == NULL || *backend == NULL)
        return;
    (*backend)->operations->close(*backend);
    *backend = NULL;
}

void spool_backend_configure(struct spool_backend *backend,
                             const struct spool_backend_settings *settings)
{
    backend->operations->configure(backend, settings);
}

int spool_backend_begin(struct spool_backend *backend)
{
    return backend->operations->begin(backend);
}

int spool_backend_commit(struct spool_backend *backend)
{
    return backend->operations->commit(backend);
}

void spool_backend_rollback(struct spool_backend *backend)
{
    backend->operations->rollback(backend);
}

bool spool_backend_disk_room(struct spool_backend *backend, int64_t bytes)
{
    return backend->operations->disk_room == NULL || backend->operations->disk_room(backend, bytes);
}

void spool_backend_make_room(struct spool_backend *backend, bool all)
{
    if (backend->operations->make_room != NULL)
        backend->operations->make_room(backend, all);
}

bool spool_backend_reserve(struct spool_backend *backend, int64_t bytes, bool small)
{
    return backend->operations->reserve == NULL ||
           backend->operations->reserve(backend, bytes, small);
}

int spool_backend_room(struct spool_backend *backend, int64_t bytes, unsigned rows)
{
    return backend->operations->room(backend, bytes, rows);
}

int spool_backend_digest(struct spool_backend *backend, struct message *message)
{
    return backend->operations->digest(backend, message);
}

int64_t spool_backend_doubt_ms(const struct spool_backend *backend)
{
    return backend->operations->doubt_ms == NULL ? 0 : backend->operations->doubt_ms(backend);
}

uint64_t spool_backend_reserve_id(struct spool_backend *backend)
{
    return backend->operations->reserve_id(backend);
}

int spool_backend_put(struct spool_backend *backend, const struct message *message,
                      const char *route, const char *lane, bool leased, int64_t now_ms,
                      uint64_t *ret_id)
{
    return backend->operations->put(backend, message, route, lane, leased, now_ms, ret_id);
}

int spool_backend_record_put(struct spool_backend *backend, const struct message *message,
                             const struct verdict *verdict, int64_t now_ms)
{
    return backend->operations->record_put(backend, message, verdict, now_ms);
}

int spool_backend_record_find(struct spool_backend *backend, const uint8_t digest[32],
                              int64_t now_ms, struct spool_record *ret_record)
{
    return backend->operations->record_find(backend, digest, now_ms, ret_record);
}

int spool_backend_lease(struct spool_backend *backend, const char *lane, unsigned limit,
                        int64_t limit_bytes, int64_t now_ms, spool_lease_each *each, void *context)
{
    return backend->operations->lease(backend, lane, UINT64_MAX, limit, limit_bytes, now_ms, each,
                                      context);
}

int spool_backend_lease_below(struct spool_backend *backend, const char *lane, uint64_t below_id,
                              unsigned limit, int64_t limit_bytes, int64_t now_ms,
                              spool_lease_each *each, void *context)
{
    return backend->operations->lease(backend, lane, below_id, limit, limit_bytes, now_ms, each,
                                      context);
}

int spool_backend_settle(struct spool_backend *backend, uint64_t id, const struct verdict *verdict,
                         int64_t due_ms, bool keep_lease, bool stop_lane, int64_t now_ms)
{
    return backend->operations->settle(backend, id, verdict, due_ms, keep_lease, stop_lane, now_ms);
}

void spool_backend_release(struct spool_backend *backend, uint64_t id)
{
    backend->operations->release(backend, id);
}

int spool_backend_replay(struct spool_backend *backend, uint64_t id, bool out_of_order,
                         int64_t now_ms, uint64_t *ret_id)
{
    return backend->operations->replay(backend, id, out_of_order, now_ms, ret_id);
}

int spool_backend_discard(struct spool_backend *backend, uint64_t id, int64_t now_ms)
{
    return backend->operations->discard(backend, id, now_ms);
}

int spool_backend_move_slice(struct spool_backend *backend, const char *from, const char *to,
                             unsigned limit, uint64_t *ret_moved, bool *ret_done)
{
    if (strcmp(from, to) == 0)
        return -EINVAL;
    return backend->operations->move(backend, from, to, limit, ret_moved, ret_done);
}

int spool_backend_move(struct spool_backend *backend, const char *from, const char *to,
                       uint64_t *ret_moved)
{
    uint64_t moved = 0, slice = 0;
    bool done = false;

    while (!done) {
        int result = spool_backend_move_slice(backend, from, to, 1024, &slice, &done);
        if (result < 0)
            return result;
        moved += slice;
    }
    *ret_moved = moved;
    return 0;
}

int spool_backend_list(struct spool_backend *backend, const struct spool_filter *filter,
                       spool_list_each *each, void *context, uint64_t *ret_next)
{
    return backend->operations->list(backend, filter, each, context, ret_next);
}

int spool_backend_show(struct spool_backend *backend, uint64_t id, struct spool_row *ret_row,
                       struct message **ret_message, struct answer_bytes **ret_answer)
{
    return backend->operations->show(backend, id, ret_row, ret_message, ret_answer);
}

void spool_backend_totals(struct spool_backend *backend, struct spool_totals *ret_totals)
{
    backend->operations->totals(backend, ret_totals);
}

int spool_backend_lane_statistics(struct spool_backend *backend, const char *lane,
                                  struct spool_lane_statistics *ret_statistics)
{
    return backend->operations->lane_statistics(backend, lane, ret_statistics);
}

int spool_backend_lanes(struct spool_backend *backend, spool_lanes_each *each, void *context)
{
    return backend->operations->lanes(backend, each, context);
}

int spool_backend_keys(struct spool_backend *backend, spool_keys_each *each, void *context)
{
    return backend->operations->keys(backend, each, context);
}

int spool_backend_purge(struct spool_backend *backend, int64_t now_ms, unsigned limit)
{
    return backend->operations->purge(backend, now_ms, limit);
}

int spool_backend_sequence_get(struct spool_backend *backend, const char *key, long *ret_last)
{
    return backend->operations->sequence_get(backend, key, ret_last);
}

int spool_backend_sequence_put(struct spool_backend *backend, const char *key, long last)
{
    return backend->operations->sequence_put(backend, key, last);
}
