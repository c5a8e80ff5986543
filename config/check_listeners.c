/* listeners, each by itself and against the other sockets. */
#include "config/address.h"
#include "config/internal.h"

#include <string.h>

static void check_peer_list(const struct subject *subject, const struct config_listener *listener)
{
    const struct config_strings *peers = &listener->peers;
    if (peers->present && peers->count == 0) {
        complain(subject, PROBLEM_ERROR, "peers", WHOLE,
                 "is empty: this listener would admit nobody");
    }
    for (size_t i = 0; i < peers->count; i++) {
        const struct config_peer *peer = config_find_peer(subject->config, peers->items[i]);
        if (!peer) {
            unknown_reference(subject, "peers", (int)i, "peers", peers->items[i]);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(peers->items[i], peers->items[j]) == 0) {
                complain(subject, PROBLEM_ERROR, "peers", (int)i, "\"%s\" is there twice",
                         peers->items[i]);
                break;
            }
        }
        if (peer && peer->maximum_message_bytes > listener->maximum_frame_bytes) {
            complain(subject, PROBLEM_WARNING, "peers", (int)i,
                     "maximum_message_bytes of peer %s is over this listener's "
                     "maximum_frame_bytes, which holds",
                     peer->name);
        }
    }
}

/* The largest message that any of its peers may send. */
static int64_t largest_message(const struct config *config, const struct config_listener *listener)
{
    int64_t largest = 0;
    for (size_t i = 0; i < listener->peers.count; i++) {
        const struct config_peer *peer = config_find_peer(config, listener->peers.items[i]);
        int64_t most = peer ? peer->maximum_message_bytes : 0;
        if (most == 0 || most > listener->maximum_frame_bytes) {
            most = listener->maximum_frame_bytes;
        }
        largest = most > largest ? most : largest;
    }
    return largest;
}

static void check_store_limits(const struct subject *subject,
                               const struct config_listener *listener)
{
    int64_t most = config_listener_demand(subject->config, listener).maximum_message_bytes;
    if (most > 0 && largest_message(subject->config, listener) > most) {
        complain(
            subject, PROBLEM_WARNING, "maximum_frame_bytes", WHOLE,
            "its store takes %lld bytes of one message: a larger one is refused once it has come "
            "whole. At most that here, unless there are batches (they go out message by message)",
            (long long)most);
    }
}

static void check_proxies(const struct subject *subject, const struct config_listener *listener)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network network;
    const struct config_strings *proxies = &listener->proxy_from;
    if (proxies->present && proxies->count == 0) {
        complain(subject, PROBLEM_ERROR, "proxy_from", WHOLE,
                 "is empty: list the load balancers' networks, or leave the line out");
    }
    for (size_t i = 0; i < proxies->count; i++) {
        if (address_parse_network(proxies->items[i], &network, error)) {
            complain(subject, PROBLEM_ERROR, "proxy_from", (int)i, "%s", error);
        } else if (network.bits == 0) {
            complain(subject, PROBLEM_WARNING, "proxy_from", (int)i,
                     "\"%s\": anybody may claim any source address", proxies->items[i]);
        }
    }
}

/* Tunnels */

static bool is_within(const struct config_strings *subnets, const struct address_network *host)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network subnet;
    for (size_t i = 0; i < subnets->count; i++) {
        if (!address_parse_network(subnets->items[i], &subnet, error) &&
            address_holds(&subnet, host)) {
            return true;
        }
    }
    return false;
}

/* What comes through a tunnel is addressed to local_subnets. "0.0.0.0" may be any of them. */
static bool can_be_reached(const struct config_listener *listener,
                           const struct config_tunnel *tunnel)
{
    static const uint8_t any[16];
    char error[ADDRESS_ERROR_BYTES];
    struct address_endpoint own;
    return !listener->address || address_parse_endpoint(listener->address, &own, error) ||
           memcmp(own.host.bytes, any, sizeof any) == 0 || tunnel->local_subnets.count == 0 ||
           is_within(&tunnel->local_subnets, &own.host);
}

static void check_tunnelled(const struct subject *subject, const struct config_listener *listener)
{
    for (size_t i = 0; i < listener->peers.count; i++) {
        const struct config_peer *peer =
            config_find_peer(subject->config, listener->peers.items[i]);
        const struct config_tunnel *tunnel =
            peer ? config_find_tunnel(subject->config, peer->tunnel) : NULL;
        /* The PROXY header only claims an address: through what it came nobody can tell. */
        if (tunnel && listener->proxy_from.present) {
            complain(
                subject, PROBLEM_ERROR, "peers", (int)i,
                "peer %s must come through tunnel %s, and proxy_from takes addresses on trust: "
                "give such peers a listener of their own, without proxy_from",
                peer->name, peer->tunnel);
        } else if (tunnel && !can_be_reached(listener, tunnel)) {
            complain(subject, PROBLEM_ERROR, "peers", (int)i,
                     "peer %s comes through tunnel %s, which leads to its local_subnets only; this "
                     "listener's address %s is in none of them",
                     peer->name, peer->tunnel, listener->address);
        }
    }
}

/* Settings that only mean something together with another one. */
static void check_modes(const struct subject *subject, const struct config_listener *listener)
{
    if (listener->acknowledge == CONFIG_ACKNOWLEDGE_DELIVERED &&
        was_given(subject, "application_acknowledgment")) {
        complain(subject, PROBLEM_WARNING, "application_acknowledgment", WHOLE,
                 "has no effect: with acknowledge = \"delivered\" the answer is the store's");
    }
    if (listener->application_acknowledgment == CONFIG_APPLICATION_STORE &&
        listener->acknowledgment == CONFIG_ACKNOWLEDGMENT_ORIGINAL) {
        complain(subject, PROBLEM_WARNING, "application_acknowledgment", WHOLE,
                 "has no effect: acknowledgment = \"original\" has one answer only");
    }
    if (listener->tls && !config_find_tls(subject->config, listener->tls)) {
        unknown_reference(subject, "tls", WHOLE, "tls", listener->tls);
    }
}

/* Sockets */

static bool overlap(const struct address_endpoint *a, const struct address_endpoint *b)
{
    static const uint8_t any[16];
    if (a->port != b->port || a->port == 0 || a->host.v6 != b->host.v6) {
        return false;
    }
    return memcmp(a->host.bytes, b->host.bytes, 16) == 0 || memcmp(a->host.bytes, any, 16) == 0 ||
           memcmp(b->host.bytes, any, 16) == 0;
}

static bool endpoint_of(const char *text, struct address_endpoint *ret_endpoint)
{
    char error[ADDRESS_ERROR_BYTES];
    return text && !address_parse_endpoint(text, ret_endpoint, error);
}

static void check_address(const struct subject *subject, const struct config_listener *listener)
{
    const struct config *config = subject->config;
    char error[ADDRESS_ERROR_BYTES];
    struct address_endpoint own, other;
    if (!listener->address) {
        return;
    }
    if (address_parse_endpoint(listener->address, &own, error)) {
        complain(subject, PROBLEM_ERROR, "address", WHOLE, "%s", error);
        return;
    }
    if (own.port == 0) {
        complain(subject, PROBLEM_WARNING, "address", WHOLE,
                 "port 0: the system picks one, a different one at each start");
    }
    for (const struct config_listener *l = config->listeners; l < listener; l++) {
        if (endpoint_of(l->address, &other) && overlap(&own, &other)) {
            complain(subject, PROBLEM_ERROR, "address", WHOLE, "%s is taken by listener %s (%s:%u)",
                     listener->address, l->name ? l->name : "?", l->place.file, l->place.line);
        }
    }
    if (endpoint_of(config->admin.address, &other) && overlap(&own, &other)) {
        complain(subject, PROBLEM_ERROR, "address", WHOLE, "%s is taken by admin.address",
                 listener->address);
    }
}

void check_listeners(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        struct subject subject = {config, problems, config_section("listeners"), listener};
        check_address(&subject, listener);
        check_modes(&subject, listener);
        check_peer_list(&subject, listener);
        check_store_limits(&subject, listener);
        check_proxies(&subject, listener);
        check_tunnelled(&subject, listener);
    }
    if (config->listener_count == 0) {
        struct subject subject = {config, problems, config_section("listeners"), NULL};
        complain(&subject, PROBLEM_ERROR, NULL, WHOLE,
                 "there is none: nothing could come in (config/gateway.cfg is an example)");
    }
}
