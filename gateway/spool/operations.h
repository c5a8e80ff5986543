/*
 * operations: what an implementation of backend.h fills in. backend.h says what each one means;
 * backend.c only passes calls on. Private to gateway/spool and to tests that wrap a backend.
 *
 * Every pointer is set, but for those that say so. A backend's own struct begins with struct spool_backend.
 */
#ifndef MLLPGW_SPOOL_OPERATIONS_H
#define MLLPGW_SPOOL_OPERATIONS_H

#include "spool/backend.h"

typedef void spool_lease_each(void *context, struct spool_row *row, struct message *message);
typedef void spool_list_each(void *context, const struct spool_row *row);
typedef void spool_lanes_each(void *context, const char *route, const char *lane,
                              const struct spool_lane_statistics *statistics);
typedef void spool_keys_each(void *context, const char *key_id, bool current, uint64_t sealed);

struct spool_operations {
    void (*close)(struct spool_backend *backend);
    void (*configure)(struct spool_backend *backend, const struct spool_backend_settings *settings);
    int (*begin)(struct spool_backend *backend);
    int (*commit)(struct spool_backend *backend);
    void (*rollback)(struct spool_backend *backend);
    int (*room)(struct spool_backend *backend, int64_t bytes, unsigned rows);
    bool (*disk_room)(struct spool_backend *backend, int64_t bytes); /* NULL: always */
    void (*make_room)(struct spool_backend *backend, bool all); /* NULL: there is none to make */
    bool (*reserve)(struct spool_backend *backend, int64_t bytes, bool small); /* NULL: always */
    int (*digest)(struct spool_backend *backend, struct message *message);
    int64_t (*doubt_ms)(const struct spool_backend *backend); /* NULL: never any */
    uint64_t (*reserve_id)(struct spool_backend *backend);
    int (*put)(struct spool_backend *backend, const struct message *message, const char *route,
               const char *lane, bool leased, int64_t now_ms, uint64_t *ret_id);
    int (*record_put)(struct spool_backend *backend, const struct message *message,
                      const struct verdict *verdict, int64_t now_ms);
    int (*record_find)(struct spool_backend *backend, const uint8_t digest[32], int64_t now_ms,
                       struct spool_record *ret_record);
    int (*lease)(struct spool_backend *backend, const char *lane, uint64_t below_id, unsigned limit,
                 int64_t limit_bytes, int64_t now_ms, spool_lease_each *each, void *context);
    int (*settle)(struct spool_backend *backend, uint64_t id, const struct verdict *verdict,
                  int64_t due_ms, bool keep_lease, bool stop_lane, int64_t now_ms);
    void (*release)(struct spool_backend *backend, uint64_t id);
    int (*replay)(struct spool_backend *backend, uint64_t id, bool out_of_order, int64_t now_ms,
                  uint64_t *ret_id);
    int (*discard)(struct spool_backend *backend, uint64_t id, int64_t now_ms);
    int (*move)(struct spool_backend *backend, const char *from, const char *to, unsigned limit,
                uint64_t *ret_moved, bool *ret_done);
    int (*list)(struct spool_backend *backend, const struct spool_filter *filter,
                spool_list_each *each, void *context, uint64_t *ret_next);
    int (*show)(struct spool_backend *backend, uint64_t id, struct spool_row *ret_row,
                struct message **ret_message, struct answer_bytes **ret_answer);
    void (*totals)(struct spool_backend *backend, struct spool_totals *ret_totals);
    int (*lane_statistics)(struct spool_backend *backend, const char *lane,
                           struct spool_lane_statistics *ret_statistics);
    int (*lanes)(struct spool_backend *backend, spool_lanes_each *each, void *context);
    int (*keys)(struct spool_backend *backend, spool_keys_each *each, void *context);
    int (*purge)(struct spool_backend *backend, int64_t now_ms, unsigned limit);
    int (*sequence_get)(struct spool_backend *backend, const char *key, long *ret_last);
    int (*sequence_put)(struct spool_backend *backend, const char *key, long last);
};

struct spool_backend {
    const struct spool_operations *operations;
};

/* What the lane is called once its route is called to: everything behind the first slash stays.
 * NULL when memory is out; free() it. */
char *spool_lane_moved(const char *lane, const char *to);

#endif
