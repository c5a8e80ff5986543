/* worker: one thread that accepts and serves connections. Used by ingress.c only; see ingress.h. */
#ifndef MLLPGW_INGRESS_WORKER_H
#define MLLPGW_INGRESS_WORKER_H

#include "ingress/connection.h"
#include "ingress/ingress.h"
#include "loop/loop.h"

struct worker;

struct worker_settings {
    unsigned index, count; /* connection ids of this worker are index + 1 modulo count */
    struct metrics *metrics;
    struct limits *limits;
    struct sequences *sequences;
};

struct worker *worker_new(const struct worker_settings *settings, struct snapshot *snapshot);
/* The thread has ended. */
void worker_free(struct worker **worker);

/* A bound and listening socket for the listener of this name; the worker owns it. Before start. */
__attribute__((warn_unused_result)) int worker_add_listener(struct worker *worker,
                                                            const char *listener, int fd);
__attribute__((warn_unused_result)) int worker_start(struct worker *worker, struct spool *spool);
/* Closes every connection and ends the thread. */
void worker_stop(struct worker *worker);

struct mailbox *worker_mailbox(struct worker *worker);

/* ---- on the worker's thread ---- */
/* Takes over the reference. Behind it nothing is put by the snapshot before any more; connections that
 * have nothing to do are decided again in the turns that follow. */
void worker_apply(struct worker *worker, struct snapshot *snapshot);
/* mllp-tunneld has been heard. */
void worker_heard(struct worker *worker, int64_t heard_ms);
/* done runs when the last connection has gone. */
void worker_drain(struct worker *worker, void (*done)(void *context), void *context);
void worker_notice(struct worker *worker, struct spool_notice *notice);
/* 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int worker_census(struct worker *worker,
                                                      struct ingress_census *census);

#endif
