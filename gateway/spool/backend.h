/*
 * backend: the spool's contract, as two implementations fulfil it (SQLite, memory) and one
 * conformance suite checks it (tests/unit/test_spool_conformance.c).
 *
 * Synchronous, one thread. Entries live in lanes; a lane's name is "ROUTE/KEY". Order within a lane
 * is the order of put, and survives close and open. Every change between begin and commit is on
 * disk when commit has returned 0 (fdatasync), or is not there at all.
 *
 * States: QUEUED -> (lease) -> settled: accepted (removed, or KEPT for retain), retry (QUEUED again
 * with attempts and a due time), dead (DEAD: stays until replayed or discarded; with "stop" its
 * lane is stopped there).
 * A lease is memory only: after open every entry is free again. What put and settle do to leases is
 * undone by rollback; what lease and release do is not.
 * After a failed operation other than -ENOENT, -ESTALE, -EBUSY, -EXDEV, -EINVAL or put's -ENOSPC the
 * transaction can only be rolled back; commit then fails by itself. The backend stays usable.
 * Times are wall-clock milliseconds. Bodies are encrypted by the implementation (seal.h).
 * Errors: -ENOSPC maximum_bytes reached or disk full; -EIO; -ENOMEM; -EUCLEAN the database is damaged
 * where it was read or written; -ENOENT no such entry; -ESTALE the lease has passed to somebody else;
 * -EACCES wrong key.
 */
#ifndef MLLPGW_SPOOL_BACKEND_H
#define MLLPGW_SPOOL_BACKEND_H

#include "spool/message.h"
#include "spool/verdict.h"

enum spool_state { SPOOL_QUEUED, SPOOL_KEPT, SPOOL_DEAD };

/* What a row says without its body: for lists and leases. Strings belong to whoever filled it in
 * (spool_row_clear). */
struct spool_row {
    uint64_t id; /* never used twice; ascending = order of arrival */
    char *lane, *route;
    char *peer, *listener;
    char *control_id; /* bytes, NUL-terminated besides */
    size_t control_id_length;
    char *message_type;
    enum spool_state state;
    bool batch;
    bool leased;
    int attempts; /* that counted or not: every one */
    int counted_attempts;
    int64_t received_ms, due_ms, settled_ms;
    int64_t bytes;
    uint8_t digest[32];
    /* of the last verdict: */
    enum verdict_kind last_kind;
    int last_status;
    char last_reason[VERDICT_REASON_BYTES];
    uint64_t connection; /* of this run; 0 after a restart */
};
void spool_row_clear(struct spool_row *row);

/* A safe message's record, for retransmissions. */
struct spool_record {
    int64_t recorded_ms;
    char code[3]; /* what the store said (MSA-1); "": stored mode, and nothing that is to be kept */
    struct answer_bytes *answer; /* the store's own answer, where one came; may be NULL */
    bool answer_is_hl7;
};

struct spool_lane_statistics {
    uint64_t queued, dead;
    int64_t queued_bytes;
    int64_t oldest_ms; /* received_ms of the oldest queued; 0: none */
    bool stopped;      /* by a dead letter */
};

struct spool_totals {
    uint64_t queued, dead, kept, records;
    int64_t bytes; /* what maximum_bytes is compared with */
};

struct spool_filter {
    const char *route; /* NULL: any */
    const char *lane, *peer;
    bool by_state;
    enum spool_state state;
    uint64_t after_id; /* paging */
    unsigned limit;    /* matching rows a call; 0: no limit of its own */
};

/* What a row costs besides its body and its answer, when compared with maximum_bytes. */
#define SPOOL_ROW_OVERHEAD 256

struct spool_backend;

/* Whether entries of this lane keep no order: its name ends in an asterisk behind a slash. */
bool spool_lane_is_unordered(const char *lane);

struct spool_backend_settings {
    const char *path;      /* sqlite: the database file */
    const char *key_file;  /* sqlite */
    int64_t maximum_bytes; /* 0: no limit */
    int64_t retain_ms;     /* 0: accepted messages are removed at once */
    int64_t window_ms;     /* retransmission_window */
    int64_t reserve_bytes; /* sqlite: set aside on the disk for when it is full; 0: none */
};

/* 0, or a negative errno with one sentence in ret_error. */
__attribute__((warn_unused_result)) int
spool_sqlite_open(const struct spool_backend_settings *settings, int64_t now_ms,
                  struct spool_backend **ret_backend, char ret_error[512]);
__attribute__((warn_unused_result)) int
spool_memory_open(const struct spool_backend_settings *settings, int64_t now_ms,
                  struct spool_backend **ret_backend, char ret_error[512]);
void spool_backend_close(struct spool_backend **backend);

/* Reloadable ones: maximum_bytes, retain_ms, window_ms. */
void spool_backend_configure(struct spool_backend *backend,
                             const struct spool_backend_settings *settings);

__attribute__((warn_unused_result)) int spool_backend_begin(struct spool_backend *backend);
__attribute__((warn_unused_result)) int spool_backend_commit(struct spool_backend *backend);
void spool_backend_rollback(struct spool_backend *backend);

/* Whether the disk itself has so many bytes free. When it hasn't, purge gives it back whatever is free
 * inside the file. */
bool spool_backend_disk_room(struct spool_backend *backend, int64_t bytes);
/* After -ENOSPC, so that what is settled can be written: space that the spool holds on the disk is
 * made usable again; with all, or when that can't be done, reserve_bytes are given up too. Until spool_backend_reserve() says true, purge gives back what is free inside the
 * file, and nothing is written that can wait. Outside a transaction. */
void spool_backend_make_room(struct spool_backend *backend, bool all);
/* Whether so many bytes are free besides reserve_bytes, which are set aside first: then messages may be
 * taken. With small, less than that is set aside where no more is to be had. Outside a transaction. */
bool spool_backend_reserve(struct spool_backend *backend, int64_t bytes, bool small);
/* Whether rows further rows with bytes of body in all would fit: 0 or -ENOSPC. For a message that
 * goes to several lanes, of which all or none are put. */
__attribute__((warn_unused_result)) int spool_backend_room(struct spool_backend *backend,
                                                           int64_t bytes, unsigned rows);

/* Fills in message->digest (the digest key lives in the backend, wrapped by the key file, and
 * survives key rotation). May be called from any thread. */
__attribute__((warn_unused_result)) int spool_backend_digest(struct spool_backend *backend,
                                                             struct message *message);

/* For how long after the start a message that was only in memory may be a repeat of one that an
 * earlier run has sent (the retransmission window); 0: there was no earlier run. */
int64_t spool_backend_doubt_ms(const struct spool_backend *backend);

/* The next id of the rows' own sequence, for an entry that never gets to disk. */
uint64_t spool_backend_reserve_id(struct spool_backend *backend);

/* One row; born leased when leased is true. -ENOSPC beyond maximum_bytes leaves the transaction as it
 * was. */
__attribute__((warn_unused_result)) int
spool_backend_put(struct spool_backend *backend, const struct message *message, const char *route,
                  const char *lane, bool leased, int64_t now_ms, uint64_t *ret_id);

/* Record of a safe message; verdict NULL: stored mode. find: -ENOENT when there is none inside the
 * window. */
__attribute__((warn_unused_result)) int spool_backend_record_put(struct spool_backend *backend,
                                                                 const struct message *message,
                                                                 const struct verdict *verdict,
                                                                 int64_t now_ms);
__attribute__((warn_unused_result)) int spool_backend_record_find(struct spool_backend *backend,
                                                                  const uint8_t digest[32],
                                                                  int64_t now_ms,
                                                                  struct spool_record *ret_record);
void spool_record_clear(struct spool_record *record);

/* Leases the lane's next entries in order (not leased, QUEUED), at most limit rows and about
 * limit_bytes (at least one row). Calls each with the row and its message; each takes over the
 * message's reference and the row's strings. Rows whose body can't be read (damage) are made dead
 * letters with a reason and skipped; so is what is queued without a row, which nothing is left of.
 * Returns how many, or an error. A stopped lane gives none.
 * Inside a transaction (for the dead letters). */
__attribute__((warn_unused_result)) int
spool_backend_lease(struct spool_backend *backend, const char *lane, unsigned limit,
                    int64_t limit_bytes, int64_t now_ms,
                    void (*each)(void *context, struct spool_row *row, struct message *message),
                    void *context);

/* The same for rows whose id is smaller than below_id. */
__attribute__((warn_unused_result)) int spool_backend_lease_below(
    struct spool_backend *backend, const char *lane, uint64_t below_id, unsigned limit,
    int64_t limit_bytes, int64_t now_ms,
    void (*each)(void *context, struct spool_row *row, struct message *message), void *context);

/* settle: for ACCEPTED, RETRY/OPERATOR/UNKNOWN (back to the lane: due_ms; keep_lease true when the
 * same holder tries again) and REFUSED (dead; stop_lane). The verdict's answer is kept, encrypted. -ESTALE when
 * the entry is not leased. */
__attribute__((warn_unused_result)) int
spool_backend_settle(struct spool_backend *backend, uint64_t id, const struct verdict *verdict,
                     int64_t due_ms, bool keep_lease, bool stop_lane, int64_t now_ms);
/* Gives the lease back without a verdict. */
void spool_backend_release(struct spool_backend *backend, uint64_t id);

/* An operator's acts. replay: a dead entry is queued again: in its old place when its lane is
 * stopped by it (the lane goes on), else -EXDEV unless out_of_order, then at the end (new id in
 * *ret_id); a lane without order (its name ends in "/" and an asterisk) always takes it at the end. -EINVAL: not dead.
 * discard: removes a dead or queued, not leased entry (-EBUSY when leased; -EINVAL a kept one) and its
 * record; a stopped lane goes on. move: all rows of a route to another (lane names follow);
 * none of them may be leased (-EBUSY). */
__attribute__((warn_unused_result)) int spool_backend_replay(struct spool_backend *backend,
                                                             uint64_t id, bool out_of_order,
                                                             int64_t now_ms, uint64_t *ret_id);
__attribute__((warn_unused_result)) int spool_backend_discard(struct spool_backend *backend,
                                                              uint64_t id, int64_t now_ms);
__attribute__((warn_unused_result)) int spool_backend_move(struct spool_backend *backend,
                                                           const char *from, const char *to,
                                                           uint64_t *ret_moved);

/* The same in slices of at most limit rows, each in a transaction of its own, so that a spool of any
 * size moves without a transaction of that size: call until *ret_done. All or nothing all the same:
 * the first slice writes down what is to be done, and opening the spool after a crash finishes it. */
__attribute__((warn_unused_result)) int
spool_backend_move_slice(struct spool_backend *backend, const char *from, const char *to,
                         unsigned limit, uint64_t *ret_moved, bool *ret_done);

/* Metadata in order of id; each must not keep the row's strings. A call looks at SPOOL_LIST_ROWS rows at
 * most, whether they match or not, so that a list that matches little holds up nobody: to go on, call
 * again with after_id = *ret_next; 0: the end was reached. */
#define SPOOL_LIST_ROWS 4096
__attribute__((warn_unused_result)) int
spool_backend_list(struct spool_backend *backend, const struct spool_filter *filter,
                   void (*each)(void *context, const struct spool_row *row), void *context,
                   uint64_t *ret_next);
/* One entry with body and the last answer (either may come back NULL). */
__attribute__((warn_unused_result)) int spool_backend_show(struct spool_backend *backend,
                                                           uint64_t id, struct spool_row *ret_row,
                                                           struct message **ret_message,
                                                           struct answer_bytes **ret_answer);

/* Kept incrementally: no scan. */
void spool_backend_totals(struct spool_backend *backend, struct spool_totals *ret_totals);
__attribute__((warn_unused_result)) int
spool_backend_lane_statistics(struct spool_backend *backend, const char *lane,
                              struct spool_lane_statistics *ret_statistics);
/* Every lane that has rows (queued or dead). */
__attribute__((warn_unused_result)) int
spool_backend_lanes(struct spool_backend *backend,
                    void (*each)(void *context, const char *route, const char *lane,
                                 const struct spool_lane_statistics *statistics),
                    void *context);

/* What each key of the key file still seals (rows and answers). A key that is not the first one and
 * seals nothing may be removed from the file. */
__attribute__((warn_unused_result)) int
spool_backend_keys(struct spool_backend *backend,
                   void (*each)(void *context, const char *key_id, bool current, uint64_t sealed),
                   void *context);

/* Removes kept messages past retain, records past the window; seals anew what hangs on an older key.
 * At most limit rows a call, returns how many (call again). Inside a transaction. */
__attribute__((warn_unused_result)) int spool_backend_purge(struct spool_backend *backend,
                                                            int64_t now_ms, unsigned limit);

/* Sequence numbers (MSH-13), committed with the message: key "listener/peer". -1 (SEQUENCE_NONE of
 * hl7/sequence.h) when unknown. */
__attribute__((warn_unused_result)) int spool_backend_sequence_get(struct spool_backend *backend,
                                                                   const char *key, long *ret_last);
__attribute__((warn_unused_result)) int spool_backend_sequence_put(struct spool_backend *backend,
                                                                   const char *key, long last);

#endif
