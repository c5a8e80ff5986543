/* Deciding again about connections that are open, by the snapshot of now. */
#include "base/log.h"
#include "ingress/connection_internal.h"

#include <string.h>

bool connection_transport_fits(const struct connection *connection, const struct snapshot *snapshot,
                               int listener)
{
    const struct snapshot_listener *wanted = &snapshot->listeners[listener];
    const struct config_tls *tls;
    char reason[160];

    if (wanted->tls == NULL || connection->stream.tls == NULL) {
        return (wanted->tls == NULL) == (connection->stream.tls == NULL);
    }
    tls = config_find_tls(snapshot->config, wanted->config->tls);
    if (tls != NULL && tls->client_certificate == CONFIG_CLIENT_CERTIFICATE_OFF) {
        return true; /* the certificate proves nothing any more, and need not be good */
    }
    if (tls != NULL && tls->client_certificate == CONFIG_CLIENT_CERTIFICATE_REQUIRED &&
        tls_session_identity(connection->stream.tls) == NULL) {
        return false;
    }
    if (tls_session_verify_again(connection->stream.tls, wanted->tls, reason) != 0) {
        LOG_EVENT(LOG_LEVEL_AUDIT, "certificate-refused-again",
                  LOG_INTEGER("connection", connection->id),
                  LOG_STRING("peer", connection->peer == NULL ? NULL : connection->peer->name),
                  LOG_STRING("words", reason));
        return false;
    }
    return true;
}

/* Admitted connections must come out as the same peer. */
static enum reason still_admitted(const struct connection *connection,
                                  const struct snapshot *snapshot, int listener,
                                  const struct config_peer **ret_peer)
{
    struct admission_query query = {
        .listener = (unsigned)listener,
        .source = &connection->source.any,
        .local = &connection->local.any,
        .open = true,
        .now_ms = connection_now(connection),
        .heard_ms = connection->world->heard_ms,
        .identity =
            connection->stream.tls == NULL ? NULL : tls_session_identity(connection->stream.tls),
    };
    struct admission_answer answer;

    /* First, since it finds out to which of the new roots the certificate chains. */
    if (!connection_transport_fits(connection, snapshot, listener)) {
        return REASON_NO_LONGER_ALLOWED;
    }
    admission_decide(snapshot->rules, &query, &answer);
    *ret_peer = answer.peer;
    if (answer.reason == REASON_TUNNEL_DOWN || answer.reason == REASON_TUNNEL_UNKNOWN) {
        return answer.reason;
    }
    return answer.reason == REASON_NONE && strcmp(answer.peer->name, connection->peer->name) == 0
               ? REASON_NONE
               : REASON_NO_LONGER_ALLOWED;
}

/* A source that is no proxy any more may not go on claiming addresses; and where proxies are
 * demanded now, one that came by itself may not stay. */
static bool proxy_still_fits(const struct connection *connection, const struct snapshot *snapshot,
                             int listener)
{
    enum admission_proxy proxy =
        admission_proxy(snapshot->rules, (unsigned)listener, &connection->transport.any);

    return proxy == (connection->through_proxy ? ADMISSION_PROXY_EXPECTED : ADMISSION_PROXY_NONE);
}

void connection_decide_again(struct connection *connection, int listener)
{
    struct snapshot *snapshot = connection->world->snapshot;
    const struct config_peer *peer = NULL;
    enum reason reason = REASON_NONE;

    if (connection->state == CONNECTION_CLOSED) {
        return;
    }
    if (listener < 0 || !proxy_still_fits(connection, snapshot, listener)) {
        reason = REASON_NO_LONGER_ALLOWED;
    } else if (connection->peer != NULL) {
        reason = still_admitted(connection, snapshot, listener, &peer);
    }
    if (reason != REASON_NONE) {
        connection_close_when_answered(connection, reason);
        return;
    }
    snapshot_reference(snapshot);
    snapshot_release(&connection->snapshot);
    connection->snapshot = snapshot;
    connection->listener = (unsigned)listener;
    connection->config = snapshot->listeners[listener].config;
    connection->peer = peer;
    connection->snapshot_changed |= connection->state == CONNECTION_HANDSHAKE;
    if (peer != NULL) {
        connection_use_limits(connection);
    }
    connection_arm(connection);
}

/* ---- all of them, some at a time ---- */

static void decide_now(struct connection *connection)
{
    list_remove(&connection->undecided);
    connection_decide_again(
        connection, snapshot_find_listener(connection->world->snapshot, connection->config->name));
}

static void decide_all(struct connection_world *world)
{
    world->decided_ms = clock_monotonic_ms(world->clock);
    LIST_FOREACH_SAFE(node, next, &world->connections) {
        struct connection *connection = LIST_ENTRY(node, struct connection, in_world);
        if (list_empty(&connection->undecided)) { /* else it keeps its place from the time before */
            list_append(&world->undecided, &connection->undecided);
        }
    }
}

void connection_world_apply(struct connection_world *world, struct snapshot *snapshot)
{
    struct snapshot *old = world->snapshot;

    world->snapshot = snapshot;
    decide_all(world);
    snapshot_release(&old);
}

int64_t connection_world_due_ms(const struct connection_world *world)
{
    return admission_stays_until_ms(world->snapshot->rules, world->decided_ms, world->heard_ms);
}

bool connection_world_run_out(struct connection_world *world)
{
    bool over = connection_world_due_ms(world) <= clock_monotonic_ms(world->clock);

    if (over) {
        decide_all(world);
    }
    return over;
}

bool connection_world_decide(struct connection_world *world, unsigned most)
{
    for (unsigned i = 0; i < most && !list_empty(&world->undecided); i++) {
        decide_now(LIST_ENTRY(world->undecided.next, struct connection, undecided));
    }
    return !list_empty(&world->undecided);
}

bool connection_catch_up(struct connection *connection)
{
    if (!list_empty(&connection->undecided)) {
        decide_now(connection);
    }
    return connection->state != CONNECTION_CLOSED;
}
