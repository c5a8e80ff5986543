/* From accept to OPEN: admission, the PROXY header, the TLS handshake. */
#include "base/log.h"
#include "ingress/connection_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_MAXIMUM ((size_t)1 << 20) /* one read's remainder, at most the scratch */
#define OUT_MAXIMUM ((size_t)8 << 20)     /* an answer: the store's own at most, framed */

/* ---- opening ---- */

static void set_source(union connection_source *ret_source, const struct sockaddr *source)
{
    memset(ret_source, 0, sizeof(*ret_source));
    if (source->sa_family == AF_INET) {
        memcpy(&ret_source->in, source, sizeof(ret_source->in));
    } else if (source->sa_family == AF_INET6) {
        memcpy(&ret_source->in6, source, sizeof(ret_source->in6));
    }
}

struct connection *connection_new_with_stream(struct connection_world *world, uint64_t id,
                                              unsigned listener, const struct stream *stream,
                                              const struct sockaddr *source,
                                              const struct sockaddr *local)
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
    connection->timer.fire = connection_timer_fired;
    connection->opened_wall_ms = clock_wall_ms(world->clock);
    connection->last_activity_ms = connection_now(connection);
    set_source(&connection->source, source);
    connection->transport = connection->source;
    set_source(&connection->local, local);
    address_key(source, connection->address);
    buffer_init(&connection->pending, PENDING_MAXIMUM);
    buffer_init(&connection->out, OUT_MAXIMUM);
    mllp_decoder_init(&connection->decoder,
                      &(struct mllp_limits){(size_t)connection->config->maximum_frame_bytes,
                                            connection->config->lenient_end});
    list_init(&connection->notices);
    list_init(&connection->in_frames);
    list_init(&connection->in_turn);
    list_init(&connection->undecided);
    list_append(&world->connections, &connection->in_world);
    return connection;
}

struct connection *connection_new(struct connection_world *world, uint64_t id, unsigned listener,
                                  int fd, const struct sockaddr *source,
                                  const struct sockaddr *local)
{
    struct stream stream;
    struct connection *connection;

    stream_init_plain(&stream, fd);
    connection = connection_new_with_stream(world, id, listener, &stream, source, local);
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

static enum reason decide(struct connection *connection, const struct config_peer **ret_peer)
{
    struct admission_query query = {
        .listener = connection->listener,
        .source = &connection->source.any,
        .local = &connection->local.any,
        .now_ms = connection_now(connection),
        .heard_ms = connection->world->heard_ms,
        .identity =
            connection->stream.tls == NULL ? NULL : tls_session_identity(connection->stream.tls),
    };
    struct admission_answer answer;

    /* The handshake was verified by a snapshot that has been replaced meanwhile. */
    if (connection->snapshot_changed &&
        !connection_transport_fits(connection, connection->snapshot, (int)connection->listener)) {
        return REASON_NO_LONGER_ALLOWED;
    }
    admission_decide(connection->snapshot->rules, &query, &answer);
    if (answer.reason != REASON_NONE) {
        return answer.reason;
    }
    *ret_peer = answer.peer;
    return limits_enter_peer(connection->world->limits, answer.peer->name,
                             answer.peer->maximum_connections);
}

static void admit(struct connection *connection)
{
    const struct config_peer *peer = NULL;
    enum reason reason = decide(connection, &peer);

    if (reason != REASON_NONE) {
        refuse(connection, reason);
        return;
    }
    connection->counted_peer = true;
    connection->peer = peer;
    connection->statistics =
        statistics_find(connection->world->statistics, connection->config->name, peer->name);
    if (connection->statistics != NULL) {
        metric_add(connection->statistics->connections, 1);
    }
    connection_use_limits(connection);
    if (connection->stream.tls != NULL) {
        connection->spoke = true;
        log_opened(connection);
    }
    connection_set_state(connection, CONNECTION_OPEN);
    if (connection->pending.length > 0) { /* came behind a PROXY header */
        connection_note_bytes(connection, buffer_span(&connection->pending));
    }
    if (connection->state == CONNECTION_OPEN) {
        connection_run(connection);
    }
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
    if (already.length > 0 && connection->state == CONNECTION_HANDSHAKE) {
        connection->world->queue_handshake(connection->world, connection);
    }
}

/* The sender's address is known: admit, or find out who it is by TLS first. */
static void begin(struct connection *connection, struct span already)
{
    struct tls_server *server = connection->snapshot->listeners[connection->listener].tls;
    const struct admission_query query = {
        .listener = connection->listener,
        .source = &connection->source.any,
        .local = &connection->local.any,
        .now_ms = connection_now(connection),
        .heard_ms = connection->world->heard_ms,
    };
    enum reason reason = admission_by_address(connection->snapshot->rules, &query);

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
        connection->through_proxy = true;
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
    set_source(&connection->source, (const struct sockaddr *)source);
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

void connection_read_proxy(struct connection *connection)
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

static void log_handshake(struct connection *connection, enum reason reason)
{
    const struct tls_session *tls = connection->stream.tls;
    const char *problem = tls_session_problem(tls);
    char address[INET6_ADDRSTRLEN];

    address_text(&connection->source.any, address);
    LOG_EVENT(LOG_LEVEL_AUDIT, "tls-handshake-failed", LOG_INTEGER("connection", connection->id),
              LOG_STRING("listener", connection->config->name), LOG_STRING("address", address),
              LOG_STRING("reason", reason_code(reason)),
              LOG_STRING("words", problem[0] == '\0' ? reason_words(reason) : problem),
              LOG_STRING("subject", tls_session_subject(tls)));
}

/* A load balancer's probe opens and closes without a byte: no line for that. */
static void handshake_ends(struct connection *connection, enum reason reason)
{
    if (!tls_session_is_silent(connection->stream.tls)) {
        log_handshake(connection, reason);
        statistics_connection_refused(connection->world->statistics, connection->config->name,
                                      reason);
    } else if (reason != REASON_TLS_HANDSHAKE_TIMEOUT) {
        reason = REASON_PEER_CLOSED;
    }
    connection_close(connection, reason);
}

static void handshake_failed(struct connection *connection, int error)
{
    if (error == -EACCES) {
        handshake_ends(connection, REASON_CERTIFICATE_INVALID);
    } else if (tls_session_is_plain(connection->stream.tls)) {
        handshake_ends(connection, REASON_PLAIN_ON_TLS_PORT);
    } else {
        handshake_ends(connection, REASON_TLS_HANDSHAKE_FAILED);
    }
}

void connection_opening_timeout(struct connection *connection)
{
    if (connection->state == CONNECTION_HANDSHAKE) {
        handshake_ends(connection, REASON_TLS_HANDSHAKE_TIMEOUT);
    } else if (connection->pending.length > 0) {
        refuse(connection, REASON_PROXY_HEADER_MISSING);
    } else {
        connection_close(connection, REASON_PROXY_HEADER_MISSING);
    }
}

void connection_handshake(struct connection *connection)
{
    int error;

    if (!connection_catch_up(connection) || connection->state != CONNECTION_HANDSHAKE) {
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
