/*
 * ingress: the MLLP listeners and the worker threads that serve them.
 *
 * Every worker has a loop, a socket of each listener (SO_REUSEPORT) and its own connections; the
 * kernel spreads new connections over them. A snapshot (configuration, rules, certificates) is
 * swapped by ingress_apply(); each worker then decides its open connections again: some at a time, and
 * each before its next message.
 * Threads: the composing thread makes, starts and frees; ingress_apply(), ingress_apply_and_wait(),
 * ingress_notice(), ingress_census() from any but, for the one that waits, the workers' own.
 */
#ifndef MLLPGW_INGRESS_INGRESS_H
#define MLLPGW_INGRESS_INGRESS_H

#include "admission/limits.h"
#include "ingress/sequences.h"
#include "ingress/snapshot.h"
#include "loop/mailbox.h"

struct ingress;

struct ingress_settings {
    unsigned workers;
    struct metrics *metrics;
    struct limits *limits;
    struct sequences *sequences;
};

/* Binds and listens (before privileges are dropped), nothing is accepted yet. NULL with a sentence
 * that names the listener and its address. */
struct ingress *ingress_new(const struct ingress_settings *settings, struct snapshot *snapshot,
                            char ret_error[512]);
/* Starts accepting; messages go to this spool. */
__attribute__((warn_unused_result)) int ingress_start(struct ingress *ingress, struct spool *spool);
/* Closes every connection and ends the threads; their mailboxes stay, since the spool may still
 * answer into them. */
void ingress_stop(struct ingress *ingress);
/* After the spool has gone. */
void ingress_free(struct ingress **ingress);

/* Every worker takes over a reference of its own, and goes on to decide its connections again. The same
 * snapshot may be applied again (hourly, after a certificate has run out). -ENOMEM. */
__attribute__((warn_unused_result)) int ingress_apply(struct ingress *ingress,
                                                      struct snapshot *snapshot);
/* The same, and waits until no worker puts or admits by the snapshot before any more: what a worker has
 * put with the old one is in the spool's mailbox by then. Quiet connections may still be waiting for their
 * decision. -ENOMEM: nothing was applied. -ETIMEDOUT: it was,
 * but a worker has not come to it in wait_ms. */
__attribute__((warn_unused_result)) int
ingress_apply_and_wait(struct ingress *ingress, struct snapshot *snapshot, int64_t wait_ms);

/* mllp-tunneld has been heard, and its word on the tunnels is as it was: what workers were told of them is
 * good for as long again. Not where memory is out: then it is the next time. */
void ingress_heard(struct ingress *ingress, int64_t heard_ms);

/* Stops accepting; connections close between messages. done runs on the last worker's thread when
 * no connection is left. */
void ingress_drain(struct ingress *ingress, void (*done)(void *context), void *context);

/* An application acknowledgment made later: goes to the worker that has the connection. Fits
 * spool_set_notice(). */
void ingress_notice(void *ingress, struct spool_notice *notice);

/* Who is connected. Made by walking over the workers, one after the other. */
struct ingress_connection {
    uint64_t id;
    char listener[65], peer[65], address[INET6_ADDRSTRLEN];
    char tls[64];      /* "TLSv1.3 TLS1-3-AES-256-GCM-SHA384"; "" plain */
    char subject[256]; /* "" none */
    const char *state;
    int64_t opened_wall_ms, last_message_wall_ms; /* 0: none yet */
    uint64_t messages, refused;
};
struct ingress_census {
    struct mail mail;        /* private */
    struct ingress *ingress; /* private */
    unsigned next_worker;    /* private */
    struct mailbox *reply_to;
    void (*done)(struct ingress_census *census); /* on reply_to's thread */
    void *context;
    struct ingress_connection *connections; /* the census's own; free with ingress_census_free() */
    size_t count, capacity;
};
struct ingress_census *ingress_census_new(void);
void ingress_census_free(struct ingress_census **census);
void ingress_census(struct ingress *ingress, struct ingress_census *census);

#endif
