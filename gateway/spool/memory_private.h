/*
 * The spool in memory, shared by its files: memory_store.c (what is stored, changes and their
 * undoing), memory_rows.c (put, records, lease, settle), memory_acts.c (an operator's acts, purge),
 * memory.c (lists, statistics, open and close).
 */
#ifndef MLLPGW_SPOOL_MEMORY_PRIVATE_H
#define MLLPGW_SPOOL_MEMORY_PRIVATE_H

#include "base/digest.h"
#include "spool/leases.h"
#include "spool/operations.h"

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

static inline struct memory *memory_of(struct spool_backend *backend)
{
    return (struct memory *)backend;
}

/* ---- memory_store.c ---- */

void memory_row_free(struct memory_row *row);
char *memory_span_text(struct span text);
int memory_row_duplicate(const struct spool_row *from, struct spool_row *ret_row);
struct memory_row *memory_row_copy(const struct memory_row *from);
void memory_record_free(void *record);
int memory_record_order(const void *a, const void *b);
/* The index of the lane; made when it isn't there yet and route is given. SIZE_MAX: none. */
size_t memory_lane(struct memory *memory, const char *name, const char *route);
/* Room to note a change; NULL (and failed) when memory is out. */
struct memory_change *memory_change_note(struct memory *memory, enum memory_change_kind kind);
const struct memory_row *memory_get(const struct memory *memory, uint64_t id);
/* Takes over row (NULL: removes), and counts. */
int memory_set(struct memory *memory, uint64_t id, struct memory_row *row);
/* id 0: the lane goes on. */
int memory_stop_lane(struct memory *memory, const char *name, uint64_t id);
/* Takes over record (NULL: removes). */
int memory_record_set(struct memory *memory, const uint8_t digest[32],
                      struct memory_record *record);
int memory_begin(struct spool_backend *backend);
void memory_rollback(struct spool_backend *backend);
int memory_commit(struct spool_backend *backend);

/* ---- memory_rows.c ---- */

int memory_room(struct spool_backend *backend, int64_t bytes, unsigned rows);
int memory_digest(struct spool_backend *backend, struct message *message);
uint64_t memory_reserve_id(struct spool_backend *backend);
int memory_put(struct spool_backend *backend, const struct message *message, const char *route,
               const char *lane, bool leased, int64_t now_ms, uint64_t *ret_id);
int memory_record_put(struct spool_backend *backend, const struct message *message,
                      const struct verdict *verdict, int64_t now_ms);
int memory_record_find(struct spool_backend *backend, const uint8_t digest[32], int64_t now_ms,
                       struct spool_record *ret_record);
int memory_lease(struct spool_backend *backend, const char *lane_name, uint64_t below_id,
                 unsigned limit, int64_t limit_bytes, int64_t now_ms, spool_lease_each *each,
                 void *context);
int memory_settle(struct spool_backend *backend, uint64_t id, const struct verdict *verdict,
                  int64_t due_ms, bool keep_lease, bool stop_lane, int64_t now_ms);
void memory_release(struct spool_backend *backend, uint64_t id);
int memory_sequence_get(struct spool_backend *backend, const char *key, long *ret_last);
int memory_sequence_put(struct spool_backend *backend, const char *key, long last);

/* ---- memory_acts.c ---- */

int memory_replay(struct spool_backend *backend, uint64_t id, bool out_of_order, int64_t now_ms,
                  uint64_t *ret_id);
int memory_discard(struct spool_backend *backend, uint64_t id, int64_t now_ms);
int memory_move(struct spool_backend *backend, const char *from, const char *to, unsigned limit,
                uint64_t *ret_moved, bool *ret_done);
int memory_purge(struct spool_backend *backend, int64_t now_ms, unsigned limit);

#endif
