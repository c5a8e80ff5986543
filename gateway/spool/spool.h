/*
 * spool: where ingress and route meet. One thread owns the backend and commits in groups.
 *
 * Life of a put (semantics: Answers, Retransmission):
 *   worker --put--> [digest known and safe: answered from the record]
 *                   [a copy is under way: waits for that outcome]
 *                   stored:    row(s) + record in the group's transaction, COMMIT, answer STORED
 *                   delivered: a transient entry, never on disk, through the same lane; answered by
 *                              the verdict; an accepted one leaves a record
 * Entries go to the sink (route) in lane order; at most LANE_WINDOW entries and LANE_WINDOW_BYTES of
 * a lane are out at any time, further ones wait on disk and follow as entries are settled.
 *
 * Threads: spool_put() and spool_settle() from any; answers and entries arrive through the
 * mailboxes given. spool_call() runs a function on the spool's thread.
 */
#ifndef MLLPGW_SPOOL_SPOOL_H
#define MLLPGW_SPOOL_SPOOL_H

#include "base/clock.h"
#include "base/list.h"
#include "base/metrics.h"
#include "base/reason.h"
#include "loop/mailbox.h"
#include "spool/backend.h"

struct spool;

struct spool_settings {
    int group_rows;    /* most puts in one commit */
    int group_wait_us; /* longest wait for a group to fill; 0: take what is there */
};

struct spool_statistics { /* gauges and counters, also as metrics */
    struct spool_totals totals;
    /* Puts are answered UNAVAILABLE (REASON_SPOOL_FULL): beyond maximum_bytes, or the disk is full.
     * What is queued is delivered and settled all the same. */
    bool full;
    bool failed; /* the last commit failed (disk error): all waits until one works */
};

/* Takes over the backend. Starts its thread. NULL with a sentence. */
struct spool *spool_new(struct spool_backend *backend, const struct spool_settings *settings,
                        const struct clock *clock, struct metrics *metrics);
/* Commits what is queued, ends the thread, closes the backend. Everyone who might call has ended; entries
 * that the sink still holds are freed. Answers that are still owed (UNAVAILABLE, REASON_SHUTDOWN) are
 * posted before it returns: drain the mailboxes afterwards. */
void spool_free(struct spool **spool);

/* ---- ingress's side ---- */

enum spool_outcome {
    SPOOL_SAFE,        /* committed (stored) or accepted by the store (delivered) */
    SPOOL_REFUSED,     /* delivered: the store refused for ever: verdict says how */
    SPOOL_UNAVAILABLE, /* what another try would cure: reason says why (full, disk, store) */
    SPOOL_UNKNOWN,     /* delivered: cancelled at the deadline; outcome unknown */
};

struct spool_target {
    const char *route; /* copied by spool_put */
    const char *lane;  /* "ROUTE/KEY" */
};

/* Made by ingress with spool_put_new(), handed over by spool_put(), comes back by on_answer on the
 * thread of reply_to; freed by ingress with spool_put_free(). */
struct spool_put {
    struct mail mail; /* private */
    /* asked */
    struct mailbox *reply_to;
    void (*on_answer)(struct spool_put *put);
    void *context;       /* the worker; outlives the put */
    uint64_t connection; /* looked up when the answer comes; a miss is harmless */
    uint64_t exchange;
    struct message *message; /* one reference */
    bool delivered;          /* acknowledge = "delivered" */
    bool wait;               /* delivered: keep trying until the deadline (on_unavailable = wait);
                                else the first retryable verdict is the answer */
    int64_t deadline_ms;     /* delivered: monotonic */
    bool sequence_set;       /* commit this sequence number with the message */
    char *sequence_key;      /* owned */
    long sequence_last;
    /* answered */
    enum spool_outcome outcome;
    enum reason reason;
    bool repeated;          /* answered from the record, or together with a copy under way */
    struct verdict verdict; /* owned by the put; its answer too. delivered; or stored, of a repeat
                               whose verdict was kept: else its code is "" */
    /* private */
    struct spool *spool;
    struct spool_target *targets;
    size_t target_count;
    size_t pending;           /* delivered: targets without an outcome */
    struct list_node node;    /* on the spool's queue, or on another put's waiters */
    struct list_node waiters; /* copies that came meanwhile */
    struct list_node in_under_way;
};

/* Copies the targets; takes over one reference of message. NULL when memory is out. */
struct spool_put *spool_put_new(struct message *message, const struct spool_target *targets,
                                size_t count);
void spool_put_free(struct spool_put **put);
/* Computes the digest (on the caller's thread) and hands over. A message without a control id is no
 * repeat of anything and leaves no record. delivered with several targets: SAFE when all accepted. */
void spool_put(struct spool *spool, struct spool_put *put);

/* Sequence number last committed for key (blocking is fine only in tests): asked through a call. */

/* ---- route's side ---- */

/* A leased entry. The sink owns it until it hands it back with spool_settle(). */
struct spool_entry {
    struct mail mail;         /* private */
    struct list_node node;    /* the holder's own use */
    uint64_t id;              /* ascending within a lane (transient ones too) */
    const char *route, *lane; /* the entry's own copies */
    struct message *message;  /* one reference */
    bool transient;           /* delivered mode */
    bool wait;                /* transient: retry until deadline_ms */
    int64_t deadline_ms;      /* transient: monotonic; 0 for stored ones */
    int64_t due_wall_ms;      /* stored: not before */
    int attempts, counted_attempts;
    bool in_doubt;     /* the store may have it by an attempt of an earlier run */
    bool resumes_lane; /* a replayed head of a stopped lane: goes to the front, the lane goes on */
    /* filled in for spool_settle() */
    struct verdict verdict; /* owned by the entry from settle on */
    int64_t retry_due_wall_ms;
    bool
        keep; /* RETRY/OPERATOR: the sink goes on holding the entry (written down, not given back) */
    bool stop_lane;
    bool released; /* handed back without a verdict (route removed, shutdown) */
};

struct spool_sink {
    struct mailbox *mailbox;
    void (*on_entry)(void *context, struct spool_entry *entry);
    /* A stopped lane goes on (its dead head was discarded). */
    void (*on_lane_resumed)(void *context, const char *lane);
    /* Give back every entry of this route that isn't in flight, and those in flight when they end;
     * nothing more comes until spool_route_open(). */
    void (*on_route_revoked)(void *context, const char *route);
    void *context;
};

/* This one waits until the spool's thread has done it (at most one commit, or as long as the disk
 * hangs). After set_sink(NULL) nothing more is posted to the old one. An entry that comes back released is handed out again after a
 * second, if its route is open then. Closing a route revokes what is out. */
void spool_set_sink(struct spool *spool, const struct spool_sink *sink);
/* Entries of this route may flow now (start, reload). Opening, closing and configuring don't wait; what
 * the caller puts and asks for afterwards comes behind it. */
void spool_route_open(struct spool *spool, const char *route);
void spool_route_close(struct spool *spool, const char *route);
/* Hands back the entry with its verdict; with keep the entry stays the sink's and only what
 * it says is written down (the verdict's answer goes over to the spool: entry->verdict.answer is NULL
 * afterwards). attempts in the row count every verdict, counted_attempts those with about_message. */
void spool_settle(struct spool *spool, struct spool_entry *entry);

/* An application acknowledgment made from the verdict (application_acknowledgment = "store"). */
struct spool_notice {
    struct mail mail;
    uint64_t connection;
    struct message *message;
    struct verdict verdict;
    struct list_node node;
};
/* Called on the spool's thread for each final verdict of a stored message that came over a
 * connection of this run; the callee posts it to the right worker. NULL: nobody wants them. */
void spool_set_notice(struct spool *spool,
                      void (*on_notice)(void *context, struct spool_notice *notice), void *context);
void spool_notice_free(struct spool_notice **notice);

/* ---- everyone else ---- */

/* Runs call on the spool's thread, between groups and behind every put that was there before it, in a
 * transaction of its own, which is rolled back when call leaves a negative result; then done on the thread of reply_to (NULL: the spool's). A
 * commit that fails makes the result -ENOSPC or -EIO. */
struct spool_call {
    struct mail mail; /* private */
    void (*call)(struct spool_call *call, struct spool *spool, struct spool_backend *backend);
    void (*done)(struct spool_call *call);
    struct mailbox *reply_to;
    void *context;
    int result;
    /* private */
    struct spool *spool;
    struct list_node node;
    uint64_t behind_puts;
};
void spool_call(struct spool *spool, struct spool_call *call);

/* Operator's acts that touch leased entries and stopped lanes: inside a spool_call only. The same
 * as the backend's, and the sink learns what it must. */
__attribute__((warn_unused_result)) int spool_replay(struct spool *spool, uint64_t id,
                                                     bool out_of_order, uint64_t *ret_id);
__attribute__((warn_unused_result)) int spool_discard(struct spool *spool, uint64_t id);
/* Asks the sink to give the entries of both routes back first (it takes as long as their attempts in
 * flight); the call's done comes when the rows have moved: result is how many, or a negative errno.
 * Moved rows keep their ids, so both routes' entries are handed out anew, in order. call->call is not
 * used. From any thread. */
void spool_move(struct spool *spool, struct spool_call *call, const char *from, const char *to);

/* As spool_call(), once no entry of the route is out (asked back from the sink as above): what touches
 * entries that would be leased otherwise, such as discarding all of a route. From any thread. */
void spool_call_revoked(struct spool *spool, struct spool_call *call, const char *route);

void spool_statistics(struct spool *spool,
                      struct spool_statistics *ret_statistics); /* any thread */
void spool_configure(struct spool *spool, const struct spool_backend_settings *settings);

#endif
