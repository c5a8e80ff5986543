/* What the gateway tells of itself: readiness, status, connections. On the admin thread. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool gateway_ready(void *context, char *ret_why, size_t size)
{
    struct gateway *gateway = context;
    struct spool_statistics statistics;
    int state = atomic_load(&gateway->state);

    if (state != GATEWAY_SERVING) {
        snprintf(ret_why, size, state == GATEWAY_STARTING ? "starting\n" : "draining\n");
        return false;
    }
    spool_statistics(gateway->spool, &statistics);
    if (statistics.full) {
        snprintf(ret_why, size,
                 "the spool is full (spool.maximum_bytes, or the disk): messages "
                 "are not taken until there is room\n");
        return false;
    }
    if (statistics.failed) {
        snprintf(ret_why, size,
                 "the spool can't be written (disk error): messages are not "
                 "taken\n");
        return false;
    }
    if (!gateway_tunnels_ready(gateway, ret_why, size)) {
        return false;
    }
    snprintf(ret_why, size, "%llu messages queued, %llu dead letters\n",
             (unsigned long long)statistics.totals.queued,
             (unsigned long long)statistics.totals.dead);
    return true;
}

bool gateway_has_route(void *context, const char *route)
{
    const struct gateway *gateway = context;

    return config_find_route(gateway->shared->config, route) != NULL;
}

/* ---- status ---- */

static json_t *listener_status(struct gateway *gateway, const struct snapshot_listener *listener)
{
    const struct config_listener *config = listener->config;
    json_t *json = json_object();

    json_object_set_new(json, "name", json_string(config->name));
    json_object_set_new(json, "address", json_string(config->address));
    json_object_set_new(json, "tls", config->tls == NULL ? json_null() : json_string(config->tls));
    json_object_set_new(
        json, "acknowledge",
        json_string(config->acknowledge == CONFIG_ACKNOWLEDGE_STORED ? "stored" : "delivered"));
    json_object_set_new(json, "connections",
                        json_integer(limits_listener_connections(gateway->limits, config->name)));
    json_object_set_new(json, "maximum_connections", json_integer(config->maximum_connections));
    return json;
}

static json_t *certificate_status(const struct snapshot_listener *listener)
{
    json_t *json = json_object();

    json_object_set_new(json, "listener", json_string(listener->config->name));
    json_object_set_new(json, "tls", json_string(listener->config->tls));
    json_object_set_new(json, "expires",
                        json_integer(bundle_expires_s(tls_server_bundle(listener->tls))));
    return json;
}

static json_t *peer_status(struct gateway *gateway, const struct config_peer *peer)
{
    json_t *json = json_object();

    json_object_set_new(json, "name", json_string(peer->name));
    json_object_set_new(json, "connections",
                        json_integer(limits_peer_connections(gateway->limits, peer->name)));
    json_object_set_new(json, "maximum_connections", json_integer(peer->maximum_connections));
    return json;
}

static json_t *spool_status(struct gateway *gateway)
{
    struct spool_statistics statistics;
    json_t *json = json_object();

    spool_statistics(gateway->spool, &statistics);
    json_object_set_new(json, "queued", json_integer((json_int_t)statistics.totals.queued));
    json_object_set_new(json, "dead", json_integer((json_int_t)statistics.totals.dead));
    json_object_set_new(json, "kept", json_integer((json_int_t)statistics.totals.kept));
    json_object_set_new(json, "records", json_integer((json_int_t)statistics.totals.records));
    json_object_set_new(json, "bytes", json_integer(statistics.totals.bytes));
    json_object_set_new(json, "maximum_bytes",
                        json_integer(gateway->shared->config->spool.maximum_bytes));
    json_object_set_new(json, "full", json_boolean(statistics.full));
    json_object_set_new(json, "failed", json_boolean(statistics.failed));
    return json;
}

static void status_done(struct gateway *gateway, struct admin_reply *reply,
                        const struct inquiry_answer *answer)
{
    const struct snapshot *snapshot = gateway->snapshot;
    json_t *json = json_object(), *listeners = json_array(), *certificates = json_array(),
           *peers = json_array();
    char why[512];

    json_object_set_new(json, "name", json_string(snapshot->config->gateway.name));
    json_object_set_new(json, "version", json_string(MLLPGW_VERSION));
    json_object_set_new(json, "started", json_integer(gateway->started_wall_ms));
    json_object_set_new(json, "ready", json_boolean(gateway_ready(gateway, why, sizeof(why))));
    why[strcspn(why, "\n")] = '\0';
    json_object_set_new(json, "why", json_string(why));
    if (answer->missing != NULL) {
        json_object_set_new(json, "incomplete", json_string(answer->missing));
    }
    for (size_t i = 0; i < snapshot->listener_count; i++) {
        json_array_append_new(listeners, listener_status(gateway, &snapshot->listeners[i]));
        if (snapshot->listeners[i].tls != NULL) {
            json_array_append_new(certificates, certificate_status(&snapshot->listeners[i]));
        }
    }
    for (size_t i = 0; i < snapshot->config->peer_count; i++) {
        json_array_append_new(peers, peer_status(gateway, &snapshot->config->peers[i]));
    }
    json_object_set_new(json, "listeners", listeners);
    json_object_set_new(json, "peers", peers);
    if (snapshot->config->tunnel_count > 0) {
        json_object_set_new(json, "tunnels", gateway_tunnels_status(gateway));
    }
    json_object_set_new(json, "routes", answer->routes);
    json_object_set_new(json, "spool", spool_status(gateway));
    json_object_set_new(json, "keys", answer->keys);
    json_object_set_new(json, "certificates", certificates);
    admin_reply_finish(reply, json, NULL);
}

void gateway_status(void *context, struct admin_reply *reply)
{
    if (gateway_inquire(context, reply, status_done) != 0) {
        admin_reply_finish(reply, NULL, "memory is out");
    }
}

/* ---- connections ---- */

static json_t *connection_json(const struct ingress_connection *connection)
{
    json_t *json = json_object();

    json_object_set_new(json, "id", json_integer((json_int_t)connection->id));
    json_object_set_new(json, "listener", json_string(connection->listener));
    json_object_set_new(json, "peer", json_string(connection->peer));
    json_object_set_new(json, "address", json_string(connection->address));
    json_object_set_new(json, "state", json_string(connection->state));
    json_object_set_new(json, "since", json_integer(connection->opened_wall_ms));
    json_object_set_new(json, "last", json_integer(connection->last_message_wall_ms));
    json_object_set_new(json, "messages", json_integer((json_int_t)connection->messages));
    json_object_set_new(json, "refused", json_integer((json_int_t)connection->refused));
    json_object_set_new(json, "tls", json_string(connection->tls));
    json_object_set_new(json, "subject", json_string(connection->subject));
    return json;
}

static void census_done(struct ingress_census *census)
{
    struct admin_reply *reply = census->context;
    json_t *json = json_object(), *list = json_array();

    for (size_t i = 0; i < census->count; i++) {
        json_array_append_new(list, connection_json(&census->connections[i]));
    }
    json_object_set_new(json, "connections", list);
    ingress_census_free(&census);
    admin_reply_finish(reply, json, NULL);
}

void gateway_connections(void *context, struct admin_reply *reply)
{
    struct gateway *gateway = context;
    struct ingress_census *census = ingress_census_new();

    if (census == NULL) {
        admin_reply_finish(reply, NULL, "memory is out");
        return;
    }
    census->reply_to = admin_reply_mailbox(reply);
    census->done = census_done;
    census->context = reply;
    ingress_census(gateway->ingress, census);
}
