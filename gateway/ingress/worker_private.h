/* Shared by worker.c (life, what connections ask), worker_turns.c (whose turn it is) and worker_accept.c
 * (accepting); nobody else includes it. */
#ifndef MLLPGW_INGRESS_WORKER_PRIVATE_H
#define MLLPGW_INGRESS_WORKER_PRIVATE_H

#include "ingress/share.h"
#include "ingress/worker.h"

#define WORKER_BUCKETS 4096 /* of the connection table; a power of two */

/* A connection and what the worker keeps beside it. */
struct served {
    struct connection *connection;
    struct loop_watch watch;
    bool watched;
    struct deferred deferred;
    struct served *next; /* in its bucket */
};

struct worker_listener {
    struct worker *worker;
    char *name;
    int fd;
    int index; /* in the snapshot; -1: gone */
    struct loop_watch watch;
    bool watched;
    struct timer retry; /* after EMFILE */
};

struct worker {
    struct connection_world world; /* first: connections know only this */
    struct worker_settings settings;
    struct statistics statistics;
    struct loop *loop;
    struct spool *spool;
    struct worker_listener *listeners;
    size_t listener_count;
    struct served *buckets[WORKER_BUCKETS];
    size_t connections;
    uint64_t last_id;
    struct list_node handshakes, runnable; /* connections, by in_turn */
    uv_check_t check;
    uv_idle_t idle;
    bool idle_running, check_running;
    struct share share;     /* the handshakes' */
    bool others;            /* had something to do in this iteration */
    struct timer handshake; /* a handshake's turn comes later */
    struct timer minute;
    struct timer runs_out; /* what was told of tunnels does */
    bool stopped;
    void (*drained)(void *context);
    void *drained_context;
};

/* Where the connection with this id is, or would be put. */
struct served **worker_find(struct worker *worker, uint64_t id);

/* ---- worker_turns.c ---- */
/* Somebody waits for a turn: the next iteration must not sleep. */
void worker_wake_soon(struct worker *worker);
void worker_take_turns(uv_check_t *check);
void worker_handshake_turn(struct timer *timer);

/* ---- worker_accept.c ---- */
void worker_start_accepting(struct worker *worker);
void worker_stop_accepting(struct worker *worker);
void worker_accept_again(struct timer *timer);

#endif
