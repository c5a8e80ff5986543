#include "admission/admission.h"

#include "admission/tunnel_rules.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct peer_rules {
    const struct config_peer *peer;
    struct address_prefix *prefixes;
    size_t prefix_count;
    struct identity_matcher *matchers;
    size_t matcher_count;
    uint8_t (*roots)[32]; /* DER digests of the peer's ca */
    size_t root_count;
    const struct tunnel_rules *tunnels[2]; /* either one will do; NULLs are none */
};

struct listener_rules {
    const struct peer_rules **peers;
    size_t peer_count;
    struct address_prefix *proxies;
    size_t proxy_count;
    bool proxied;
};

static const struct admission_known nothing_known;

struct admission_rules {
    atomic_int references;
    struct peer_rules *peers;
    size_t peer_count;
    struct listener_rules *listeners;
    size_t listener_count;
    struct tunnel_rules *tunnels; /* in the configuration's order */
    size_t tunnel_count;
    int64_t heard_ms;
};

/* ---- making the snapshot ---- */

static size_t count_prefixes(const struct config_peer *peer, const struct admission_known *known)
{
    size_t count = 0;

    for (size_t i = 0; i < peer->addresses.count; i++) {
        count++;
        for (size_t n = 0; n < known->name_count; n++) {
            if (strcmp(known->names[n].name, peer->addresses.items[i]) == 0) {
                count += known->names[n].count;
            }
        }
    }
    return count;
}

static void add_name(struct peer_rules *rules, const char *name,
                     const struct admission_known *known)
{
    for (size_t n = 0; n < known->name_count; n++) {
        if (strcmp(known->names[n].name, name) != 0) {
            continue;
        }
        for (size_t k = 0; k < known->names[n].count; k++) {
            address_prefix_of_key(known->names[n].keys[k], &rules->prefixes[rules->prefix_count++]);
        }
    }
}

static int make_prefixes(struct peer_rules *rules, const struct admission_known *known)
{
    const struct config_strings *addresses = &rules->peer->addresses;
    size_t count = count_prefixes(rules->peer, known);

    rules->prefixes = calloc(count == 0 ? 1 : count, sizeof(*rules->prefixes));
    if (rules->prefixes == NULL) {
        return -1;
    }
    for (size_t i = 0; i < addresses->count; i++) {
        struct address_prefix prefix;
        if (address_prefix_parse(addresses->items[i], &prefix)) {
            rules->prefixes[rules->prefix_count++] = prefix;
        } else {
            add_name(rules, addresses->items[i], known);
        }
    }
    return 0;
}

static int make_matchers(struct peer_rules *rules, char ret_error[512])
{
    const struct config_strings *certificates = &rules->peer->certificates;

    rules->matchers =
        calloc(certificates->count == 0 ? 1 : certificates->count, sizeof(*rules->matchers));
    if (rules->matchers == NULL) {
        return -1;
    }
    for (size_t i = 0; i < certificates->count; i++) {
        char error[256];
        if (identity_matcher_parse(certificates->items[i], &rules->matchers[rules->matcher_count],
                                   error) != 0) {
            snprintf(ret_error, 512, "peers.%s.certificates: %s", rules->peer->name, error);
            return -1;
        }
        rules->matcher_count++;
    }
    return 0;
}

static int copy_roots(struct peer_rules *rules, const struct peer_rules *in_force)
{
    rules->roots = calloc(in_force->root_count + 1, sizeof(*rules->roots));
    if (rules->roots == NULL) {
        return -1;
    }
    memcpy(rules->roots, in_force->roots, in_force->root_count * sizeof(*rules->roots));
    rules->root_count = in_force->root_count;
    return 0;
}

static int make_peer(struct peer_rules *rules, const struct config_peer *peer,
                     const struct peer_rules *in_force, const struct admission_known *known,
                     char ret_error[512])
{
    rules->peer = peer;
    if (make_prefixes(rules, known) != 0 || make_matchers(rules, ret_error) != 0) {
        return -1;
    }
    if (peer->ca != NULL && in_force != NULL) {
        return copy_roots(rules, in_force);
    }
    if (peer->ca != NULL) {
        char error[256];
        if (identity_file_digests(peer->ca, &rules->roots, &rules->root_count, error) != 0) {
            snprintf(ret_error, 512, "peers.%s.ca: %s", peer->name, error);
            return -1;
        }
    }
    return 0;
}

static int make_tunnels(struct admission_rules *rules, const struct config *config,
                        const struct admission_known *known)
{
    rules->tunnels = calloc(config->tunnel_count + 1, sizeof(*rules->tunnels));
    if (rules->tunnels == NULL) {
        return -1;
    }
    for (size_t i = 0; i < config->tunnel_count; i++) {
        const char *name = config->tunnels[i].name;
        const struct admission_tunnel *found = NULL;
        for (size_t k = 0; k < known->tunnel_count && found == NULL; k++) {
            found = strcmp(known->tunnels[k].name, name) == 0 ? &known->tunnels[k] : NULL;
        }
        rules->tunnel_count++;
        if (tunnel_rules_make(&rules->tunnels[i], &config->tunnels[i], found) != 0) {
            return -1;
        }
    }
    return 0;
}

static void find_tunnels(struct peer_rules *peer, const struct admission_rules *rules,
                         const struct config *config)
{
    const struct config_tunnel *own = config_find_tunnel(config, peer->peer->tunnel);
    const struct config_tunnel *pair = own == NULL ? NULL : config_tunnel_pair(config, own);

    peer->tunnels[0] = own == NULL ? NULL : &rules->tunnels[own - config->tunnels];
    peer->tunnels[1] = pair == NULL ? NULL : &rules->tunnels[pair - config->tunnels];
}

static const struct peer_rules *find_peer(const struct admission_rules *rules, const char *name)
{
    for (size_t i = 0; i < rules->peer_count; i++) {
        const struct config_peer *peer = rules->peers[i].peer;
        if (peer != NULL && strcmp(peer->name, name) == 0) {
            return &rules->peers[i];
        }
    }
    return NULL;
}

static int make_listener(struct admission_rules *rules, struct listener_rules *listener,
                         const struct config_listener *config, char ret_error[512])
{
    listener->peers = calloc(config->peers.count + 1, sizeof(*listener->peers));
    listener->proxies = calloc(config->proxy_from.count + 1, sizeof(*listener->proxies));
    if (listener->peers == NULL || listener->proxies == NULL) {
        return -1;
    }
    for (size_t i = 0; i < config->peers.count; i++) {
        const struct peer_rules *peer = find_peer(rules, config->peers.items[i]);
        if (peer != NULL) {
            listener->peers[listener->peer_count++] = peer;
        }
    }
    for (size_t i = 0; i < config->proxy_from.count; i++) {
        /* One that is left out could leave none, and a listener that trusts any source. */
        if (!address_prefix_parse(config->proxy_from.items[i],
                                  &listener->proxies[listener->proxy_count])) {
            snprintf(ret_error, 512, "listeners.%s.proxy_from: \"%s\" is no network", config->name,
                     config->proxy_from.items[i]);
            return -1;
        }
        listener->proxy_count++;
    }
    listener->proxied = config->proxy_from.present;
    return 0;
}

struct admission_rules *admission_rules_new(const struct config *config,
                                            const struct admission_rules *in_force,
                                            const struct admission_known *known,
                                            char ret_error[512])
{
    struct admission_rules *rules = calloc(1, sizeof(*rules));

    snprintf(ret_error, 512, "out of memory");
    if (rules == NULL) {
        return NULL;
    }
    known = known == NULL ? &nothing_known : known;
    rules->heard_ms = known->heard_ms;
    atomic_init(&rules->references, 1);
    rules->peers = calloc(config->peer_count + 1, sizeof(*rules->peers));
    rules->listeners = calloc(config->listener_count + 1, sizeof(*rules->listeners));
    if (rules->peers == NULL || rules->listeners == NULL ||
        make_tunnels(rules, config, known) != 0) {
        goto fail;
    }
    for (size_t i = 0; i < config->peer_count; i++) {
        rules->peer_count++;
        if (make_peer(&rules->peers[i], &config->peers[i],
                      in_force == NULL ? NULL : &in_force->peers[i], known, ret_error) != 0) {
            goto fail;
        }
        find_tunnels(&rules->peers[i], rules, config);
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        rules->listener_count++;
        if (make_listener(rules, &rules->listeners[i], &config->listeners[i], ret_error) != 0) {
            goto fail;
        }
    }
    ret_error[0] = '\0';
    return rules;
fail:
    admission_rules_release(&rules);
    return NULL;
}

struct admission_rules *admission_rules_reference(struct admission_rules *rules)
{
    atomic_fetch_add(&rules->references, 1);
    return rules;
}

static void free_peer(struct peer_rules *peer)
{
    for (size_t i = 0; i < peer->matcher_count; i++) {
        identity_matcher_free(&peer->matchers[i]);
    }
    free(peer->matchers);
    free(peer->prefixes);
    free(peer->roots);
}

void admission_rules_release(struct admission_rules **pointer)
{
    struct admission_rules *rules = *pointer;

    *pointer = NULL;
    if (rules == NULL || atomic_fetch_sub(&rules->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < rules->peer_count; i++) {
        free_peer(&rules->peers[i]);
    }
    for (size_t i = 0; i < rules->listener_count; i++) {
        free(rules->listeners[i].peers);
        free(rules->listeners[i].proxies);
    }
    for (size_t i = 0; i < rules->tunnel_count; i++) {
        tunnel_rules_free(&rules->tunnels[i]);
    }
    free(rules->tunnels);
    free(rules->peers);
    free(rules->listeners);
    free(rules);
}

/* ---- deciding ---- */

enum admission_proxy admission_proxy(const struct admission_rules *rules, unsigned listener,
                                     const struct sockaddr *source)
{
    const struct listener_rules *l = &rules->listeners[listener];
    uint8_t key[16];

    if (!l->proxied) {
        return ADMISSION_PROXY_NONE;
    }
    address_key(source, key);
    for (size_t i = 0; i < l->proxy_count; i++) {
        if (address_prefix_holds(&l->proxies[i], key)) {
            return ADMISSION_PROXY_EXPECTED;
        }
    }
    return ADMISSION_PROXY_REFUSED;
}

/* Length of the peer's longest prefix that holds the key, or -1. */
static int longest_prefix(const struct peer_rules *peer, const uint8_t key[16])
{
    int longest = -1;

    for (size_t i = 0; i < peer->prefix_count; i++) {
        if ((int)peer->prefixes[i].bits > longest &&
            address_prefix_holds(&peer->prefixes[i], key)) {
            longest = (int)peer->prefixes[i].bits;
        }
    }
    return longest;
}

static int longest_of_listener(const struct listener_rules *listener, const uint8_t key[16])
{
    int longest = -1;

    for (size_t i = 0; i < listener->peer_count; i++) {
        int bits = longest_prefix(listener->peers[i], key);
        if (bits > longest) {
            longest = bits;
        }
    }
    return longest;
}

static int64_t heard_ms(const struct admission_rules *rules, int64_t other_ms)
{
    return rules->heard_ms > other_ms ? rules->heard_ms : other_ms;
}

/* What a proxy claims has come through no tunnel; the configuration's check says so too. */
static enum reason tunnel_reason(const struct admission_rules *rules, const struct peer_rules *peer,
                                 const struct admission_query *query)
{
    if (peer->peer->tunnel == NULL) {
        return REASON_NONE;
    }
    return rules->listeners[query->listener].proxied
               ? REASON_TUNNEL_DOWN
               : tunnel_rules_decide(peer->tunnels, 2, query, heard_ms(rules, query->heard_ms));
}

enum reason admission_by_address(const struct admission_rules *rules,
                                 const struct admission_query *query)
{
    const struct listener_rules *l = &rules->listeners[query->listener];
    enum reason reason = REASON_ADDRESS_NOT_LISTED;
    uint8_t key[16];
    int longest;

    address_key(query->source, key);
    longest = longest_of_listener(l, key);
    for (size_t i = 0; longest >= 0 && i < l->peer_count; i++) {
        if (longest_prefix(l->peers[i], key) != longest) {
            continue;
        }
        reason = tunnel_reason(rules, l->peers[i], query);
        if (reason == REASON_NONE) {
            return REASON_NONE;
        }
    }
    return reason;
}

int64_t admission_stays_until_ms(const struct admission_rules *rules, int64_t now_ms,
                                 int64_t other_ms)
{
    int64_t until_ms = ADMISSION_FOREVER;

    for (size_t i = 0; i < rules->tunnel_count; i++) {
        int64_t own_ms =
            tunnel_rules_stays_until_ms(&rules->tunnels[i], now_ms, heard_ms(rules, other_ms));
        until_ms = own_ms < until_ms ? own_ms : until_ms;
    }
    return until_ms;
}

static bool chains_to_peers_ca(const struct peer_rules *peer, const struct identity *identity)
{
    for (size_t i = 0; i < peer->root_count; i++) {
        if (memcmp(peer->roots[i], identity->root_sha256, 32) == 0) {
            return true;
        }
    }
    return false;
}

static enum reason certificate_reason(const struct peer_rules *peer,
                                      const struct identity *identity)
{
    bool listed = false;

    if (!peer->peer->certificates.present) {
        return identity != NULL && peer->root_count > 0 && !chains_to_peers_ca(peer, identity)
                   ? REASON_CERTIFICATE_WRONG_CA
                   : REASON_NONE;
    }
    if (identity == NULL) {
        return REASON_CERTIFICATE_MISSING;
    }
    for (size_t i = 0; i < peer->matcher_count && !listed; i++) {
        listed = identity_matches(identity, &peer->matchers[i]);
    }
    if (!listed) {
        return REASON_CERTIFICATE_NOT_LISTED;
    }
    if (peer->root_count > 0 && !chains_to_peers_ca(peer, identity)) {
        return REASON_CERTIFICATE_WRONG_CA;
    }
    return REASON_NONE;
}

/* Who it is, by address and certificate; NULL: with the reason. */
static const struct peer_rules *find_sender(const struct listener_rules *listener,
                                            const struct admission_query *query,
                                            enum reason *ret_reason)
{
    const struct peer_rules *sender = NULL;
    uint8_t key[16];
    int longest;

    address_key(query->source, key);
    longest = longest_of_listener(listener, key);
    *ret_reason = REASON_ADDRESS_NOT_LISTED;
    for (size_t i = 0; longest >= 0 && i < listener->peer_count; i++) {
        const struct peer_rules *peer = listener->peers[i];
        enum reason reason;
        if (longest_prefix(peer, key) != longest) {
            continue;
        }
        reason = certificate_reason(peer, query->identity);
        if (reason == REASON_NONE && sender != NULL) {
            *ret_reason = REASON_PEER_AMBIGUOUS;
            return NULL;
        }
        if (reason == REASON_NONE) {
            sender = peer;
        } else if (*ret_reason != REASON_CERTIFICATE_WRONG_CA) {
            *ret_reason = reason; /* the most telling one stays: "wrong ca" over "not listed" */
        }
    }
    return sender;
}

void admission_decide(const struct admission_rules *rules, const struct admission_query *query,
                      struct admission_answer *ret_answer)
{
    const struct listener_rules *listener = &rules->listeners[query->listener];
    struct admission_answer answer = {0};
    const struct peer_rules *sender = find_sender(listener, query, &answer.reason);

    if (sender != NULL) {
        answer.reason = tunnel_reason(rules, sender, query);
        answer.peer = answer.reason == REASON_NONE ? sender->peer : NULL;
    }
    *ret_answer = answer;
}

bool admission_facility_allowed(const struct config_peer *peer, struct span application,
                                struct span facility)
{
    if (!peer->facilities.present) {
        return true;
    }
    for (size_t i = 0; i < peer->facilities.count; i++) {
        const char *entry = peer->facilities.items[i];
        const char *caret = strchr(entry, '^');
        if (caret == NULL ? span_equal_string(facility, entry)
                          : span_equal(application, span_of(entry, (size_t)(caret - entry))) &&
                                span_equal_string(facility, caret + 1)) {
            return true;
        }
    }
    return false;
}
