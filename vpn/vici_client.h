/*
 * vici_client: VICI's client side without I/O of its own: bytes in, bytes out, a deadline out.
 *
 *   WAITING -> DIALING -> CONNECTED -> WAITING ...
 *
 * Whoever owns the socket does this:
 *   - vici_client_tick() when vici_client_deadline_ms() has come; then, and after every other call,
 *   - in DIALING without a socket: connect, and say vici_client_connected() or vici_client_lost();
 *   - in CONNECTED: give what was read to vici_client_feed(); write vici_client_output() and say
 *     with vici_client_wrote() how much went out; vici_client_lost() when the socket breaks;
 *   - back in WAITING: close the socket.
 *
 * VICI has no request ids: answers come in the order of the requests, so all that is sent goes into
 * one queue, and an answer belongs to its head. For the same reason a request whose answer is late
 * costs the connection: charon may have dropped it in silence, and then every later answer would be
 * taken for the one before. Each request has its own timer, which starts when it becomes the head.
 * After a loss the outcome of every request is unknown: whether it was done is for the caller to find out.
 *
 * Events that the settings name are registered with each connection before anything else. One that
 * charon doesn't have (`alert` before 6.0.3) is told to event_missing() and is no fault.
 *
 * Packets that nobody asked for, answers of the wrong kind and malformed packets or messages lose
 * the connection, with a reason. The next attempt waits 0.5 to 1 s, by chance; twice that after each
 * connection that ended without one answer, up to 15 to 30 s.
 *
 * Ownership: messages and names that callbacks get are valid until they return. Callbacks may make
 * requests and call vici_client_lost(), but neither feed nor free the client.
 * Requests may hold secrets: what was written, and what is dropped, is wiped.
 * Threads: one. Time: milliseconds of any clock that never steps back.
 */
#ifndef MLLPGW_VPN_VICI_CLIENT_H
#define MLLPGW_VPN_VICI_CLIENT_H

#include "vpn/vici.h"

#define VICI_CLIENT_BACKOFF_MINIMUM_MS 500
#define VICI_CLIENT_BACKOFF_MAXIMUM_MS 30000
#define VICI_CLIENT_DIAL_TIMEOUT_MS 5000
#define VICI_CLIENT_REQUESTS_MAXIMUM 1024u  /* waiting for an answer */
#define VICI_CLIENT_OUTPUT_MAXIMUM 8388608u /* bytes not written yet */
#define VICI_CLIENT_EVENTS_MAXIMUM 16u

enum vici_client_state {
    VICI_CLIENT_WAITING,   /* no connection; deadline: the next attempt */
    VICI_CLIENT_DIALING,   /* the owner is to connect; deadline: it takes too long */
    VICI_CLIENT_CONNECTED, /* deadline: the answer to the oldest request */
};

enum vici_outcome {
    VICI_OUTCOME_ANSWER,          /* the answer's message came */
    VICI_OUTCOME_UNKNOWN_COMMAND, /* this charon has no such command */
    VICI_OUTCOME_LOST,            /* the connection ended first: whether it was done is unknown */
};

struct vici_client;

struct vici_client_handlers {
    /* The events are being registered; requests made here follow them. */
    void (*connected)(void *context);
    /* reason: a few words. Comes after the outcomes of all requests. */
    void (*lost)(void *context, const char *reason);
    void (*event)(void *context, const char *name, struct vici_text message);
    void (*event_missing)(void *context, const char *name);
};

struct vici_client_settings {
    const char *const *events; /* names to follow; they must outlive the client */
    size_t event_count;        /* at most VICI_CLIENT_EVENTS_MAXIMUM */
    int64_t register_timeout_ms;
    uint64_t
        seed; /* for the chance in the back-off: something that differs from process to process */
};

/* message: empty unless the outcome is VICI_OUTCOME_ANSWER. */
typedef void vici_client_done(void *context, enum vici_outcome outcome, struct vici_text message);
/* One message of a streaming command, before its answer. */
typedef void vici_client_item(void *context, struct vici_text message);

/* In WAITING, with the first attempt due at once. NULL: out of memory, or too many events. */
struct vici_client *vici_client_new(const struct vici_client_settings *settings,
                                    const struct vici_client_handlers *handlers, void *context,
                                    int64_t now_ms);
/* Requests that wait for an answer are dropped without a word. */
void vici_client_free(struct vici_client **client);

enum vici_client_state vici_client_state(const struct vici_client *client);
/* When vici_client_tick() is due; -1: never. */
int64_t vici_client_deadline_ms(const struct vici_client *client);
void vici_client_tick(struct vici_client *client, int64_t now_ms);

void vici_client_connected(struct vici_client *client, int64_t now_ms);
/* The socket could not connect, or broke; or the owner has seen enough. Nothing in WAITING. */
void vici_client_lost(struct vici_client *client, int64_t now_ms, const char *reason);
void vici_client_feed(struct vici_client *client, int64_t now_ms, const void *data, size_t length);
/* What is to be written; *ret_length 0: nothing. Valid until the next call. */
const void *vici_client_output(const struct vici_client *client, size_t *ret_length);
void vici_client_wrote(struct vici_client *client, size_t length);

/*
 * Sends a command. message: NULL for none; done: not NULL. 0: done() will be called, once (but not at
 * vici_client_free()). Otherwise it is never called: -ENOTCONN while there is no connection, -ENOBUFS when
 * too many requests or bytes wait, -ENOMEM, -EMSGSIZE, or the builder's error.
 */
__attribute__((warn_unused_result)) int vici_client_request(struct vici_client *client,
                                                            int64_t now_ms, const char *command,
                                                            const struct vici_builder *message,
                                                            int64_t timeout_ms,
                                                            vici_client_done *done, void *context);
/* The same for a streaming command: list-sas streams list-sa, list-conns list-conn. The timer
 * holds for all of it. event: not one of the settings'. */
__attribute__((warn_unused_result)) int
vici_client_stream(struct vici_client *client, int64_t now_ms, const char *command,
                   const struct vici_builder *message, int64_t timeout_ms, const char *event,
                   vici_client_item *item, vici_client_done *done, void *context);

#endif
