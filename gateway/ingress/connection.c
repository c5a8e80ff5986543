#include "ingress/connection.h"

#include "base/log.h"
#include "ingress/connection_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_MAXIMUM (1024 * 1024) /* one read's remainder, at most the scratch */
#define OUT_MAXIMUM (8 * 1024 * 1024) /* an answer: the store's own at most, framed */

static const char *const state_names[] = {
    "proxy", "handshake", "open", "throttled", "exchange", "waiting", "writing", "linger", "closed",
};

const char *connection_state_name(enum connection_state state)
{
    return state_names[state];
}

void connection_set_state(struct connection *connection, enum connection_state state)
{
    if (log_enabled(LOG_LEVEL_DEBUG)) {
        LOG_EVENT(LOG_LEVEL_DEBUG, "connection-state", LOG_INTEGER("connection", connection->id),
                  LOG_STRING("from", state_names[connection->state]),
                  LOG_STRING("to", state_names[state]));
    }
    connection->state = state;
}

/* ---- deadlines ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t open_deadline(const struct connection *connection)
{
    const struct config_listener *config = connection->config;
    int64_t deadline = CONNECTION_NEVER;

    if (connection->paused) {
        deadline = earlier(deadline, connection->retry_ms);
    }
    if (connection->frame_started_ms != 0) {
        return earlier(deadline, connection->frame_started_ms + config->frame_timeout_ms);
    }
    if (connection->first_byte_ms != 0) {
        deadline = earlier(deadline, connection->first_byte_ms + config->frame_timeout_ms);
    }
    if (config->idle_timeout_ms > 0) {
        deadline = earlier(deadline, connection->last_activity_ms + config->idle_timeout_ms);
    }
    return deadline;
}

static int64_t state_deadline(const struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_OPEN:
        return open_deadline(connection);
    case CONNECTION_THROTTLED:
        return connection->retry_ms;
    case CONNECTION_WAITING:
        return earlier(connection->retry_ms, connection->state_deadline_ms);
    case CONNECTION_CLOSED:
        return CONNECTION_NEVER;
    default:
        return connection->state_deadline_ms;
    }
}

/* The timer is left running when it would only fire early: moving it for every message costs more
 * than one idle look a deadline. */
void connection_arm(struct connection *connection)
{
    struct timers *timers = connection->world->timers;
    int64_t deadline = state_deadline(connection);

    if (deadline == CONNECTION_NEVER ||
        (timer_is_running(&connection->timer) && connection->timer.due_ms <= deadline)) {
        return;
    }
    if (timers_start(timers, &connection->timer, deadline) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
    }
}

static void open_deadline_passed(struct connection *connection, int64_t now)
{
    const struct config_listener *config = connection->config;

    if (connection->frame_started_ms != 0 &&
        now >= connection->frame_started_ms + config->frame_timeout_ms) {
        connection_close(connection, REASON_FRAME_TIMEOUT);
    } else if (connection->frame_started_ms == 0 && connection->first_byte_ms != 0 &&
               now >= connection->first_byte_ms + config->frame_timeout_ms) {
        connection_close(connection, REASON_NO_START_BLOCK);
    } else if (connection->paused) {
        connection->paused = false;
        connection_run(connection);
    } else {
        connection_close(connection, REASON_IDLE_TIMEOUT);
    }
}

static void deadline_passed(struct connection *connection, int64_t now)
{
    switch (connection->state) {
    case CONNECTION_PROXY:
        connection_close(connection, REASON_PROXY_HEADER_MISSING);
        break;
    case CONNECTION_HANDSHAKE:
        connection_close(connection, REASON_TLS_HANDSHAKE_TIMEOUT);
        break;
    case CONNECTION_OPEN:
        open_deadline_passed(connection, now);
        break;
    case CONNECTION_THROTTLED:
        connection_submit(connection);
        break;
    case CONNECTION_WAITING:
        if (now >= connection->state_deadline_ms) {
            connection_close(connection, connection->waiting_reason);
        } else {
            connection_put_again(connection);
        }
        break;
    case CONNECTION_EXCHANGE:
        connection_close(connection, REASON_ANSWER_DEADLINE);
        break;
    case CONNECTION_WRITING:
        connection_close(connection, REASON_WRITE_TIMEOUT);
        break;
    case CONNECTION_LINGER:
        connection_close(connection, connection->close_after);
        break;
    case CONNECTION_CLOSED:
        break;
    }
}

static void timer_fired(struct timer *timer)
{
    struct connection *connection =
        (struct connection *)((char *)timer - offsetof(struct connection, timer));
    int64_t now = connection_now(connection);

    if (now >= state_deadline(connection)) {
        deadline_passed(connection, now);
    }
    if (connection->state != CONNECTION_CLOSED) {
        connection_arm(connection);
    }
}

/* ---- memory ---- */

void connection_account(struct connection *connection)
{
    const struct message *message = connection->exchange.message;
    int64_t held = (int64_t)mllp_decoder_memory(&connection->decoder) +
                   (int64_t)connection->pending.capacity +
                   (message == NULL ? 0 : (int64_t)message->body.length);

    if (held != connection->accounted_bytes) {
        (void)limits_buffered_add(connection->world->limits, held - connection->accounted_bytes,
                                  INT64_MAX);
        connection->accounted_bytes = held;
    }
}

void connection_resume(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN && connection->paused) {
        connection->paused = false;
        connection_run(connection);
    }
}

/* ---- opening ---- */

struct exchange_policy connection_policy(const struct connection *connection)
{
    const struct snapshot_listener *listener =
        &connection->snapshot->listeners[connection->listener];

    return (struct exchange_policy){connection->config, connection->peer, listener->routes,
                                    listener->route_count};
}

static void set_source(struct connection *connection, const struct sockaddr *source)
{
    memset(&connection->source, 0, sizeof(connection->source));
    if (source->sa_family == AF_INET) {
        memcpy(&connection->source.in, source, sizeof(connection->source.in));
    } else if (source->sa_family == AF_INET6) {
        memcpy(&connection->source.in6, source, sizeof(connection->source.in6));
    }
}

struct connection *connection_new_with_stream(struct connection_world *world, uint64_t id,
                                              unsigned listener, const struct stream *stream,
                                              const struct sockaddr *source)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL) {
        return NULL;
    }
    connection->id = id;
    connection->world = world;
    connection->stream = *stream;
    connection->snapshot = snapshot_reference(world->snapshot);
    connection->listener = listener;
    connection->config = world->snapshot->listeners[listener].config;
    connection->timer.fire = timer_fired;
    connection->opened_wall_ms = clock_wall_ms(world->clock);
    connection->last_activity_ms = connection_now(connection);
    set_source(connection, source);
    address_key(source, connection->address);
    buffer_init(&connection->pending, PENDING_MAXIMUM);
    buffer_init(&connection->out, OUT_MAXIMUM);
    mllp_decoder_init(&connection->decoder,
                      &(struct mllp_limits){(size_t)connection->config->maximum_frame_bytes,
                                            connection->config->lenient_end});
    list_init(&connection->notices);
    list_init(&connection->in_frames);
    list_init(&connection->in_turn);
    list_append(&world->connections, &connection->in_world);
    return connection;
}

struct connection *connection_new(struct connection_world *world, uint64_t id, unsigned listener,
                                  int fd, const struct sockaddr *source)
{
    struct stream stream;
    struct connection *connection;

    stream_init_plain(&stream, fd);
    connection = connection_new_with_stream(world, id, listener, &stream, source);
    if (connection == NULL) {
        stream_close(&stream);
    }
    return connection;
}

static void log_refused(const struct connection *connection, enum reason reason,
                        const char *subject)
{
    char address[INET6_ADDRSTRLEN];

    address_text(&connection->source.any, address);
    LOG_EVENT(LOG_LEVEL_AUDIT, "connection-refused", LOG_INTEGER("connection", connection->id),
              LOG_STRING("listener", connection->config->name), LOG_STRING("address", address),
              LOG_STRING("reason", reason_code(reason)), LOG_STRING("words", reason_words(reason)),
              LOG_STRING("subject", subject));
}

static void refuse(struct connection *connection, enum reason reason)
{
    const char *subject =
        connection->stream.tls == NULL ? NULL : tls_session_subject(connection->stream.tls);

    log_refused(connection, reason, subject);
    statistics_connection_refused(connection->world->statistics, connection->config->name, reason);
    connection_close(connection, reason);
}

static void log_opened(const struct connection *connection)
{
    const struct tls_session *tls = connection->stream.tls;
    char address[INET6_ADDRSTRLEN];

    address_text(&connection->source.any, address);
    LOG_EVENT(LOG_LEVEL_INFO, "connection-opened", LOG_INTEGER("connection", connection->id),
              LOG_STRING("listener", connection->config->name),
              LOG_STRING("peer", connection->peer->name), LOG_STRING("address", address),
              LOG_STRING("tls", tls == NULL ? NULL : tls_session_version(tls)),
              LOG_STRING("cipher", tls == NULL ? NULL : tls_session_cipher(tls)),
              LOG_STRING("subject", tls == NULL ? NULL : tls_session_subject(tls)));
}

static void use_limits(struct connection *connection)
{
    int64_t maximum = connection->config->maximum_frame_bytes;

    if (connection->peer->maximum_message_bytes > 0) {
        maximum = earlier(maximum, connection->peer->maximum_message_bytes);
    }
    mllp_decoder_set_limits(
        &connection->decoder,
        &(struct mllp_limits){(size_t)maximum, connection->config->lenient_end});
}

static void admit(struct connection *connection)
{
    struct admission_query query = {
        .listener = connection->listener,
        .source = &connection->source.any,
        .identity =
            connection->stream.tls == NULL ? NULL : tls_session_identity(connection->stream.tls),
    };
    struct admission_answer answer;

    admission_decide(connection->snapshot->rules, &query, &answer);
    if (answer.reason == REASON_NONE) {
        answer.reason = limits_enter_peer(connection->world->limits, answer.peer->name,
                                          answer.peer->maximum_connections);
    }
    if (answer.reason != REASON_NONE) {
        refuse(connection, answer.reason);
        return;
    }
    connection->counted_peer = true;
    connection->peer = answer.peer;
    connection->statistics =
        statistics_find(connection->world->statistics, connection->config->name, answer.peer->name);
    if (connection->statistics != NULL) {
        metric_add(connection->statistics->connections, 1);
    }
    use_limits(connection);
    if (connection->stream.tls != NULL) {
        connection->spoke = true;
        log_opened(connection);
    }
    connection_set_state(connection, CONNECTION_OPEN);
    connection_run(connection);
}

static void begin_tls(struct connection *connection, struct tls_server *server, struct span already)
{
    if (stream_start_tls(&connection->stream, server, already) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    connection_set_state(connection, CONNECTION_HANDSHAKE);
    connection_arm(connection);
    connection_update_watch(connection);
    if (already.length > 0) {
        connection->world->queue_handshake(connection->world, connection);
    }
}

/* The sender's address is known: admit, or find out who it is by TLS first. */
static void begin(struct connection *connection, struct span already)
{
    struct tls_server *server = connection->snapshot->listeners[connection->listener].tls;
    enum reason reason = admission_by_address(connection->snapshot->rules, connection->listener,
                                              &connection->source.any);

    if (reason != REASON_NONE) {
        refuse(connection, reason);
    } else if (server != NULL) {
        begin_tls(connection, server, already);
    } else if (already.length > 0 &&
               buffer_append(&connection->pending, already.data, already.length) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
    } else {
        admit(connection);
    }
}

void connection_start(struct connection *connection)
{
    enum admission_proxy proxy =
        admission_proxy(connection->snapshot->rules, connection->listener, &connection->source.any);

    connection->state_deadline_ms =
        connection_now(connection) + connection->config->handshake_timeout_ms;
    switch (proxy) {
    case ADMISSION_PROXY_REFUSED:
        refuse(connection, REASON_PROXY_NOT_ALLOWED);
        break;
    case ADMISSION_PROXY_EXPECTED:
        connection_set_state(connection, CONNECTION_PROXY);
        connection_arm(connection);
        connection_update_watch(connection);
        break;
    case ADMISSION_PROXY_NONE:
        begin(connection, span_of(NULL, 0));
        break;
    }
}

/* ---- PROXY header ---- */

static void proxy_complete(struct connection *connection, const struct sockaddr_storage *source,
                           size_t used)
{
    struct buffer rest = connection->pending;
    enum reason reason;

    buffer_init(&connection->pending, PENDING_MAXIMUM);
    limits_leave_address(connection->world->limits, connection->config->name, connection->address);
    set_source(connection, (const struct sockaddr *)source);
    address_key(&connection->source.any, connection->address);
    reason = limits_enter_address(connection->world->limits, connection->config->name,
                                  connection->config->maximum_connections, connection->address,
                                  connection->config->maximum_connections_per_address);
    if (reason != REASON_NONE) {
        memset(connection->address, 0xff, sizeof(connection->address)); /* nothing to leave */
        refuse(connection, reason);
    } else {
        begin(connection, span_of(rest.data + used, rest.length - used));
    }
    buffer_free(&rest);
}

static void read_proxy(struct connection *connection)
{
    struct sockaddr_storage source, destination;
    char bytes[PROXY_MAXIMUM];
    ssize_t got = stream_read(&connection->stream, bytes, sizeof(bytes));
    size_t used = 0;

    if (got <= 0) {
        if (got != -EAGAIN) {
            connection_close(connection, got == 0 ? REASON_PEER_CLOSED : REASON_CONNECTION_RESET);
        }
        return;
    }
    if (buffer_append(&connection->pending, bytes, (size_t)got) != 0) {
        connection_close(connection, REASON_OUT_OF_MEMORY);
        return;
    }
    switch (proxy_parse(buffer_span(&connection->pending), &source, &destination, &used)) {
    case PROXY_COMPLETE:
        proxy_complete(connection, &source, used);
        break;
    case PROXY_NEED_MORE:
        break;
    case PROXY_LOCAL: /* the proxy's own health check */
        connection_close(connection, REASON_PEER_CLOSED);
        break;
    case PROXY_INVALID:
        refuse(connection, REASON_PROXY_HEADER_INVALID);
        break;
    case PROXY_MISSING:
        refuse(connection, REASON_PROXY_HEADER_MISSING);
        break;
    }
}

/* ---- TLS handshake ---- */

static void handshake_failed(struct connection *connection, int error)
{
    const struct tls_session *tls = connection->stream.tls;
    enum reason reason = REASON_TLS_HANDSHAKE_FAILED;
    char address[INET6_ADDRSTRLEN];

    /* A load balancer's probe opens and closes without a byte: no line for that. */
    if (error == -ECONNRESET && stream_received_nothing(&connection->stream)) {
        connection_close(connection, REASON_PEER_CLOSED);
        return;
    }
    if (error == -EACCES) {
        reason = REASON_CERTIFICATE_INVALID;
    } else if (tls_session_is_plain(tls)) {
        reason = REASON_PLAIN_ON_TLS_PORT;
    }
    address_text(&connection->source.any, address);
    LOG_EVENT(LOG_LEVEL_AUDIT, "tls-handshake-failed", LOG_INTEGER("connection", connection->id),
              LOG_STRING("listener", connection->config->name), LOG_STRING("address", address),
              LOG_STRING("reason", reason_code(reason)),
              LOG_STRING("words", tls_session_problem(tls)),
              LOG_STRING("subject", tls_session_subject(tls)));
    statistics_connection_refused(connection->world->statistics, connection->config->name, reason);
    connection_close(connection, reason);
}

void connection_handshake(struct connection *connection)
{
    int error;

    if (connection->state != CONNECTION_HANDSHAKE) {
        return;
    }
    error = tls_session_handshake(connection->stream.tls);
    if (error == -EAGAIN) {
        connection_update_watch(connection);
    } else if (error != 0) {
        handshake_failed(connection, error);
    } else {
        admit(connection);
    }
}

/* ---- readiness ---- */

void connection_update_watch(struct connection *connection)
{
    int events = 0;

    switch (connection->state) {
    case CONNECTION_PROXY:
        events = CONNECTION_READABLE;
        break;
    case CONNECTION_HANDSHAKE:
        events = tls_session_wants_write(connection->stream.tls) ? CONNECTION_WRITABLE
                                                                 : CONNECTION_READABLE;
        break;
    case CONNECTION_OPEN:
        events = connection->paused ? 0 : CONNECTION_READABLE;
        break;
    case CONNECTION_WRITING:
        events = CONNECTION_WRITABLE;
        break;
    case CONNECTION_LINGER:
        events = CONNECTION_READABLE;
        break;
    default:
        /* A message is under way: watched as before; if bytes come meanwhile, connection_ready()
         * stops watching. Most senders wait for their answer, so most messages cost no change. */
        return;
    }
    connection->world->watch(connection->world, connection, events);
}

void connection_ready(struct connection *connection, int events)
{
    (void)events;
    switch (connection->state) {
    case CONNECTION_PROXY:
        read_proxy(connection);
        break;
    case CONNECTION_HANDSHAKE:
        connection->world->watch(connection->world, connection, 0);
        connection->world->queue_handshake(connection->world, connection);
        break;
    case CONNECTION_OPEN:
        connection_run(connection);
        break;
    case CONNECTION_THROTTLED:
    case CONNECTION_EXCHANGE:
    case CONNECTION_WAITING:
        connection->world->watch(connection->world, connection, 0);
        break;
    case CONNECTION_WRITING:
        connection_flush(connection);
        if (connection->state == CONNECTION_OPEN) {
            connection_run(connection);
        }
        break;
    case CONNECTION_LINGER:
        connection_linger(connection);
        break;
    case CONNECTION_CLOSED:
        break;
    }
}

/* ---- deciding again, draining, closing ---- */

static bool owes_answer(const struct connection *connection)
{
    return connection->state == CONNECTION_THROTTLED || connection->state == CONNECTION_EXCHANGE ||
           connection->state == CONNECTION_WAITING || connection->state == CONNECTION_WRITING;
}

static void close_when_answered(struct connection *connection, enum reason reason)
{
    if (connection->state == CONNECTION_LINGER || connection->state == CONNECTION_CLOSED) {
        return;
    }
    if (owes_answer(connection)) {
        connection->close_after = reason;
    } else {
        connection_close(connection, reason);
    }
}

static bool transport_still_fits(const struct connection *connection,
                                 const struct snapshot *snapshot, int listener)
{
    const struct snapshot_listener *wanted = &snapshot->listeners[listener];
    const struct config_tls *tls;
    char reason[160];

    if (wanted->tls == NULL || connection->stream.tls == NULL) {
        return (wanted->tls == NULL) == (connection->stream.tls == NULL);
    }
    tls = config_find_tls(snapshot->config, wanted->config->tls);
    if (tls != NULL && tls->client_certificate == CONFIG_CLIENT_CERTIFICATE_REQUIRED &&
        tls_session_identity(connection->stream.tls) == NULL) {
        return false;
    }
    if (tls_session_verify_again(connection->stream.tls, wanted->tls, reason) != 0) {
        LOG_EVENT(LOG_LEVEL_AUDIT, "certificate-refused-again",
                  LOG_INTEGER("connection", connection->id),
                  LOG_STRING("peer", connection->peer->name), LOG_STRING("words", reason));
        return false;
    }
    return true;
}

/* Admitted connections must come out as the same peer. */
static bool still_admitted(const struct connection *connection, const struct snapshot *snapshot,
                           int listener, const struct config_peer **ret_peer)
{
    struct admission_query query = {
        .listener = (unsigned)listener,
        .source = &connection->source.any,
        .identity =
            connection->stream.tls == NULL ? NULL : tls_session_identity(connection->stream.tls),
    };
    struct admission_answer answer;

    admission_decide(snapshot->rules, &query, &answer);
    *ret_peer = answer.peer;
    return answer.reason == REASON_NONE && strcmp(answer.peer->name, connection->peer->name) == 0 &&
           transport_still_fits(connection, snapshot, listener);
}

void connection_decide_again(struct connection *connection, int listener)
{
    struct snapshot *snapshot = connection->world->snapshot;
    const struct config_peer *peer = NULL;

    if (connection->state == CONNECTION_CLOSED) {
        return;
    }
    if (listener < 0 ||
        (connection->peer != NULL && !still_admitted(connection, snapshot, listener, &peer))) {
        close_when_answered(connection, REASON_NO_LONGER_ALLOWED);
        return;
    }
    snapshot_reference(snapshot);
    snapshot_release(&connection->snapshot);
    connection->snapshot = snapshot;
    connection->listener = (unsigned)listener;
    connection->config = snapshot->listeners[listener].config;
    connection->peer = peer;
    if (peer != NULL) {
        use_limits(connection);
    }
    connection_arm(connection);
}

void connection_drain(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN && mllp_decoder_in_frame(&connection->decoder)) {
        return; /* its frame may still end before the deadline; the answer is then the last */
    }
    close_when_answered(connection, REASON_DRAIN);
}

static void log_closed(const struct connection *connection, enum reason reason)
{
    char address[INET6_ADDRSTRLEN];
    int64_t now = clock_wall_ms(connection->world->clock);

    address_text(&connection->source.any, address);
    LOG_EVENT(
        connection->spoke ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "connection-closed",
        LOG_INTEGER("connection", connection->id), LOG_STRING("listener", connection->config->name),
        LOG_STRING("peer", connection->peer == NULL ? NULL : connection->peer->name),
        LOG_STRING("address", address), LOG_STRING("reason", reason_code(reason)),
        LOG_STRING("words", reason_words(reason)), LOG_INTEGER("messages", connection->messages),
        LOG_INTEGER("seconds", (now - connection->opened_wall_ms) / 1000));
}

static void drop_notices(struct connection *connection)
{
    struct list_node *node;

    while ((node = list_pop_front(&connection->notices)) != NULL) {
        struct spool_notice *notice = LIST_ENTRY(node, struct spool_notice, node);
        spool_notice_free(&notice);
    }
}

static void leave_limits(struct connection *connection)
{
    static const uint8_t left[16] = {255, 255, 255, 255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255, 255, 255, 255};

    if (memcmp(connection->address, left, sizeof(left)) != 0) {
        limits_leave_address(connection->world->limits, connection->config->name,
                             connection->address);
    }
    if (connection->counted_peer) {
        limits_leave_peer(connection->world->limits, connection->peer->name);
    }
}

void connection_close(struct connection *connection, enum reason reason)
{
    struct connection_world *world = connection->world;

    if (connection->state == CONNECTION_CLOSED) {
        return;
    }
    log_closed(connection, reason);
    if (connection->statistics != NULL) {
        statistics_connection_closed(world->statistics, connection->statistics, reason);
        metric_add(connection->statistics->connections, -1);
    }
    connection_set_state(connection, CONNECTION_CLOSED);
    connection->exchange_number++; /* an answer on its way misses */
    timers_stop(world->timers, &connection->timer);
    leave_limits(connection);
    exchange_clear(&connection->exchange);
    mllp_decoder_free(&connection->decoder);
    buffer_free(&connection->pending);
    buffer_free(&connection->out);
    connection_account(connection);
    drop_notices(connection);
    list_remove(&connection->in_frames);
    list_remove(&connection->in_turn);
    list_remove(&connection->in_world);
    world->watch(world, connection, -1); /* stop, before the descriptor is gone */
    stream_close(&connection->stream);
    snapshot_release(&connection->snapshot);
    world->release(world, connection);
}

void connection_free(struct connection *connection)
{
    free(connection);
}
