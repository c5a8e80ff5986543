/*
 * replay_connection: connections without sockets, threads and time: a world whose clock is turned
 * by hand, whose streams are scripted, and whose spool answers what the test says. Header only.
 *
 *     struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
 *     unsigned lab = replay_connect(replay, "10.0.0.1");
 *     replay_text(replay, lab, "\vMSH|^~\\&|...\x1c\r");
 *     replay_answer(replay, SPOOL_SAFE, REASON_NONE);
 *     replay_expect_ack(replay, lab, "AA", "M1");
 *     replay_free(&replay);
 *
 * Client numbers stand in stream.fd. With replay->automatic the spool answers SAFE by itself.
 */
#ifndef MLLPGW_TESTS_REPLAY_CONNECTION_H
#define MLLPGW_TESTS_REPLAY_CONNECTION_H

#include "base/log.h"
#include "hl7/ack.h"
#include "ingress/connection.h"
#include "ingress/connection_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define REPLAY_CLIENTS 64
#define REPLAY_PUTS 4096
#define REPLAY_SCRATCH (64 * 1024)
#define REPLAY_START_MS 1000000

/* A plain listener "adt" for the peer "lab" in 10.0.0.0/8, with more settings of either. */
#define REPLAY_CONFIG_WITH(gateway, peer, listener, more)                                          \
    "gateway = { name = \"t\"; state_directory = \"state\"; " gateway " };\n"                      \
    "spool = { type = \"memory\"; };\n"                                                            \
    "peers = ( { name = \"lab\"; addresses = [ \"10.0.0.0/8\" ]; " peer " },\n"                    \
    "          { name = \"ward\"; addresses = [ \"10.9.0.0/16\" ]; } );\n"                         \
    "listeners = ( { name = \"adt\"; address = \"127.0.0.1:2575\";\n"                              \
    "                peers = [ \"lab\", \"ward\" ]; " listener " } );\n"                           \
    "stores = ( { name = \"files\"; type = \"directory\"; path = \"messages\"; } );\n"             \
    "routes = ( { name = \"r\"; from = \"adt\"; to = \"files\"; } );\n" more
#define REPLAY_CONFIG(peer, listener) REPLAY_CONFIG_WITH("", peer, listener, "")

struct replay_client {
    struct connection *connection; /* NULL: released */
    struct buffer in;              /* what the sender has sent and nobody has read */
    size_t chunk;                  /* most bytes of one read; 0: as many as fit */
    size_t around;                 /* bytes on the wire besides for each read that brings some */
    uint64_t received;             /* off the wire */
    bool holds;                    /* what is in counts as decrypted already */
    unsigned empty_reads;          /* reads that bring nothing all the same */
    bool eof, reset;
    struct buffer out;  /* what has been written to it */
    size_t out_read;    /* of those, looked at by the test */
    size_t window;      /* bytes that it takes before -EAGAIN */
    size_t write_piece; /* most bytes of one write; 0: any */
    int write_error;    /* negative errno of the next write */
    size_t writes;
    bool ended, closed_stream; /* shutdown, close were called */
    int watched;
    bool again, handshake; /* queued */
    enum reason closed;
};

struct replay {
    struct connection_world world; /* first */
    struct clock_manual clock;
    struct timers timers;
    struct statistics statistics;
    struct metrics *metrics;
    struct snapshot *snapshot;
    struct replay_client clients[REPLAY_CLIENTS];
    unsigned client_count;
    struct connection *released[REPLAY_CLIENTS];
    size_t released_count;
    struct spool_put *puts[REPLAY_PUTS];
    size_t put_count, put_answered, put_looked_at;
    bool automatic;
    struct sockaddr_in local; /* where the next connections come to: 127.0.0.1:2575 */
    int log_fd;
};

/* ---- configuration ---- */

static inline struct snapshot *replay_snapshot(const char *text)
{
    struct problems problems;
    struct shared_config *shared;
    struct snapshot *snapshot;
    struct config *config;
    char error[512];

    problems_init(&problems);
    config = config_load_text(text, strlen(text), "replay.cfg", NULL, &problems);
    if (config == NULL) {
        problems_print(&problems, stderr);
        fail_msg("the configuration is wrong");
    }
    shared = shared_config_new(config);
    assert_non_null(shared);
    snapshot = snapshot_new(shared, NULL, 0, &problems, error);
    if (snapshot == NULL) {
        fail_msg("%s", error);
    }
    shared_config_release(&shared);
    problems_free(&problems);
    return snapshot;
}

/* ---- the scripted stream ---- */

static struct replay *replay_current; /* streams know their number only */

static inline struct replay_client *replay_of(const struct stream *stream)
{
    return &replay_current->clients[stream->fd];
}

static inline ssize_t replay_stream_read(struct stream *stream, void *data, size_t size)
{
    struct replay_client *client = replay_of(stream);
    size_t length = client->in.length < size ? client->in.length : size;

    assert_false(client->closed_stream);
    if (client->chunk > 0 && length > client->chunk) {
        length = client->chunk;
    }
    if (length > 0 && client->empty_reads > 0) {
        client->empty_reads--;
        return -EAGAIN;
    }
    if (length == 0) {
        return client->reset ? -ECONNRESET : client->eof ? 0 : -EAGAIN;
    }
    memcpy(data, client->in.data, length);
    buffer_consume(&client->in, length);
    client->received += length + client->around;
    return (ssize_t)length;
}

static inline ssize_t replay_stream_write(struct stream *stream, const void *data, size_t length)
{
    struct replay_client *client = replay_of(stream);

    assert_false(client->closed_stream);
    assert_false(client->ended);
    client->writes++;
    if (client->write_error != 0) {
        return client->write_error;
    }
    if (length > client->window) {
        length = client->window;
    }
    if (client->write_piece > 0 && length > client->write_piece) {
        length = client->write_piece;
    }
    if (length == 0) {
        return -EAGAIN;
    }
    client->window -= length;
    assert_int_equal(buffer_append(&client->out, data, length), 0);
    return (ssize_t)length;
}

static inline void replay_stream_shutdown(struct stream *stream)
{
    replay_of(stream)->ended = true;
}

static inline void replay_stream_close(struct stream *stream)
{
    assert_false(replay_of(stream)->closed_stream);
    assert_int_equal(replay_of(stream)->watched, -1); /* the descriptor is watched no more */
    replay_of(stream)->closed_stream = true;
}

static inline bool replay_stream_has_pending(const struct stream *stream)
{
    return replay_of(stream)->holds && replay_of(stream)->in.length > 0;
}

static inline uint64_t replay_stream_received(const struct stream *stream)
{
    return replay_of(stream)->received;
}

static const struct stream_operations replay_operations = {
    .read = replay_stream_read,
    .write = replay_stream_write,
    .shutdown = replay_stream_shutdown,
    .close = replay_stream_close,
    .has_pending = replay_stream_has_pending,
    .received = replay_stream_received,
};

/* ---- the world ---- */

static inline void replay_put(struct connection_world *world, struct connection *connection,
                              struct spool_put *put)
{
    struct replay *replay = (struct replay *)(void *)world;

    (void)connection;
    assert_true(replay->put_count < REPLAY_PUTS);
    replay->puts[replay->put_count++] = put;
}

static inline void replay_watch(struct connection_world *world, struct connection *connection,
                                int events)
{
    (void)world;
    replay_of(&connection->stream)->watched = events;
}

static inline void replay_run_again(struct connection_world *world, struct connection *connection)
{
    (void)world;
    replay_of(&connection->stream)->again = true;
}

static inline void replay_release(struct connection_world *world, struct connection *connection)
{
    struct replay *replay = (struct replay *)(void *)world;
    struct replay_client *client = replay_of(&connection->stream);

    assert_int_equal(connection->state, CONNECTION_CLOSED);
    assert_false(timer_is_running(&connection->timer));
    client->closed = connection->closed;
    client->connection = NULL;
    replay->released[replay->released_count++] = connection;
}

static inline void replay_free_released(struct replay *replay)
{
    while (replay->released_count > 0) {
        connection_free(replay->released[--replay->released_count]);
    }
}

static inline struct replay *replay_new(const char *config)
{
    struct replay *replay = calloc(1, sizeof(*replay));
    struct connection_world *world = &replay->world;

    assert_non_null(replay);
    replay->log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(replay->log_fd >= 0);
    log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    log_set_fd(replay->log_fd);
    clock_manual_init(&replay->clock, REPLAY_START_MS, 1767268800000);
    timers_init(&replay->timers, NULL);
    replay->metrics = metrics_new();
    statistics_init(&replay->statistics, replay->metrics);
    replay->snapshot = replay_snapshot(config);
    *world = (struct connection_world){
        .snapshot = replay->snapshot,
        .limits = limits_new(),
        .statistics = &replay->statistics,
        .sequences = sequences_new(),
        .timers = &replay->timers,
        .clock = &replay->clock.clock,
        .scratch = malloc(REPLAY_SCRATCH),
        .scratch_size = REPLAY_SCRATCH,
        .put = replay_put,
        .watch = replay_watch,
        .run_again = replay_run_again,
        .queue_handshake = replay_run_again,
        .release = replay_release,
    };
    replay->local = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(2575), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    list_init(&world->frames);
    list_init(&world->connections);
    list_init(&world->undecided);
    buffer_init(&world->answer_scratch, 8u << 20);
    replay_current = replay;
    return replay;
}

static inline void replay_free_puts(struct replay *replay)
{
    for (size_t i = 0; i < replay->put_count; i++) {
        spool_put_free(&replay->puts[i]);
    }
    replay->put_count = replay->put_answered = replay->put_looked_at = 0;
}

/* Every count must have come back to nothing: limits, memory, timers, lists. */
static inline void replay_free(struct replay **pointer)
{
    struct replay *replay = *pointer;
    struct connection_world *world = &replay->world;

    LIST_FOREACH_SAFE(node, next, &world->connections) {
        connection_close(LIST_ENTRY(node, struct connection, in_world), REASON_SHUTDOWN);
    }
    replay_free_released(replay);
    assert_true(list_empty(&world->frames));
    assert_true(list_empty(&world->connections));
    assert_int_equal(limits_buffered_bytes(world->limits), 0);
    assert_int_equal(limits_listener_connections(world->limits, "adt"), 0);
    assert_int_equal(limits_peer_connections(world->limits, "lab"), 0);
    assert_int_equal(replay->timers.count, 0);
    replay_free_puts(replay);
    for (unsigned i = 0; i < replay->client_count; i++) {
        buffer_free(&replay->clients[i].in);
        buffer_free(&replay->clients[i].out);
    }
    limits_free(&world->limits);
    sequences_free(&world->sequences);
    timers_free(&replay->timers);
    statistics_free(&replay->statistics);
    metrics_free(replay->metrics);
    snapshot_release(&replay->snapshot);
    buffer_free(&world->answer_scratch);
    free(world->scratch);
    log_set_fd(2);
    close(replay->log_fd);
    free(replay);
    *pointer = NULL;
}

/* ---- answers of the spool ---- */

static inline void replay_deliver(struct replay *replay, struct spool_put *put)
{
    LIST_FOREACH_SAFE(node, next, &replay->world.connections) {
        struct connection *connection = LIST_ENTRY(node, struct connection, in_world);
        if (connection->id == put->connection) {
            connection_answer(connection, put);
            return;
        }
    }
}

/* What a loop would do now, until nothing is left to be done. */
static inline void replay_settle(struct replay *replay)
{
    bool moved = true;

    for (int rounds = 0; moved; rounds++) {
        moved = false;
        assert_true(rounds < 1000000); /* it spins */
        for (unsigned i = 0; i < replay->client_count; i++) {
            struct replay_client *client = &replay->clients[i];
            bool readable = client->in.length > 0 || client->eof || client->reset;
            bool writable = client->window > 0 || client->write_error != 0;
            bool wanted = client->again ||
                          ((client->watched & CONNECTION_READABLE) != 0 && readable) ||
                          ((client->watched & CONNECTION_WRITABLE) != 0 && writable);
            if (client->connection == NULL || client->watched < 0 || !wanted) {
                continue;
            }
            client->again = false;
            connection_ready(client->connection, client->watched);
            moved = true;
        }
        while (replay->automatic && replay->put_answered < replay->put_count) {
            struct spool_put *put = replay->puts[replay->put_answered++];
            put->outcome = SPOOL_SAFE;
            replay_deliver(replay, put);
            moved = true;
        }
        replay_free_released(replay);
    }
}

/* The spool's oldest unanswered put gets this answer. */
static inline void replay_answer(struct replay *replay, enum spool_outcome outcome,
                                 enum reason reason)
{
    struct spool_put *put;

    assert_true(replay->put_answered < replay->put_count);
    put = replay->puts[replay->put_answered++];
    put->outcome = outcome;
    put->reason = reason;
    replay_deliver(replay, put);
    replay_settle(replay);
}

/* ---- what the sender does ---- */

static inline unsigned replay_connect_to(struct replay *replay, const char *address)
{
    static uint64_t last_id;
    unsigned number = replay->client_count++;
    struct replay_client *client = &replay->clients[number];
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_port = htons(40000)};
    struct stream stream = {.operations = &replay_operations, .fd = (int)number};
    uint8_t key[16];

    assert_true(number < REPLAY_CLIENTS);
    assert_int_equal(inet_pton(AF_INET, address, &source.sin_addr), 1);
    buffer_init(&client->in, 64u << 20);
    buffer_init(&client->out, 64u << 20);
    client->window = SIZE_MAX;
    address_key((const struct sockaddr *)&source, key);
    assert_int_equal(limits_enter_address(replay->world.limits, "adt", 1000, key, 1000),
                     REASON_NONE);
    client->connection = connection_new_with_stream(&replay->world, ++last_id, 0, &stream,
                                                    (const struct sockaddr *)&source,
                                                    (const struct sockaddr *)&replay->local);
    assert_non_null(client->connection);
    return number;
}

static inline unsigned replay_connect(struct replay *replay, const char *address)
{
    unsigned number = replay_connect_to(replay, address);

    connection_start(replay->clients[number].connection);
    replay_settle(replay);
    return number;
}

static inline void replay_receive(struct replay *replay, unsigned client, const void *data,
                                  size_t length)
{
    assert_int_equal(buffer_append(&replay->clients[client].in, data, length), 0);
    replay_settle(replay);
}

static inline void replay_text(struct replay *replay, unsigned client, const char *text)
{
    replay_receive(replay, client, text, strlen(text));
}

static inline void replay_eof(struct replay *replay, unsigned client)
{
    replay->clients[client].eof = true;
    replay_settle(replay);
}

static inline void replay_reset(struct replay *replay, unsigned client)
{
    replay->clients[client].reset = true;
    replay_settle(replay);
}

/* Turns the clock, stopping at every deadline on the way. */
static inline void replay_advance(struct replay *replay, int64_t ms)
{
    int64_t end = replay->clock.monotonic + ms;

    while (replay->clock.monotonic < end) {
        int64_t next = timers_next_ms(&replay->timers, replay->clock.monotonic);
        int64_t left = end - replay->clock.monotonic;
        clock_manual_advance(&replay->clock, next < 0 || next > left ? left : next);
        timers_run(&replay->timers, replay->clock.monotonic);
        replay_settle(replay);
    }
}

static inline void replay_window(struct replay *replay, unsigned client, size_t bytes)
{
    replay->clients[client].window = bytes;
    replay_settle(replay);
}

/* ---- reload and drain ---- */

/* Nobody has been decided about yet. */
static inline void replay_swap(struct replay *replay, const char *config)
{
    replay->snapshot = replay_snapshot(config);
    connection_world_apply(&replay->world, replay->snapshot);
}

static inline void replay_apply(struct replay *replay, const char *config)
{
    replay_swap(replay, config);
    assert_false(connection_world_decide(&replay->world, REPLAY_CLIENTS));
    replay_settle(replay);
}

/* The same configuration, and this of what is known besides. */
static inline void replay_know(struct replay *replay, const struct admission_known *known)
{
    char error[512];
    struct snapshot *snapshot = snapshot_with(replay->snapshot, known, error);

    assert_non_null(snapshot);
    replay->snapshot = snapshot;
    connection_world_apply(&replay->world, snapshot);
    assert_false(connection_world_decide(&replay->world, REPLAY_CLIENTS));
    replay_settle(replay);
}

static inline void replay_drain(struct replay *replay)
{
    replay->world.draining = true;
    LIST_FOREACH_SAFE(node, next, &replay->world.connections) {
        connection_drain(LIST_ENTRY(node, struct connection, in_world));
    }
    replay_settle(replay);
}

/* ---- what is expected ---- */

#define replay_expect_state(replay, client, wanted)                                                \
    do {                                                                                           \
        assert_non_null((replay)->clients[client].connection);                                     \
        assert_string_equal(connection_state_name((replay)->clients[client].connection->state),    \
                            connection_state_name(wanted));                                        \
    } while (0)

#define replay_expect_closed(replay, client, wanted)                                               \
    do {                                                                                           \
        assert_null((replay)->clients[client].connection);                                         \
        assert_true((replay)->clients[client].closed_stream);                                      \
        assert_string_equal(reason_code((replay)->clients[client].closed), reason_code(wanted));   \
    } while (0)

#define replay_expect_open(replay, client) assert_non_null((replay)->clients[client].connection)

static inline struct span replay_unread(const struct replay *replay, unsigned client)
{
    const struct replay_client *c = &replay->clients[client];

    return span_of(c->out.data + c->out_read, c->out.length - c->out_read);
}

/* The next frame's content, framing checked; false when nothing was sent. */
static inline bool replay_next_frame(struct replay *replay, unsigned client, struct span *ret)
{
    struct span rest = replay_unread(replay, client);

    if (rest.length == 0) {
        return false;
    }
    assert_int_equal(rest.data[0], MLLP_VT);
    for (size_t i = 1; i + 1 < rest.length; i++) {
        if (rest.data[i] == MLLP_FS && rest.data[i + 1] == MLLP_CR) {
            *ret = span_of(rest.data + 1, i - 1);
            replay->clients[client].out_read += i + 2;
            return true;
        }
    }
    fail_msg("an answer without an end");
    return false;
}

#define replay_expect_nothing(replay, client)                                                      \
    assert_int_equal(replay_unread(replay, client).length, 0)

static inline void replay_check_ack(struct replay *replay, unsigned client, const char *code,
                                    const char *control_id, struct ack_reply *ret_reply)
{
    struct ack_reply reply;
    struct span frame = {NULL, 0};

    if (!replay_next_frame(replay, client, &frame)) {
        fail_msg("%s for %s is missing", code, control_id);
    }
    if (ack_read(frame, &reply) != 0) {
        fail_msg("not an acknowledgment: %.*s", (int)frame.length, frame.data);
    }
    if (strcmp(ack_code_text(reply.code), code) != 0 ||
        !span_equal_string(reply.control_id, control_id)) {
        fail_msg("%s for %s is due, and came: %.*s", code, control_id, (int)frame.length,
                 frame.data);
    }
    if (ret_reply != NULL) {
        *ret_reply = reply;
    }
}

#define replay_expect_ack(replay, client, code, control_id)                                        \
    replay_check_ack(replay, client, code, control_id, NULL)

/* The next message that was handed to the spool; NULL when there is none. */
static inline struct spool_put *replay_next_put(struct replay *replay)
{
    return replay->put_looked_at < replay->put_count ? replay->puts[replay->put_looked_at++] : NULL;
}

static inline void replay_expect_put(struct replay *replay, const char *control_id)
{
    struct spool_put *put = replay_next_put(replay);

    assert_non_null(put);
    if (!span_equal_string(put->message->control_id, control_id)) {
        fail_msg("%s is due, and came %.*s", control_id, (int)put->message->control_id.length,
                 put->message->control_id.data);
    }
}

#define replay_expect_no_put(replay) assert_null(replay_next_put(replay))

/* Everything that was logged since the last call: free() it. */
static inline char *replay_log(struct replay *replay)
{
    off_t length = lseek(replay->log_fd, 0, SEEK_CUR);
    char *text = malloc((size_t)length + 1);

    assert_non_null(text);
    assert_int_equal(pread(replay->log_fd, text, (size_t)length, 0), length);
    text[length] = '\0';
    assert_int_equal(ftruncate(replay->log_fd, 0), 0);
    lseek(replay->log_fd, 0, SEEK_SET);
    return text;
}

static inline int64_t replay_refused(struct replay *replay, enum reason reason)
{
    struct peer_statistics *peer = statistics_find(&replay->statistics, "adt", "lab");

    return peer->refused[reason] == NULL ? 0 : metric_value(peer->refused[reason]);
}

/* ---- messages ---- */

#define REPLAY_MSH(id) "MSH|^~\\&|APP|FAC|GW|HUB|20260101||ADT^A01^ADT_A01|" id "|P|2.5"
#define REPLAY_MESSAGE(id) "\v" REPLAY_MSH(id) "\rPID|1\r\x1c\r"
/* MSH-15 and MSH-16 */
#define REPLAY_ASKING(id, accept, application)                                                     \
    "\v" REPLAY_MSH(id) "|||" accept "|" application "\rPID|1\r\x1c\r"

#endif
