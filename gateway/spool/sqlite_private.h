/*
 * The spool in SQLite, shared by its files.
 *
 *   sqlite.c           open, close, transactions
 *   sqlite_database.c  the file, its settings, schema and statements, errors
 *   sqlite_keys.c      keys, epochs, the digest key, sealing
 *   sqlite_epochs.c    epochs' counters, checked against the rows
 *   sqlite_lanes.c     lanes and their counters
 *   sqlite_rows.c      rows: reading and writing
 *   sqlite_lease.c     put, lease, settle
 *   sqlite_damage.c    rows that can't be used any more
 *   sqlite_acts.c      an operator's acts
 *   sqlite_purge.c     purge, sealing anew
 *   sqlite_list.c      lists, show, statistics
 *   sqlite_records.c   records of safe messages
 *   sqlite_reserve.c   a disk that is full
 *
 * What is kept in memory besides (lanes' counters, epochs' counters, totals) is written back once a
 * commit and restored by rollback.
 */
#ifndef MLLPGW_SPOOL_SQLITE_PRIVATE_H
#define MLLPGW_SPOOL_SQLITE_PRIVATE_H

#include "base/digest.h"
#include "base/list.h"
#include "spool/key_file.h"
#include "spool/leases.h"
#include "spool/operations.h"
#include "spool/record_index.h"
#include "spool/seal.h"

#include <sqlite3.h>

#define SPOOL_SCHEMA_VERSION 1
#define SPOOL_APPLICATION_ID 0x4d4c4c50 /* "MLLP" */
#define SQLITE_LANE_BUCKETS 256
#define SPOOL_SEALED_MAXIMUM (UINT32_C(1) << 30)

/* Every statement, prepared when it is first needed. */
enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_STATE_UPDATE,
    STATEMENT_META_GET,
    STATEMENT_META_PUT,
    STATEMENT_META_DELETE,
    STATEMENT_SEQUENCE_GET,
    STATEMENT_SEQUENCE_PUT,
    STATEMENT_KEY_GET,
    STATEMENT_KEY_PUT,
    STATEMENT_EPOCHS,
    STATEMENT_EPOCH_INSERT,
    STATEMENT_EPOCH_UPDATE,
    STATEMENT_EPOCH_DELETE,
    STATEMENT_EPOCH_COUNT,
    STATEMENT_RECOUNT_MESSAGES,
    STATEMENT_RECOUNT_RECORDS,
    STATEMENT_LANES,
    STATEMENT_LANE_INSERT,
    STATEMENT_LANE_UPDATE,
    STATEMENT_LANE_DELETE,
    STATEMENT_LANE_OLDEST,
    STATEMENT_MESSAGE_INSERT,
    STATEMENT_MESSAGE_DELETE,
    STATEMENT_MESSAGE_RESEAL,
    STATEMENT_MESSAGE_LANE,
    STATEMENT_MESSAGE_SETTLED,
    STATEMENT_MESSAGE_ROW,
    STATEMENT_MESSAGE_BODY,
    STATEMENT_QUEUE_INSERT,
    STATEMENT_QUEUE_DELETE,
    STATEMENT_QUEUE_LANE,
    STATEMENT_OUTCOME_PUT,
    STATEMENT_OUTCOME_DELETE,
    STATEMENT_OUTCOME_ANSWER,
    STATEMENT_OUTCOME_KEPT,
    STATEMENT_OUTCOME_AFTER,
    STATEMENT_LIST_ALL,
    STATEMENT_LIST_LANE_QUEUED,
    STATEMENT_LIST_SETTLED,
    STATEMENT_OUTCOME_BOUND,
    STATEMENT_MESSAGE_AFTER,
    STATEMENT_RECORD_INSERT,
    STATEMENT_RECORD_GET,
    STATEMENT_RECORD_FULL,
    STATEMENT_RECORD_DELETE,
    STATEMENT_RECORD_FIRST,
    STATEMENT_RECORDS_AFTER,
    STATEMENT_RECORD_BOUNDS,
    STATEMENT_RUNS,
    STATEMENT_RUN_INSERT,
    STATEMENT_RUN_DELETE,
    STATEMENT_BUCKET_INSERT,
    STATEMENT_BUCKET_GET,
    STATEMENT_BUCKETS_DELETE,
    STATEMENT_COUNT
};

struct lane_counters {
    int64_t queued, dead, kept, queued_bytes;
    int64_t bytes; /* what all its rows weigh, compared with maximum_bytes */
    int64_t stopped_by;
};

struct sqlite_lane {
    struct list_node by_name, by_id; /* buckets */
    struct list_node node;           /* sqlite->lanes, ascending ids */
    struct list_node in_dirty;       /* sqlite->dirty_lanes */
    int64_t id;
    char *name, *route;
    struct lane_counters now, before; /* before: as at begin, while it is dirty */
    bool created;                     /* in this transaction */
    int64_t first_free;               /* no queued row before it is without a lease */
    bool age_unknown;                 /* its first row's page is damaged: not read again */
};

struct sqlite_epoch {
    int64_t id;
    char key_id[KEY_FILE_ID_BYTES + 1];
    struct seal_key key;
    /* Less than 0: it was counted wrongly, by an older build, and is not known. */
    int64_t sealed, sealed_before;       /* before: as at begin */
    int64_t recounted, recounted_before; /* by the recount that is under way */
    bool empty, empty_before;            /* a recount of this start has found nothing */
    bool current_key;                    /* derived from the current key of the file */
};

/* A walk over all rows and records that were there when it began, in slices. */
struct sqlite_recount {
    bool wanted, running, abandoned;
    int64_t message, record;         /* it has come so far */
    int64_t end_message, end_record; /* what is from here on was born meanwhile */
};

/* What settling needs of a row without an outcome: most are settled while they are still known. */
#define SQLITE_FRESH 2048
struct fresh_row {
    int64_t id; /* 0: none */
    struct sqlite_lane *lane;
    int64_t bytes, epoch;
};

struct sqlite_state { /* the one row of the table state */
    int64_t next_id;  /* larger than any row's */
    int64_t records;
};

/* What hangs on older keys is sealed anew, in slices. */
struct sqlite_reseal {
    int64_t message, record; /* so far it has come */
    bool done;               /* all that could be was, in this start */
};

/* The file that is given up when the disk is full. */
struct sqlite_reserve {
    int fd;         /* -1: none */
    int64_t bytes;  /* its size */
    int64_t wanted; /* reserve_bytes, or what the disk's size allows; 0: none */
    int64_t needed; /* so large it was: as long as it is smaller, no message is taken */
    bool any;       /* there never was one: the largest that is possible will do */
    bool told;      /* that it is smaller than reserve_bytes */
};

struct sqlite_spool {
    struct spool_backend backend; /* first */
    struct spool_backend_settings settings;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    bool failed; /* a statement failed: this transaction can only be rolled back */
    struct sqlite_reserve reserve;
    int checkpoint_pages; /* a WAL that is longer is copied back */
    bool wal_stuck;       /* there was no room for that: nothing is put before there is */
    bool short_of_room;   /* the disk is full: purge gives back all it can, no run is built */

    struct digest_key *digest_key;
    char current_key[KEY_FILE_ID_BYTES + 1];
    char *key_ids; /* of the file, each with its NUL, first the current one */
    size_t key_count;
    struct sqlite_epoch *epochs; /* ascending ids; the last one is this start's */
    size_t epoch_count;
    struct sqlite_recount recount, recount_before; /* before: as at begin */
    struct buffer scratch;                         /* sealed bytes on their way to a statement */

    struct list_node lanes, dirty_lanes;
    struct sqlite_lane *no_lane; /* of rows whose lane isn't there: in no table, counts nothing */
    struct list_node lanes_by_name[SQLITE_LANE_BUCKETS], lanes_by_id[SQLITE_LANE_BUCKETS];
    struct leases leases;
    int64_t
        unreadable; /* the row whose body's pages are damaged, and which is to be a dead letter */
    struct fresh_row fresh[SQLITE_FRESH]; /* by id modulo their number */
    struct spool_totals totals, totals_before;
    struct sqlite_state state, state_written;
    bool created;    /* by this run: there was no earlier one */
    int64_t next_id; /* also counts ids that never get to disk */

    struct record_index records;
    int64_t next_record, next_record_before;
    uint8_t absent[16];    /* the digest that was last looked for in vain, */
    bool absent_known;     /* if there was nothing recorded since */
    struct record_run run; /* built in this transaction; filter NULL: none */
    struct sqlite_reseal reseal, reseal_before;
    int64_t move_after;    /* so far a move has come with what is settled, */
    uint64_t move_settled; /* and so many it has found, in this round */
};

static inline struct sqlite_spool *sqlite_of(struct spool_backend *backend)
{
    return (struct sqlite_spool *)backend;
}

/* ---- sqlite.c ---- */

int sqlite_digest(struct spool_backend *backend, struct message *message);

/* ---- sqlite_database.c ---- */

/* Nothing has changed when it returns. */
__attribute__((warn_unused_result)) int database_open(struct sqlite_spool *spool, const char *path,
                                                      bool *ret_created, char ret_error[512]);
/* Begins the transaction that makes the schema, if there is none, and the keys. */
__attribute__((warn_unused_result)) int database_begin(struct sqlite_spool *spool, const char *path,
                                                       bool created, char ret_error[512]);
void database_close(struct sqlite_spool *spool);
/* The negative errno of one of SQLite's codes, the last one that it gave. */
int database_error_of(const struct sqlite_spool *spool, int code);
/* The negative errno of SQLite's last error; marks the transaction as failed. */
int database_error(struct sqlite_spool *spool);
__attribute__((warn_unused_result)) int database_execute(struct sqlite_spool *spool,
                                                         const char *sql);
/* NULL (and failed) when it can't be prepared. It is reset, and so are those that statement_run()
 * and statement_done() saw to their end. */
sqlite3_stmt *statement_get(struct sqlite_spool *spool, enum statement which);
/* Runs a statement without rows. 0 or an error. */
__attribute__((warn_unused_result)) int statement_run(struct sqlite_spool *spool,
                                                      sqlite3_stmt *statement);
/* 1: a row; 0: no further one (reset); or an error (reset). */
__attribute__((warn_unused_result)) int statement_step(struct sqlite_spool *spool,
                                                       sqlite3_stmt *statement);
void statement_bind_text(sqlite3_stmt *statement, int index, const char *text);
void statement_bind_span(sqlite3_stmt *statement, int index, struct span bytes);
struct span statement_span(sqlite3_stmt *statement, int column);
/* -ENOENT: there is none. Copies at most size bytes. */
__attribute__((warn_unused_result)) int meta_get(struct sqlite_spool *spool, const char *key,
                                                 void *ret_value, size_t size, size_t *ret_length);
__attribute__((warn_unused_result)) int meta_put(struct sqlite_spool *spool, const char *key,
                                                 struct span value);
__attribute__((warn_unused_result)) int meta_delete(struct sqlite_spool *spool, const char *key);

/* ---- sqlite_keys.c ---- */

/* Checks every key against the database before anything is changed; then begins this start's epoch.
 * Inside a transaction. */
__attribute__((warn_unused_result)) int keys_open(struct sqlite_spool *spool,
                                                  const struct key_file *file, const char *path,
                                                  bool created, char ret_error[512]);
void keys_close(struct sqlite_spool *spool);
struct sqlite_epoch *keys_epoch(struct sqlite_spool *spool, int64_t id); /* NULL: none */
static inline struct sqlite_epoch *keys_current(struct sqlite_spool *spool)
{
    return &spool->epochs[spool->epoch_count - 1];
}
/* What is sealed for where: "body" of a row, "answer" of a row or of a record. */
struct seal_place {
    char purpose; /* 'b', 'a', 'r' */
    int64_t id;
    const char *peer, *route, *lane;
    struct span extra; /* further columns that must not be changed */
};
/* Into spool->scratch, counted. */
__attribute__((warn_unused_result)) int
keys_seal(struct sqlite_spool *spool, const struct seal_place *place, struct span plain);
/* ret_plain: malloc'd (one byte more, NUL). -EBADMSG: can't be read. */
__attribute__((warn_unused_result)) int keys_unseal(struct sqlite_spool *spool,
                                                    const struct seal_place *place, int64_t epoch,
                                                    struct span sealed, char **ret_plain,
                                                    size_t *ret_length);
/* Sealed bytes of this epoch are gone: what was at this place (see seal_place). */
void keys_forget(struct sqlite_spool *spool, int64_t epoch, char purpose, int64_t id);

/* ---- sqlite_epochs.c ---- */

__attribute__((warn_unused_result)) int keys_flush(struct sqlite_spool *spool);
void keys_committed(struct sqlite_spool *spool);
void keys_rollback(struct sqlite_spool *spool);
/* Whether anything hangs on a key that is not the current one. */
bool keys_want_reseal(const struct sqlite_spool *spool);
__attribute__((warn_unused_result)) int keys_purge(struct sqlite_spool *spool);
int sqlite_keys(struct spool_backend *backend, spool_keys_each *each, void *context);
/* What hangs on the epoch: a scan, for opening. */
__attribute__((warn_unused_result)) int recount_epoch(struct sqlite_spool *spool, int64_t epoch,
                                                      int64_t *ret_sealed);
/* Looks at no more than limit rows and records; how many, 0: there is nothing to count (any more). */
__attribute__((warn_unused_result)) int recount(struct sqlite_spool *spool, unsigned limit);
/* Sealed bytes at a place come (1) or go (-1). */
void recount_note(const struct sqlite_spool *spool, struct sqlite_epoch *epoch, char purpose,
                  int64_t id, int direction);

/* ---- sqlite_lanes.c ---- */

__attribute__((warn_unused_result)) int lanes_load(struct sqlite_spool *spool);
__attribute__((warn_unused_result)) int lanes_init(struct sqlite_spool *spool);
void lanes_free(struct sqlite_spool *spool);
struct sqlite_lane *lanes_find(struct sqlite_spool *spool, const char *name);
struct sqlite_lane *lanes_by_id(struct sqlite_spool *spool, int64_t id);
/* Makes it when it isn't there. */
__attribute__((warn_unused_result)) int lanes_get(struct sqlite_spool *spool, const char *name,
                                                  const char *route, struct sqlite_lane **ret_lane);
/* Call before changing lane->now. */
void lanes_touch(struct sqlite_spool *spool, struct sqlite_lane *lane);
/* A row of this state and weight comes (1) or goes (-1). */
void lanes_count(struct sqlite_spool *spool, struct sqlite_lane *lane, enum spool_state state,
                 int64_t bytes, int64_t answer_bytes, int direction);
/* A queued row goes that is not there: what it weighed isn't known. */
void lanes_lose(struct sqlite_spool *spool, struct sqlite_lane *lane);
__attribute__((warn_unused_result)) int lanes_flush(struct sqlite_spool *spool);
void lanes_committed(struct sqlite_spool *spool);
void lanes_rollback(struct sqlite_spool *spool);
/* Forgets lanes without rows. */
__attribute__((warn_unused_result)) int lanes_purge(struct sqlite_spool *spool);

/* ---- sqlite_rows.c ---- */

/* A row's columns as they are while the statement stands on it. */
struct row_view {
    int64_t id;
    struct sqlite_lane *lane;
    const char *peer, *listener;
    struct span control_id, message_type, digest, spans;
    bool batch;
    int64_t received_ms, bytes, epoch, connection;
    enum spool_state state;
    bool has_outcome;
    int64_t attempts, counted, due_ms, settled_ms, answer_epoch, answer_bytes;
    int last_kind, last_status;
    const char *last_reason;
};
#define ROW_COLUMNS                                                                                \
    "m.id, m.lane, m.peer, m.listener, m.control_id, m.message_type, m.digest, m.spans, m.batch, " \
    "m.received_ms, m.bytes, m.epoch, m.connection, o.id, o.state, o.attempts, o.counted, "        \
    "o.due_ms, o.settled_ms, o.answer_epoch, o.answer_bytes, o.kind, o.status, o.reason"
#define ROW_FROM " FROM messages AS m LEFT JOIN outcomes AS o ON o.id = m.id "
/* Columns that are damaged come as something that can be looked at, and never opens a seal: no_lane,
 * "", zeros. */
void row_view(struct sqlite_spool *spool, sqlite3_stmt *statement, struct row_view *ret_view);
/* Steps STATEMENT_MESSAGE_ROW: the view is good until the next use of it. -ENOENT. */
__attribute__((warn_unused_result)) int row_get(struct sqlite_spool *spool, int64_t id,
                                                struct row_view *ret_view);
__attribute__((warn_unused_result)) int
row_copy(struct sqlite_spool *spool, const struct row_view *view, struct spool_row *ret_row);
/* -EBADMSG: damaged. */
__attribute__((warn_unused_result)) int
row_message(struct sqlite_spool *spool, const struct row_view *view, struct message **ret_message);
__attribute__((warn_unused_result)) int row_answer(struct sqlite_spool *spool,
                                                   const struct row_view *view,
                                                   struct answer_bytes **ret_answer);
struct seal_place row_place(const struct row_view *view, char purpose);
/* Removes the row with all that belongs to it, and counts. */
__attribute__((warn_unused_result)) int row_remove(struct sqlite_spool *spool,
                                                   const struct row_view *view);
__attribute__((warn_unused_result)) int queue_insert(struct sqlite_spool *spool,
                                                     struct sqlite_lane *lane, int64_t id);
__attribute__((warn_unused_result)) int queue_delete(struct sqlite_spool *spool,
                                                     const struct sqlite_lane *lane, int64_t id);
/* What attempts have said of a row. */
struct outcome {
    int64_t id;
    enum spool_state state;
    int64_t attempts, counted, due_ms, settled_ms;
    int kind, status;
    const char *reason;
};
__attribute__((warn_unused_result)) int outcome_delete(struct sqlite_spool *spool, int64_t id);
/* With answer_epoch 0: no answer; else the answer is sealed in scratch. */
__attribute__((warn_unused_result)) int outcome_put(struct sqlite_spool *spool,
                                                    const struct outcome *outcome,
                                                    int64_t answer_epoch, int64_t answer_bytes,
                                                    struct span sealed);
__attribute__((warn_unused_result)) int message_insert(struct sqlite_spool *spool, int64_t id,
                                                       const struct sqlite_lane *lane,
                                                       const struct message *message,
                                                       int64_t connection);
/* A row without an outcome, as settling will need it. */
void fresh_note(struct sqlite_spool *spool, int64_t id, struct sqlite_lane *lane, int64_t bytes,
                int64_t epoch);
/* Forgets what is known of a row; of all rows when id is 0 (rollback, lanes that go). */
void fresh_forget(struct sqlite_spool *spool, int64_t id);
/* ---- sqlite_lease.c ---- */

/* The id for a new row. */
int64_t row_next_id(struct sqlite_spool *spool);
int sqlite_room(struct spool_backend *backend, int64_t bytes, unsigned rows);
int sqlite_put(struct spool_backend *backend, const struct message *message, const char *route,
               const char *lane, bool leased, int64_t now_ms, uint64_t *ret_id);
int sqlite_lease(struct spool_backend *backend, const char *lane, uint64_t below_id, unsigned limit,
                 int64_t limit_bytes, int64_t now_ms, spool_lease_each *each, void *context);
int sqlite_settle(struct spool_backend *backend, uint64_t id, const struct verdict *verdict,
                  int64_t due_ms, bool keep_lease, bool stop_lane, int64_t now_ms);
void sqlite_release(struct spool_backend *backend, uint64_t id);

/* ---- sqlite_damage.c ---- */

/* A row of this lane's queue that can't be read: it waits for an operator, and the lane goes on. */
__attribute__((warn_unused_result)) int row_is_damaged(struct sqlite_spool *spool,
                                                       const struct row_view *view,
                                                       struct sqlite_lane *lane, int64_t now_ms);
/* An id in this lane's queue without a row: the lane goes on without it. */
__attribute__((warn_unused_result)) int row_is_lost(struct sqlite_spool *spool,
                                                    struct sqlite_lane *lane, int64_t id);

/* ---- sqlite_acts.c ---- */

int sqlite_replay(struct spool_backend *backend, uint64_t id, bool out_of_order, int64_t now_ms,
                  uint64_t *ret_id);
int sqlite_discard(struct spool_backend *backend, uint64_t id, int64_t now_ms);
int sqlite_move(struct spool_backend *backend, const char *from, const char *to, unsigned limit,
                uint64_t *ret_moved, bool *ret_done);
/* The move that a crash interrupted, to its end. Outside a transaction. */
__attribute__((warn_unused_result)) int acts_finish_move(struct sqlite_spool *spool);
/* The view of row_get() ends. */
void view_done(struct sqlite_spool *spool);
/* Seals the row anew, for its lane or another one, and counts. */
__attribute__((warn_unused_result)) int
row_reseal(struct sqlite_spool *spool, const struct row_view *view, struct sqlite_lane *lane);

/* ---- sqlite_purge.c ---- */

int sqlite_purge(struct spool_backend *backend, int64_t now_ms, unsigned limit);

/* ---- sqlite_reserve.c ---- */

/* Finds what the last start has left; nothing is made before sqlite_reserve(). */
void reserve_open(struct sqlite_spool *spool);
void reserve_close(struct sqlite_spool *spool);
/* From now on the WAL is copied back as the reserve demands. */
void reserve_watch(struct sqlite_spool *spool);
bool sqlite_disk_room(struct spool_backend *backend, int64_t bytes);
void sqlite_make_room(struct spool_backend *backend, bool all);
bool sqlite_reserve(struct spool_backend *backend, int64_t bytes, bool small);

/* ---- sqlite_list.c ---- */

int sqlite_list(struct spool_backend *backend, const struct spool_filter *filter,
                spool_list_each *each, void *context, uint64_t *ret_next);
int sqlite_show(struct spool_backend *backend, uint64_t id, struct spool_row *ret_row,
                struct message **ret_message, struct answer_bytes **ret_answer);
void sqlite_totals(struct spool_backend *backend, struct spool_totals *ret_totals);
int sqlite_lane_statistics(struct spool_backend *backend, const char *lane,
                           struct spool_lane_statistics *ret_statistics);
int sqlite_lanes(struct spool_backend *backend, spool_lanes_each *each, void *context);

/* ---- sqlite_records.c ---- */

__attribute__((warn_unused_result)) int records_load(struct sqlite_spool *spool);
/* Makes a run of what has gathered; at the beginning of a transaction. */
__attribute__((warn_unused_result)) int records_begin(struct sqlite_spool *spool);
void records_committed(struct sqlite_spool *spool);
void records_rollback(struct sqlite_spool *spool);
__attribute__((warn_unused_result)) int records_remove(struct sqlite_spool *spool,
                                                       struct span digest);
/* How many, at most limit. */
__attribute__((warn_unused_result)) int records_purge(struct sqlite_spool *spool, int64_t now_ms,
                                                      unsigned limit);
__attribute__((warn_unused_result)) int records_reseal(struct sqlite_spool *spool, unsigned limit);
int sqlite_record_put(struct spool_backend *backend, const struct message *message,
                      const struct verdict *verdict, int64_t now_ms);
int sqlite_record_find(struct spool_backend *backend, const uint8_t digest[32], int64_t now_ms,
                       struct spool_record *ret_record);

#endif
