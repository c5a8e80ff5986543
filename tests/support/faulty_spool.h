/*
 * faulty_spool: a spool backend around another one, whose commits, or whose next lease, fail when the
 * test says so; or which can't write certain entries: a put of a body that begins with "UNWRITABLE",
 * settlements, or only those with an answer; or whose disk is full.
 * Header only, so that only tests that use it link the spool.
 *
 * A failed commit has rolled the inner transaction back, as the real ones do.
 * Threads: the errors may be set from any; the rest as the inner backend.
 */
#ifndef MLLPGW_TESTS_FAULTY_SPOOL_H
#define MLLPGW_TESTS_FAULTY_SPOOL_H

#include "spool/operations.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct faulty_spool {
    struct spool_backend backend; /* first */
    struct spool_operations operations;
    struct spool_backend *inner;
    atomic_int commit_error;   /* 0, or the negative errno of every commit */
    atomic_int lease_error;    /* likewise of the next lease only */
    atomic_int put_error;      /* of the bodies named above */
    atomic_int settle_error;   /* of every settlement */
    atomic_int answer_error;   /* of settlements with an answer */
    atomic_bool disk_is_full;  /* no space can be set aside */
    atomic_bool has_reserve;   /* settlements succeed once it is given up */
    bool broken;               /* the transaction can only be rolled back, as the contract says */
    _Atomic(int64_t) doubt_ms; /* as if there had been an earlier run */
    atomic_int commits, failed_commits;
    atomic_int commit_delay_us; /* so that a group can gather */
};

static inline struct spool_backend *faulty_inner(struct spool_backend *backend)
{
    return ((struct faulty_spool *)backend)->inner;
}

#define FAULTY_PASS(type, name, parameters, arguments)                                             \
    static inline type faulty_##name parameters                                                    \
    {                                                                                              \
        struct spool_backend *inner = faulty_inner(backend);                                       \
        return inner->operations->name arguments;                                                  \
    }

FAULTY_PASS(void, configure,
            (struct spool_backend * backend, const struct spool_backend_settings *settings),
            (inner, settings))
FAULTY_PASS(void, rollback, (struct spool_backend * backend), (inner))
FAULTY_PASS(int, room, (struct spool_backend * backend, int64_t bytes, unsigned rows),
            (inner, bytes, rows))
FAULTY_PASS(int, digest, (struct spool_backend * backend, struct message *message),
            (inner, message))
static inline int64_t faulty_doubt_ms(const struct spool_backend *backend)
{
    return atomic_load(&((const struct faulty_spool *)backend)->doubt_ms);
}

FAULTY_PASS(uint64_t, reserve_id, (struct spool_backend * backend), (inner))
FAULTY_PASS(int, record_put,
            (struct spool_backend * backend, const struct message *message,
             const struct verdict *verdict, int64_t now_ms),
            (inner, message, verdict, now_ms))
FAULTY_PASS(int, record_find,
            (struct spool_backend * backend, const uint8_t digest[32], int64_t now_ms,
             struct spool_record *ret_record),
            (inner, digest, now_ms, ret_record))
FAULTY_PASS(void, release, (struct spool_backend * backend, uint64_t id), (inner, id))
FAULTY_PASS(int, replay,
            (struct spool_backend * backend, uint64_t id, bool out_of_order, int64_t now_ms,
             uint64_t *ret_id),
            (inner, id, out_of_order, now_ms, ret_id))
FAULTY_PASS(int, discard, (struct spool_backend * backend, uint64_t id, int64_t now_ms),
            (inner, id, now_ms))
FAULTY_PASS(int, move,
            (struct spool_backend * backend, const char *from, const char *to, unsigned limit,
             uint64_t *ret_moved, bool *ret_done),
            (inner, from, to, limit, ret_moved, ret_done))
FAULTY_PASS(int, list,
            (struct spool_backend * backend, const struct spool_filter *filter,
             spool_list_each *each, void *context, uint64_t *ret_next),
            (inner, filter, each, context, ret_next))
FAULTY_PASS(int, show,
            (struct spool_backend * backend, uint64_t id, struct spool_row *ret_row,
             struct message **ret_message, struct answer_bytes **ret_answer),
            (inner, id, ret_row, ret_message, ret_answer))
FAULTY_PASS(void, totals, (struct spool_backend * backend, struct spool_totals *ret_totals),
            (inner, ret_totals))
FAULTY_PASS(int, lane_statistics,
            (struct spool_backend * backend, const char *lane,
             struct spool_lane_statistics *ret_statistics),
            (inner, lane, ret_statistics))
FAULTY_PASS(int, lanes, (struct spool_backend * backend, spool_lanes_each *each, void *context),
            (inner, each, context))
FAULTY_PASS(int, keys, (struct spool_backend * backend, spool_keys_each *each, void *context),
            (inner, each, context))
FAULTY_PASS(int, purge, (struct spool_backend * backend, int64_t now_ms, unsigned limit),
            (inner, now_ms, limit))
FAULTY_PASS(int, sequence_get, (struct spool_backend * backend, const char *key, long *ret_last),
            (inner, key, ret_last))
FAULTY_PASS(int, sequence_put, (struct spool_backend * backend, const char *key, long last),
            (inner, key, last))

static inline int faulty_begin(struct spool_backend *backend)
{
    ((struct faulty_spool *)backend)->broken = false;
    return faulty_inner(backend)->operations->begin(faulty_inner(backend));
}

static inline void faulty_make_room(struct spool_backend *backend, bool all)
{
    struct faulty_spool *faulty = (struct faulty_spool *)backend;

    if (all && atomic_exchange(&faulty->has_reserve, false))
        atomic_store(&faulty->settle_error, 0);
}

static inline bool faulty_reserve(struct spool_backend *backend, int64_t bytes, bool small)
{
    (void)bytes;
    (void)small;
    return !atomic_load(&((struct faulty_spool *)backend)->disk_is_full);
}

static inline int faulty_put(struct spool_backend *backend, const struct message *message,
                             const char *route, const char *lane, bool leased, int64_t now_ms,
                             uint64_t *ret_id)
{
    static const char unwritable[] = "UNWRITABLE";
    struct faulty_spool *faulty = (struct faulty_spool *)backend;
    int error = atomic_load(&faulty->put_error);

    if (error < 0 && message->body.length >= sizeof unwritable - 1 &&
        memcmp(message->body.data, unwritable, sizeof unwritable - 1) == 0) {
        faulty->broken = true;
        return error;
    }
    return faulty->inner->operations->put(faulty->inner, message, route, lane, leased, now_ms,
                                          ret_id);
}

static inline int faulty_settle(struct spool_backend *backend, uint64_t id,
                                const struct verdict *verdict, int64_t due_ms, bool keep_lease,
                                bool stop_lane, int64_t now_ms)
{
    struct faulty_spool *faulty = (struct faulty_spool *)backend;
    int error = atomic_load(&faulty->settle_error);

    if (error == 0 && verdict->answer != NULL)
        error = atomic_load(&faulty->answer_error);
    if (error < 0) {
        faulty->broken = true;
        return error;
    }
    return faulty->inner->operations->settle(faulty->inner, id, verdict, due_ms, keep_lease,
                                             stop_lane, now_ms);
}

static inline int faulty_lease(struct spool_backend *backend, const char *lane, uint64_t below_id,
                               unsigned limit, int64_t limit_bytes, int64_t now_ms,
                               spool_lease_each *each, void *context)
{
    struct faulty_spool *faulty = (struct faulty_spool *)backend;
    int error = atomic_exchange(&faulty->lease_error, 0);

    if (error < 0)
        return error;
    return faulty->inner->operations->lease(faulty->inner, lane, below_id, limit, limit_bytes,
                                            now_ms, each, context);
}

static inline int faulty_commit(struct spool_backend *backend)
{
    struct faulty_spool *faulty = (struct faulty_spool *)backend;
    int delay = atomic_load(&faulty->commit_delay_us), error = atomic_load(&faulty->commit_error);

    if (delay > 0)
        (void)nanosleep(&(struct timespec){delay / 1000000, (long)delay % 1000000 * 1000}, NULL);
    if (error == 0 && faulty->broken)
        error = -EIO;
    if (error < 0) {
        atomic_fetch_add(&faulty->failed_commits, 1);
        faulty->inner->operations->rollback(faulty->inner);
        return error;
    }
    atomic_fetch_add(&faulty->commits, 1);
    return faulty->inner->operations->commit(faulty->inner);
}

static inline void faulty_close(struct spool_backend *backend)
{
    struct faulty_spool *faulty = (struct faulty_spool *)backend;

    spool_backend_close(&faulty->inner);
    free(faulty);
}

/* Takes over inner. */
static inline struct faulty_spool *faulty_spool_new(struct spool_backend *inner)
{
    struct faulty_spool *faulty = calloc(1, sizeof *faulty);

    if (faulty == NULL)
        abort();
    faulty->operations = (struct spool_operations){
        .close = faulty_close,
        .configure = faulty_configure,
        .begin = faulty_begin,
        .commit = faulty_commit,
        .rollback = faulty_rollback,
        .room = faulty_room,
        .make_room = faulty_make_room,
        .reserve = faulty_reserve,
        .digest = faulty_digest,
        .doubt_ms = faulty_doubt_ms,
        .reserve_id = faulty_reserve_id,
        .put = faulty_put,
        .record_put = faulty_record_put,
        .record_find = faulty_record_find,
        .lease = faulty_lease,
        .settle = faulty_settle,
        .release = faulty_release,
        .replay = faulty_replay,
        .discard = faulty_discard,
        .move = faulty_move,
        .list = faulty_list,
        .show = faulty_show,
        .totals = faulty_totals,
        .lane_statistics = faulty_lane_statistics,
        .lanes = faulty_lanes,
        .keys = faulty_keys,
        .purge = faulty_purge,
        .sequence_get = faulty_sequence_get,
        .sequence_put = faulty_sequence_put,
    };
    faulty->backend.operations = &faulty->operations;
    faulty->inner = inner;
    return faulty;
}

#endif
