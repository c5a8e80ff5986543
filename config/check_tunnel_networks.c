/*
 * Tunnels' networks: against each other, against the peers that ride on them, and in a pair.
 *
 * An address must lead into one tunnel only (or a pair): otherwise charon's policies, and with them
 * who is admitted through which tunnel, would hang on the order in which tunnels come up.
 */
#include "config/address.h"
#include "config/ike_identity.h"
#include "config/internal.h"

#include <string.h>

static bool overlap(const struct address_network *a, const struct address_network *b)
{
    return address_holds(a, b) || address_holds(b, a);
}

static bool parse(const char *text, struct address_network *ret_network)
{
    char error[ADDRESS_ERROR_BYTES];
    return address_parse_network(text, ret_network, error) == NULL;
}

/* The first of the list that overlaps; NULL when none does. */
static const char *find_overlap(const struct config_strings *list,
                                const struct address_network *network)
{
    for (size_t i = 0; i < list->count; i++) {
        struct address_network other;
        if (parse(list->items[i], &other) && overlap(&other, network)) {
            return list->items[i];
        }
    }
    return NULL;
}

static void check_syntax(const struct subject *subject, const char *key,
                         const struct config_strings *subnets)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network network;
    if (subnets->present && subnets->count == 0) {
        complain(subject, PROBLEM_ERROR, key, WHOLE, "is empty: nothing could go through");
    }
    for (size_t i = 0; i < subnets->count; i++) {
        if (address_parse_network(subnets->items[i], &network, error)) {
            complain(subject, PROBLEM_ERROR, key, (int)i, "%s", error);
        } else if (network.bits == 0) {
            complain(subject, PROBLEM_WARNING, key, (int)i,
                     "\"%s\" is every address: write the networks that talk, or the tunnel takes "
                     "traffic that is not its own",
                     subnets->items[i]);
        }
    }
}

static bool is_every(const char *subnet)
{
    struct address_network network;
    return parse(subnet, &network) && network.bits == 0;
}

static void check_own(const struct subject *subject, const struct config_tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->remote_subnets.count; i++) {
        struct address_network network;
        const char *text = tunnel->remote_subnets.items[i];
        const char *local = parse(text, &network) && network.bits > 0
                                ? find_overlap(&tunnel->local_subnets, &network)
                                : NULL;
        if (local && !is_every(local)) {
            complain(subject, PROBLEM_ERROR, "remote_subnets", (int)i,
                     "%s overlaps %s of local_subnets: an address can be on one side only; one of "
                     "the sides has to translate (NAT) its addresses",
                     text, local);
        }
    }
}

static void check_overlaps(const struct subject *subject, const struct config_tunnel *tunnel)
{
    const struct config *config = subject->config;
    const struct config_tunnel *pair = config_tunnel_pair(config, tunnel);
    for (const struct config_tunnel *t = config->tunnels; t < tunnel; t++) {
        for (size_t i = 0; t != pair && i < tunnel->remote_subnets.count; i++) {
            struct address_network network;
            const char *text = tunnel->remote_subnets.items[i];
            const char *other =
                parse(text, &network) ? find_overlap(&t->remote_subnets, &network) : NULL;
            if (other) {
                complain(
                    subject, PROBLEM_ERROR, "remote_subnets", (int)i,
                    "%s overlaps %s of tunnel %s (%s:%u): an address can be behind one of them "
                    "only; if both lead to the same place, say so with pair",
                    text, other, t->name ? t->name : "?", t->place.file, t->place.line);
                break;
            }
        }
    }
}

/* Behind this one, and ours in another: whichever it is, one of the two never works. */
static void check_sides(const struct subject *subject, const struct config_tunnel *tunnel)
{
    const struct config *config = subject->config;
    for (size_t i = 0; i < config->tunnel_count * tunnel->remote_subnets.count; i++) {
        const struct config_tunnel *t = &config->tunnels[i / tunnel->remote_subnets.count];
        int element = (int)(i % tunnel->remote_subnets.count);
        const char *text = tunnel->remote_subnets.items[element];
        struct address_network network;
        const char *ours = t != tunnel && parse(text, &network) && !is_every(text)
                               ? find_overlap(&t->local_subnets, &network)
                               : NULL;
        if (ours && !is_every(ours)) {
            complain(subject, PROBLEM_WARNING, "remote_subnets", element,
                     "%s overlaps %s, which is ours in tunnel %s (%s:%u): an address can be on one "
                     "side only",
                     text, ours, t->name ? t->name : "?", t->place.file, t->place.line);
        }
    }
}

/* Pairs */

static bool has_network(const struct config_strings *list, const struct address_network *network)
{
    for (size_t i = 0; i < list->count; i++) {
        struct address_network other;
        if (parse(list->items[i], &other) && address_same(&other, network)) {
            return true;
        }
    }
    return false;
}

static bool same_networks(const struct config_strings *a, const struct config_strings *b)
{
    const struct config_strings *lists[] = {a, b};
    for (size_t way = 0; way < 2; way++) {
        for (size_t i = 0; i < lists[way]->count; i++) {
            struct address_network network;
            if (parse(lists[way]->items[i], &network) && !has_network(lists[1 - way], &network)) {
                return false;
            }
        }
    }
    return true;
}

/* Somebody else's pair already? NULL: no. */
static const struct config_tunnel *third(const struct config *config,
                                         const struct config_tunnel *tunnel,
                                         const struct config_tunnel *pair)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct config_tunnel *t = &config->tunnels[i];
        bool names = t->pair && ((pair->name && strcmp(t->pair, pair->name) == 0) ||
                                 (tunnel->name && strcmp(t->pair, tunnel->name) == 0));
        if (t != tunnel && t != pair && names) {
            return t;
        }
    }
    return NULL;
}

static void check_pair(const struct subject *subject, const struct config_tunnel *tunnel)
{
    const struct config_tunnel *pair = config_find_tunnel(subject->config, tunnel->pair);
    if (!tunnel->pair) {
        return;
    }
    if (!pair) {
        unknown_reference(subject, "pair", WHOLE, "tunnels", tunnel->pair);
        return;
    }
    if (pair == tunnel) {
        complain(subject, PROBLEM_ERROR, "pair", WHOLE, "is the tunnel itself: name the other one");
        return;
    }
    const struct config_tunnel *other = third(subject->config, tunnel, pair);
    if (other || (pair->pair && tunnel->name && strcmp(pair->pair, tunnel->name) != 0)) {
        complain(subject, PROBLEM_ERROR, "pair", WHOLE,
                 "a pair is two tunnels, and %s has another partner already",
                 other && other->pair && strcmp(other->pair, tunnel->pair) != 0 ? tunnel->name
                                                                                : tunnel->pair);
    } else if (!same_networks(&tunnel->local_subnets, &pair->local_subnets) ||
               !same_networks(&tunnel->remote_subnets, &pair->remote_subnets)) {
        complain(subject, PROBLEM_ERROR, "pair", WHOLE,
                 "%s has other subnets: both tunnels of a pair carry the same, so that either is "
                 "enough",
                 tunnel->pair);
    }
}

/* Two that charon could take for each other when the other side starts */

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* By what charon makes of them: "fw.example", "FW.example" and "dns:fw.example" are one. */
static bool same_id(const char *a, const char *b)
{
    return a == b || (a && b && ike_identity_same(a, b));
}

static void check_twins(const struct subject *subject, const struct config_tunnel *tunnel)
{
    const struct config *config = subject->config;
    for (const struct config_tunnel *t = config->tunnels; t < tunnel; t++) {
        const char *other = t->name ? t->name : "?";
        if (tunnel->remote && same(t->remote, tunnel->remote) && same(t->local, tunnel->local) &&
            same_id(t->remote_id, tunnel->remote_id) && same_id(t->local_id, tunnel->local_id)) {
            complain(subject, PROBLEM_ERROR, "remote", WHOLE,
                     "tunnel %s (%s:%u) has the same ends and identities: charon cannot tell them "
                     "apart. Put all subnets into one tunnel, or give them identities of their own",
                     other, t->place.file, t->place.line);
        }
        if (tunnel->psk_file && t->psk_file && !same(t->psk_file, tunnel->psk_file) &&
            tunnel->remote && t->remote &&
            same_id(config_tunnel_remote_id(t), config_tunnel_remote_id(tunnel)) &&
            strcmp(config_tunnel_remote_id(tunnel), CONFIG_TUNNEL_ANY) != 0) {
            complain(subject, PROBLEM_ERROR, "psk_file", WHOLE,
                     "tunnel %s (%s:%u) has another key for the same other side (%s): charon knows "
                     "keys by the other side's identity. Give them one key, or each a remote_id of "
                     "its own",
                     other, t->place.file, t->place.line, config_tunnel_remote_id(tunnel));
        }
        if (tunnel->psk_file && same(t->psk_file, tunnel->psk_file) &&
            config_tunnel_pair(config, tunnel) != t) {
            complain(subject, PROBLEM_WARNING, "psk_file", WHOLE,
                     "tunnel %s has the same key: each side could pass for the other one. One key "
                     "for each tunnel",
                     other);
        }
    }
}

/* Peers */

/* Inside: fine. Partly: what is outside is never admitted. Outside: nobody ever is. */
static void check_address(const struct subject *subject, int element, const char *text,
                          const struct config_tunnel *tunnel)
{
    struct address_network network, subnet;
    if (address_is_name(text) || !parse(text, &network)) {
        return; /* where a name leads is seen when it connects */
    }
    for (size_t i = 0; i < tunnel->remote_subnets.count; i++) {
        if (parse(tunnel->remote_subnets.items[i], &subnet) && address_holds(&subnet, &network)) {
            return;
        }
    }
    if (find_overlap(&tunnel->remote_subnets, &network)) {
        complain(subject, PROBLEM_WARNING, "addresses", element,
                 "%s is wider than remote_subnets of tunnel %s: the rest of it is never admitted",
                 text, tunnel->name);
    } else if (tunnel->remote_subnets.count > 0) {
        complain(subject, PROBLEM_ERROR, "addresses", element,
                 "%s is outside remote_subnets of tunnel %s (%s:%u) and would never be admitted: "
                 "add it there (on the other side, too), or correct it",
                 text, tunnel->name, tunnel->place.file, tunnel->place.line);
    }
}

static void check_peer(const struct subject *subject, const struct config_peer *peer)
{
    const struct config_tunnel *tunnel = config_find_tunnel(subject->config, peer->tunnel);
    if (peer->tunnel && !tunnel) {
        unknown_reference(subject, "tunnel", WHOLE, "tunnels", peer->tunnel);
    }
    for (size_t i = 0; tunnel && i < peer->addresses.count; i++) {
        check_address(subject, (int)i, peer->addresses.items[i], tunnel);
    }
}

void check_tunnel_networks(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct config_tunnel *tunnel = &config->tunnels[i];
        struct subject subject = {config, problems, config_section("tunnels"), tunnel};
        check_syntax(&subject, "local_subnets", &tunnel->local_subnets);
        check_syntax(&subject, "remote_subnets", &tunnel->remote_subnets);
        check_own(&subject, tunnel);
        check_overlaps(&subject, tunnel);
        check_sides(&subject, tunnel);
        check_pair(&subject, tunnel);
        check_twins(&subject, tunnel);
    }
    for (size_t i = 0; i < config->peer_count; i++) {
        struct subject subject = {config, problems, config_section("peers"), &config->peers[i]};
        check_peer(&subject, &config->peers[i]);
    }
}
