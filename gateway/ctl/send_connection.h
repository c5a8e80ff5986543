/*
 * send_connection: one connection of the load generator, and what it shares with the engine.
 *
 * Private to send_engine.c and send_connection.c. The engine owns connections; a connection that is
 * lost gives its messages back by send_engine_lost() and may be opened again.
 */
#ifndef MLLPGW_CTL_SEND_CONNECTION_H
#define MLLPGW_CTL_SEND_CONNECTION_H

#include "base/id.h"
#include "ctl/send_engine.h"
#include "hl7/mllp.h"

enum send_state {
    SEND_CLOSED,     /* to be opened at deadline_ms */
    SEND_CONNECTING, /* connect() is under way */
    SEND_HANDSHAKE,  /* TLS */
    SEND_OPEN,
};

/* A message on its way. */
struct send_flight {
    size_t message; /* index in the source */
    bool own_id;    /* id is ours; else it is the message's */
    char id[ID_CONTROL_BYTES + 1];
    bool accepted; /* CA has come, AA is still due */
    int attempts;
    int64_t sent_ns;
};

struct send_engine;

struct send_connection {
    struct send_engine *engine;
    int fd; /* -1: none */
    enum send_state state;
    bool answered; /* anything at all came since it was opened */
    struct tls_session *tls;
    struct buffer out;
    size_t out_at; /* bytes of out that are written */
    struct mllp_decoder decoder;
    struct send_flight *flights; /* oldest first; window places */
    int flight_count;
    int64_t deadline_ms;
    unsigned events; /* what epoll waits for */
};

struct send_engine {
    const struct send_settings *settings;
    const struct send_source *source;
    const volatile int *stop;
    struct send_totals totals;
    int epoll_fd;
    struct send_connection *connections;
    struct send_flight *again; /* to be sent again; at most connections * window */
    int again_count;
    int64_t issued;  /* messages handed to connections */
    int64_t settled; /* answered, given up, or sent without an answer due */
    int64_t start_ns, now_ns;
    int64_t silent_since_ms; /* no connection is open since; 0: one is */
    int64_t next_sweep_ms;
    char *input; /* shared by all reads */
};

#define SEND_INPUT_BYTES 65536

__attribute__((warn_unused_result)) int send_connection_open(struct send_connection *connection);
/* Hands its flights to send_engine_lost(); may be opened again. NULL problem: our own wish. */
void send_connection_close(struct send_connection *connection, const char *problem);
void send_connection_ready(struct send_connection *connection, unsigned events);
/* Writes what the engine has for it. */
void send_connection_fill(struct send_connection *connection);

/* The engine's side. */
bool send_engine_take(struct send_engine *engine, struct send_flight *ret_flight);
void send_engine_lost(struct send_engine *engine, const struct send_flight *flight);
/* positive: the last answer that was due has come. */
void send_engine_answered(struct send_engine *engine, const struct send_flight *flight,
                          bool positive);
struct span send_flight_id(const struct send_engine *engine, const struct send_flight *flight);

#endif
