/*
 * connection: one sender's connection, from accept to close: a state machine.
 *
 *   PROXY -> HANDSHAKE -> OPEN <-> THROTTLED -> EXCHANGE <-> WAITING -> WRITING -> OPEN ... -> LINGER -> CLOSED
 *
 * One message at a time: while its answer is due nothing more is read, so pipelined frames are
 * answered in order and a frame is never handed on before its predecessor was answered.
 * Every state has one deadline; every close one reason, the same in log, metric and audit line.
 * What the connection needs of the world (time, spool, sockets' readiness) is in struct
 * connection_world, which replay tests fill in by hand.
 * Ownership: the connection belongs to its world, which frees it through release() when the
 * iteration ends. Threads: one worker's.
 */
#ifndef MLLPGW_INGRESS_CONNECTION_H
#define MLLPGW_INGRESS_CONNECTION_H

#include "admission/limits.h"
#include "admission/proxy.h"
#include "base/clock.h"
#include "base/list.h"
#include "hl7/mllp.h"
#include "ingress/exchange.h"
#include "ingress/sequences.h"
#include "ingress/snapshot.h"
#include "ingress/statistics.h"
#include "ingress/stream.h"
#include "loop/timers.h"

#include <netinet/in.h>

enum connection_state {
    CONNECTION_PROXY,     /* a PROXY header is due; deadline: handshake_timeout_ms */
    CONNECTION_HANDSHAKE, /* TLS; deadline: handshake_timeout_ms */
    CONNECTION_OPEN,      /* reading; deadlines: frame, start block, idle */
    CONNECTION_THROTTLED, /* a message is complete and must wait its turn (messages_per_second) */
    CONNECTION_EXCHANGE,  /* the spool has the message; deadline: answer_deadline_ms */
    CONNECTION_WAITING,   /* unavailable, on_unavailable = wait: tried again until the deadline */
    CONNECTION_WRITING,   /* an answer is going out; deadline: write_timeout_ms */
    CONNECTION_LINGER,    /* the last answer is out: reading the rest away so that it arrives */
    CONNECTION_CLOSED,
};

struct connection;

#define CONNECTION_READABLE 1 /* libuv's values */
#define CONNECTION_WRITABLE 2

struct connection_world {
    struct snapshot *snapshot; /* the current one */
    struct limits *limits;
    struct statistics *statistics;
    struct sequences *sequences;
    struct timers *timers;
    const struct clock *clock;
    struct list_node frames;      /* connections with an open frame, oldest first */
    struct list_node connections; /* all */
    struct list_node undecided;   /* those still to be decided again by the current snapshot */
    int64_t heard_ms;   /* mllp-tunneld's newest line; the snapshot may know a newer one */
    int64_t decided_ms; /* what runs out by itself has been looked at up to then */
    char *scratch;      /* for one read */
    size_t scratch_size;
    struct buffer answer_scratch;
    bool draining;
    int zone_minutes;
    /* Hands the put to the spool; its answer comes to connection_answer(). */
    void (*put)(struct connection_world *world, struct connection *connection,
                struct spool_put *put);
    /* events: 0, CONNECTION_READABLE, CONNECTION_WRITABLE; -1: never again (the descriptor is about to close) */
    void (*watch)(struct connection_world *world, struct connection *connection, int events);
    /* Calls connection_ready() soon although the socket may stay quiet. */
    void (*run_again)(struct connection_world *world, struct connection *connection);
    /* A handshake step costs milliseconds: the world calls connection_handshake() when it is this
     * connection's turn. */
    void (*queue_handshake)(struct connection_world *world, struct connection *connection);
    /* The connection is closed: take it out of every table, free it at the iteration's end. */
    void (*release)(struct connection_world *world, struct connection *connection);
};

union connection_source {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct connection {
    uint64_t id;
    struct connection_world *world;
    struct list_node in_world, in_frames, in_turn; /* in_turn: the world's queues */
    struct list_node undecided;                    /* in the world's */
    struct stream stream;
    enum connection_state state;
    struct snapshot *snapshot; /* one reference: config and peer point into it */
    unsigned listener;         /* index in the snapshot */
    const struct config_listener *config;
    const struct config_peer *peer; /* NULL until admitted */
    struct peer_statistics *statistics;
    union connection_source source;    /* the sender's: behind a proxy, what its header claims */
    union connection_source transport; /* the socket's */
    union connection_source local;     /* ours, which it came to */
    uint8_t address[16];
    bool through_proxy;    /* began with a PROXY header */
    bool snapshot_changed; /* during the handshake: verify the certificate again */
    bool counted_peer, spoke, warned_junk, paused;
    uint8_t greeting[3]; /* the first bytes: to tell TLS on a plain port */
    size_t greeting_length;
    struct mllp_decoder decoder;
    struct buffer pending; /* read, not parsed yet */
    struct buffer out;     /* answers on their way */
    size_t out_sent;
    struct timer timer;
    int64_t state_deadline_ms;
    int64_t frame_started_ms; /* 0: no frame is open */
    int64_t first_byte_ms;    /* 0: no byte outside a frame is unaccounted for */
    int64_t last_activity_ms;
    int64_t retry_ms;        /* WAITING, THROTTLED: when to go on */
    int64_t accounted_bytes; /* of maximum_buffered_bytes */
    uint64_t junk_mark;      /* decoder's junk_bytes at the last frame */
    struct exchange exchange;
    uint64_t exchange_number;
    int64_t message_complete_ns;
    enum reason waiting_reason;
    enum reason close_after;  /* REASON_NONE: stay */
    enum reason closed;       /* in CLOSED: why */
    struct list_node notices; /* application acknowledgments that wait for a gap */
    size_t notice_count, notice_bytes;
    /* for `mllpctl connections` */
    int64_t opened_wall_ms, last_message_wall_ms;
    uint64_t messages, refused;
};

/* Takes over fd. The limits for address and listener were entered by the caller. Admits, or begins
 * with PROXY or TLS; may close at once. NULL when memory is out (fd is closed). */
struct connection *connection_new(struct connection_world *world, uint64_t id, unsigned listener,
                                  int fd, const struct sockaddr *source,
                                  const struct sockaddr *local);
/* As connection_new, with a stream that the caller made (tests). */
struct connection *connection_new_with_stream(struct connection_world *world, uint64_t id,
                                              unsigned listener, const struct stream *stream,
                                              const struct sockaddr *source,
                                              const struct sockaddr *local);
void connection_start(struct connection *connection);
void connection_free(struct connection *connection);

void connection_ready(struct connection *connection, int events);
void connection_handshake(struct connection *connection);
/* The spool's answer for this connection; the put stays the caller's. */
void connection_answer(struct connection *connection, struct spool_put *put);
/* An application acknowledgment from a later verdict; taken over. */
void connection_notice(struct connection *connection, struct spool_notice *notice);
/* The snapshot has changed, or an hour has passed: decide again. listener: the index in the new
 * snapshot, -1 when it is gone. */
void connection_decide_again(struct connection *connection, int listener);
/* Takes over the reference: from now on this is the current snapshot. A decision may cost a millisecond,
 * so none is made here: each connection is due for one, and gets it before anything else happens on it, or
 * by connection_world_decide(), whichever is first. */
void connection_world_apply(struct connection_world *world, struct snapshot *snapshot);
/* Decides about so many of those that are due, the oldest first; true while there are more. */
bool connection_world_decide(struct connection_world *world, unsigned most);
/* Rules run out by themselves (admission_stays_until_ms()): when that happens next; ADMISSION_FOREVER. */
int64_t connection_world_due_ms(const struct connection_world *world);
/* If it has, all are due for a decision, as with a new snapshot; true then. */
bool connection_world_run_out(struct connection_world *world);
/* Draining: close now when nothing is owed and no frame is open, else after the answer. */
void connection_drain(struct connection *connection);
void connection_close(struct connection *connection, enum reason reason);
const char *connection_state_name(enum connection_state state);

#endif
