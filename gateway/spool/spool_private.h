/*
 * The spool's service, shared by its files. Everything here belongs to the spool's thread, except
 * where it says otherwise.
 *
 *   spool.c          life, thread, mail from other threads
 *   spool_group.c    one transaction for settlements and puts; what happens when it fails
 *   spool_lanes.c    lanes and routes
 *   spool_pump.c     the window, entries on their way to the sink
 *   spool_transient.c  acknowledge = "delivered": entries that are never on disk
 *   spool_acts.c     calls, an operator's acts, purge
 *   spool_metrics.c  what is counted
 */
#ifndef MLLPGW_SPOOL_SPOOL_PRIVATE_H
#define MLLPGW_SPOOL_SPOOL_PRIVATE_H

#include "loop/timers.h"
#include "spool/operations.h"
#include "spool/spool.h"

#include <pthread.h>
#include <semaphore.h>

/* What of a lane may be out at any time. A lane without order has many in flight at once. */
#define SPOOL_LANE_WINDOW 64
#define SPOOL_LANE_WINDOW_UNORDERED 256
#define SPOOL_LANE_WINDOW_BYTES (INT64_C(1) << 20)
/* All lanes together, not counting the first entry of each: what the process spends on reading
 * ahead. A lane over it goes on one entry at a time. */
#define SPOOL_AHEAD_BYTES (INT64_C(8) << 20)
/* The first entries of all lanes together, or memory would grow with lanes times the largest frame.
 * Beyond it lanes with nothing out wait for their turn; but each route may always have one, so that a
 * store that is down, and keeps its own, stops no other. The last one in may be of any size. */
#define SPOOL_FIRST_BYTES (INT64_C(64) << 20)
/* An entry that was given back without a verdict rests so long, or a sink that can't take it would
 * be asked again and again. */
#define SPOOL_HOLD_MS 1000
#define SPOOL_PROBE_MS 500 /* after a failed commit, until the next try */
/* A disk that was full must have room for so much besides what failed, before messages are taken
 * again: or intake would close and open in turn, with each message. */
#define SPOOL_DISK_ROOM (INT64_C(1) << 20)
/* More than that is put in one group only if the disk has room for it twice: in the WAL, and where it
 * is copied from there. What is committed and can't be copied is what the reserve must hold. */
#define SPOOL_LARGE_BYTES (INT64_C(256) << 10)
#define SPOOL_GROUP_BYTES (INT64_C(4) << 20) /* in one group; a single message may be larger */
/* Rows in one transaction while the disk is full: it must fit into the space that is left. */
#define SPOOL_ROWS_FULL 8
#define SPOOL_SETTLE_BYTES_FULL (INT64_C(1) << 20) /* and of the stores' answers, about */
#define SPOOL_PURGE_MS 60000                       /* between two rounds */
#define SPOOL_PURGE_ROWS 256                       /* a slice */
#define SPOOL_MOVE_ROWS 256                        /* a slice */
#define SPOOL_REFRESH_MS 1000                      /* gauges by route */
#define SPOOL_BUCKETS 1024 /* of the tables of lanes and of messages under way */

/* A sink stays until the spool ends: mail on its way points at it. */
struct spool_sink_state {
    struct spool_sink sink;
    struct spool_sink_state *older;
};

struct spool_route_state {
    struct list_node node; /* spool->routes */
    char *name;
    bool open;
    unsigned revoked; /* acts that wait for, or work on, a route without entries out */
    unsigned out;     /* entries at the sink */
    unsigned firsts;  /* of these, the ones that were the first of their lane */
    /* gauges */
    int64_t queued, dead, queued_bytes, oldest_ms;
    struct metric *queued_slot, *dead_slot, *bytes_slot, *oldest_slot;
};

struct spool_lane {
    struct list_node in_bucket; /* spool->lanes[] */
    struct list_node in_pump;   /* spool->pump: something may be handed out; or spool->in_turn */
    char *name;
    struct spool_route_state *route;
    bool unordered;
    bool stopped;          /* by a dead letter, as the backend says */
    bool recalled;         /* its route was revoked: nothing more goes out until all are back */
    bool touched;          /* by the call in hand: to be refreshed behind it */
    bool unreadable;       /* the log says so */
    uint64_t waiting_rows; /* queued, on disk only: not leased */
    struct list_node out;  /* holdings at the sink, in order */
    unsigned out_count, out_stored;
    int64_t out_bytes;
    struct list_node transients; /* holdings that wait for their turn, ascending ids */
    uint64_t resume_id;          /* the replayed head of a lane that was stopped; 0: none */
    struct timer hold;           /* nothing is handed out while it runs */
    struct spool *spool;
};

enum spool_task {
    TASK_NONE,
    TASK_SETTLE, /* a stored entry came back */
    TASK_NOTE,   /* what a kept entry says: entry.id, entry.verdict, entry.retry_due_wall_ms */
    TASK_RECORD, /* a transient message was accepted: entry.message, entry.verdict */
};

/* An entry as the spool sees it; also what is to be written down about one. */
struct spool_holding {
    struct spool_entry entry; /* first */
    struct spool *spool;
    const struct spool_sink_state *sink; /* whom it was handed to */
    struct spool_lane *lane;             /* lives as long as it has holdings */
    struct spool_put *put;               /* transient: who waits for the outcome, or its record */
    struct list_node node; /* lane->out, lane->transients, spool->born or spool->settlements */
    struct timer deadline; /* transient, while it waits for its turn */
    enum spool_task task;
    bool ahead;          /* counted in spool->ahead_bytes */
    bool without_answer; /* the store's answer could not be written: the verdict is tried alone */
    char *sequence_key;  /* TASK_RECORD */
    long sequence_last;
};

/* A call that waits until routes have nothing out: a move, or anything else. */
struct spool_act {
    struct list_node node; /* spool->acts */
    struct mail mail;
    struct spool *spool;
    struct spool_call *call;
    struct spool_route_state *from, *to; /* to may be NULL */
    char *from_name, *to_name;           /* to_name NULL: call->call is what is to be done */
    bool waiting;                        /* routes are revoked */
    uint64_t moved;
};

struct spool_counters {
    struct metric *commits, *rows, *commit_seconds, *group_rows, *retransmissions, *failures;
    struct metric *full, *failed, *bytes, *kept, *records;
};

struct spool {
    struct mailbox mailbox;
    sem_t wake;
    atomic_int sleeping; /* any thread */
    pthread_t thread;
    struct spool_backend *backend;
    struct spool_settings settings;
    const struct clock *clock;
    int64_t started_ms; /* monotonic */
    struct metrics *metrics;
    struct spool_counters counters;
    struct timers timers;
    struct timer probe, purge, refresh;
    bool probe_due, purge_due, stopping;

    struct list_node puts; /* not yet looked at */
    size_t put_count;
    uint64_t puts_arrived;        /* of this run; less put_count: how many have been looked at */
    struct list_node settlements; /* to be written down, in order of arrival */
    struct list_node calls;
    struct list_node acts;
    struct list_node committing; /* puts of this group, SAFE once it is committed */
    struct list_node answered;   /* puts of this group whose answer is known */
    struct list_node born;       /* holdings of this group, for the sink once it is committed */
    size_t group_size, last_group;
    size_t settled; /* the first so many of settlements are in the group in hand */
    /* What the group in hand could not write though the disk is well; NULL: nothing. */
    struct spool_holding *unwritable_settlement;
    struct spool_put *unwritable_put;

    struct list_node lanes[SPOOL_BUCKETS];
    struct list_node under_way[SPOOL_BUCKETS]; /* puts by digest */
    struct list_node routes;
    struct list_node pump;
    struct list_node in_turn; /* lanes that wait until first_bytes allows them */
    int64_t ahead_bytes, first_bytes;
    bool first_is_back;             /* since the lanes in turn were looked at */
    struct spool_sink_state *sink;  /* NULL: nobody */
    struct spool_sink_state *sinks; /* all that ever were, newest first */
    void (*on_notice)(void *context, struct spool_notice *notice);
    void *notice_context;

    int failure;        /* errno of the last commit; 0: it worked */
    bool intake_closed; /* the disk is full; set whenever failure is ENOSPC */
    bool resting;       /* until the probe: what is not delivery and didn't fit either */
    int64_t group_bytes, failed_bytes; /* bodies of this group, and of the one that had no room */
    bool full;
    int64_t full_bytes;              /* what was refused last */
    int64_t room_bytes;              /* what it wanted of the disk, until purge has seen to it */
    pthread_mutex_t statistics_lock; /* any thread */
    struct spool_statistics statistics;
};

/* spool_group.c */
void spool_group_run(struct spool *spool);

/* spool_settlements.c */
__attribute__((warn_unused_result)) int spool_settlements_write(struct spool *spool,
                                                                int64_t now_ms);
/* Those that were written are committed. */
void spool_settlements_finish(struct spool *spool);
void spool_settlements_failed(struct spool *spool);
/* The one that its group failed by, rolled back: tried in another way, or dropped. */
void spool_settlement_unwritable(struct spool *spool, struct spool_holding *holding, int error);

/* spool_puts.c */
__attribute__((warn_unused_result)) int spool_puts_write(struct spool *spool, int64_t now_ms);
void spool_put_answer(struct spool_put *put, enum spool_outcome outcome, enum reason reason);
/* Its answer is the record's; onto spool->answered. */
void spool_put_from_record(struct spool *spool, struct spool_put *put, struct spool_record *record);
void spool_put_forget_outcome(struct spool_put *put);

/* spool_room.c */
/* One transaction around work: what it returned, after commit; its error, after rollback; or the
 * commit's, which is noted (spool_trouble). */
__attribute__((warn_unused_result)) int
spool_transaction(struct spool *spool, int (*work)(struct spool *spool, void *context),
                  void *context);
void spool_fail(struct spool *spool, int error);
void spool_recover(struct spool *spool);
void spool_close_intake(struct spool *spool);
/* Opens it if there is room; else looks again later. */
void spool_probe_intake(struct spool *spool);
/* Behind purge: a reserve that is small may grow now, and what was refused may get its room. */
void spool_keep_room(struct spool *spool);
/* At the start it is open if there is room. */
void spool_begin_intake(struct spool *spool);
/* What no group failed by: intake closes, or all waits. */
void spool_trouble(struct spool *spool, int error);
/* What fails for everybody, and what another try may cure; or a damaged database, which can't be
 * written to for certain. Any other error is about the entry in hand (too long, too large, damaged):
 * it would fail again with each group that it is part of. */
bool spool_error_is_the_disks(int error);
/* The same for what only reads: a damaged page is nobody's who doesn't need it. */
bool spool_error_is_the_lanes(int error);
enum reason spool_failure_reason(const struct spool *spool);
/* Whether a message of this size may come behind those that are in the group. */
bool spool_group_takes(struct spool *spool, int64_t bytes);
/* Whether there is room for a message of this size; false is remembered as full. */
bool spool_takes(struct spool *spool, int64_t bytes, unsigned rows);
void spool_check_full(struct spool *spool);

/* spool_lanes.c */
struct spool_route_state *spool_route_get(struct spool *spool, const char *name); /* NULL: memory */
struct spool_lane *spool_lane_get(struct spool *spool, const char *route, const char *lane);
bool spool_lane_flows(const struct spool *spool, const struct spool_lane *lane);
/* Whether one more entry of bytes may be out. */
bool spool_lane_has_room(const struct spool *spool, const struct spool_lane *lane, int64_t bytes);
void spool_lane_wants_pump(struct spool *spool, struct spool_lane *lane);
/* Asks the backend again what waits and whether the lane is stopped; refresh also has it pumped. */
void spool_lane_count_rows(struct spool *spool, struct spool_lane *lane);
void spool_lane_refresh(struct spool *spool, struct spool_lane *lane);
void spool_lanes_refresh(struct spool *spool, const struct spool_route_state *route);
void spool_lanes_pump(struct spool *spool);
/* Frees lanes that hold nothing. */
void spool_lanes_trim(struct spool *spool);
void spool_lanes_free(struct spool *spool);
void spool_lane_tell_resumed(struct spool *spool, const struct spool_lane *lane);
void spool_lane_hold(struct spool_lane *lane);
void spool_route_load(struct spool *spool, struct spool_route_state *route);
void spool_route_revoke(struct spool *spool, struct spool_route_state *route);
struct spool_holding *spool_holding_new(struct spool *spool, struct spool_lane *lane,
                                        struct message *message, uint64_t id);
void spool_holding_free(struct spool_holding *holding);
/* Counted as out; or no longer, and on no list. */
void spool_holding_out(struct spool_holding *holding);
void spool_holding_back(struct spool_holding *holding);
/* To the sink. */
void spool_holding_push(struct spool_holding *holding);

/* spool_transient.c */
__attribute__((warn_unused_result)) int spool_transient_put(struct spool *spool,
                                                            struct spool_put *put);
void spool_transient_settled(struct spool_holding *holding);
void spool_transient_give_up(struct spool_holding *holding, enum reason reason);
void spool_transient_recorded(struct spool_holding *holding);
struct spool_put *spool_under_way_find(struct spool *spool, const uint8_t digest[32]);
void spool_under_way_add(struct spool *spool, struct spool_put *put);

/* spool_acts.c */
void spool_calls_run(struct spool *spool);
void spool_acts_run(struct spool *spool);
bool spool_acts_ready(const struct spool *spool);
void spool_acts_cancel(struct spool *spool);
void spool_purge_slice(struct spool *spool);

/* spool_metrics.c */
void spool_metrics_init(struct spool *spool);
void spool_metrics_route(struct spool *spool, struct spool_route_state *route);
void spool_metrics_commit(struct spool *spool, size_t rows, int64_t nanoseconds);
/* Publishes totals, full and failed; has the gauges by route follow within SPOOL_REFRESH_MS. */
void spool_publish(struct spool *spool);
void spool_metrics_refresh(struct spool *spool);

static inline int64_t spool_wall(const struct spool *spool)
{
    return clock_wall_ms(spool->clock);
}

static inline int64_t spool_monotonic(const struct spool *spool)
{
    return clock_monotonic_ms(spool->clock);
}

#endif
