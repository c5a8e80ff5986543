/*
 * store: the contract of everything that messages are delivered to.
 *
 * A store is made from its configuration on the delivery thread and used only there. It delivers
 * one message an attempt, asynchronously, and knows nothing of lanes, retries or the spool.
 * Rules:
 *  - store_deliver() never blocks; on_done comes later on the same thread, exactly once, unless the
 *    attempt is cancelled (then never).
 *  - store_cancel() makes sure that nothing more is sent; whether the message arrived is unknown.
 *  - The stable id names the object: a repeat makes no second one.
 *  - A batch (message->batch) goes out whole or split as the store's setting says; split: messages
 *    in order, each with its own stable id (derived from the batch's and its index), one verdict:
 *    accepted when all are; the first refusal, retry or fault ends the attempt, and a repeat begins
 *    at the message that failed (struct store_progress, kept by the caller while it holds the entry;
 *    zeros after a restart, and for a store that was made anew: repeats are harmless).
 *  - The verdict's answer (HL7) is checked here: MSA-2 must be the message's MSH-10.
 * Threads: the delivery thread.
 */
#ifndef MLLPGW_EGRESS_STORE_H
#define MLLPGW_EGRESS_STORE_H

#include "base/metrics.h"
#include "config/config.h"
#include "http/client.h"
#include "loop/loop.h"
#include "loop/offload.h"
#include "spool/message.h"
#include "spool/verdict.h"

struct store;
struct store_attempt;

struct store_context {
    struct loop *loop;
    struct offload *offload;
    struct http_client *http;
    struct metrics *metrics;
};

/* How far a message has got, over several attempts: kept by whoever holds the entry, zeros at first. */
struct store_progress {
    size_t parts; /* of a split batch: so many are accepted */
    bool
        part_in_doubt; /* the next one may have arrived: its last attempt ended without an answer */
    bool in_doubt; /* the caller's: so may any, by attempts of an earlier holder or another run */
};

/* Every store type fills in one of these. */
struct store_operations {
    void (*destroy)(struct store *store);
    struct store_attempt *(*deliver)(struct store *store, struct message *message,
                                     struct store_progress *progress, int64_t deadline_ms,
                                     void (*on_done)(void *context, struct verdict *verdict),
                                     void *context);
    void (*cancel)(struct store_attempt *attempt);
};

struct store {
    const struct store_operations *operations;
    const struct config_store *config; /* outlives the store */
    struct store_context context;
};

/* NULL with a sentence (a file that can't be read, a URL that can't be parsed). */
struct store *store_new(const struct config_store *config, const struct store_context *context,
                        char ret_error[512]);
void store_free(struct store **store);

/* deadline_ms: monotonic, 0: only the store's own attempt_timeout_ms. The message is referenced
 * while the attempt lives. on_done owns the verdict's answer (verdict_clear). NULL when memory is
 * out (count it as a retry). progress: see above; may be NULL. */
struct store_attempt *store_deliver(struct store *store, struct message *message,
                                    struct store_progress *progress, int64_t deadline_ms,
                                    void (*on_done)(void *context, struct verdict *verdict),
                                    void *context);
void store_cancel(struct store_attempt **attempt);

#endif
