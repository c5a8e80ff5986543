/*
 * Peers as their listener sees them: whether its TLS can prove what they list, and whether two of
 * them could both match one connection (semantics, Admission: that is a configuration error).
 *
 * Peers match together when an address of theirs has the same prefix (the longest prefix decides,
 * so different ones never tie) and one certificate could be both's.
 */
#include "config/address.h"
#include "config/internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* TLS */

/* A bundle that can't be looked into may hold any number of roots. */
static void check_roots(const struct subject *subject, int element, const char *client_ca,
                        const struct config_peer *peer)
{
    size_t roots = 0;
    int result = pem_count(client_ca, &roots);
    if (result < 0 && result != -ENOENT) { /* that it isn't there the file checks say */
        complain(subject, PROBLEM_ERROR, "peers", element,
                 "peer %s has no ca, and how many roots %s holds can't be seen: %s", peer->name,
                 client_ca, result == -EFBIG ? "it is larger than 64 MiB" : strerror(-result));
    } else if (roots > 1) {
        complain(
            subject, PROBLEM_ERROR, "peers", element,
            "peer %s has no ca, and %s trusts %zu roots: any of them could issue its name. Set "
            "the peer's ca to its own root",
            peer->name, client_ca, roots);
    }
}

static void check_certificates(const struct subject *subject, int element,
                               const struct config_tls *tls, const struct config_peer *peer)
{
    if (!tls) {
        complain(subject, PROBLEM_ERROR, "peers", element,
                 "peer %s lists certificates, but this listener has no tls to see one", peer->name);
        return;
    }
    if (tls->client_certificate == CONFIG_CLIENT_CERTIFICATE_OFF) {
        complain(subject, PROBLEM_ERROR, "peers", element,
                 "peer %s lists certificates, but tls %s never asks for one (client_certificate "
                 "is off)",
                 peer->name, tls->name ? tls->name : "?");
        return;
    }
    if (tls->client_ca && !peer->ca && peer->certificates.count > 0) {
        check_roots(subject, element, tls->client_ca, peer);
    }
}

static void check_without(const struct subject *subject, int element, const struct config_tls *tls,
                          const struct config_peer *peer)
{
    bool asks = tls && tls->client_certificate != CONFIG_CLIENT_CERTIFICATE_OFF;
    if (peer->ca && !asks) {
        complain(subject, PROBLEM_ERROR, "peers", element,
                 "peer %s has a ca, but this listener asks for no certificate", peer->name);
    }
}

/* Pairs */

enum tie { TIE_NEVER, TIE_PERHAPS, TIE_CERTAIN };

static enum tie addresses_tie(const char *a, const char *b)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network left, right;
    bool left_name = address_is_name(a), right_name = address_is_name(b);
    if (left_name && right_name) {
        return strcasecmp(a, b) == 0 ? TIE_CERTAIN : TIE_PERHAPS;
    }
    if ((!left_name && address_parse_network(a, &left, error)) ||
        (!right_name && address_parse_network(b, &right, error))) {
        return TIE_NEVER; /* reported already */
    }
    if (!left_name && !right_name) {
        return address_same(&left, &right) ? TIE_CERTAIN : TIE_NEVER;
    }
    /* A name stands for single addresses. */
    const struct address_network *network = left_name ? &right : &left;
    return network->bits == (network->v6 ? 128 : 32) ? TIE_PERHAPS : TIE_NEVER;
}

static enum tie lists_tie(const struct config_peer *a, const struct config_peer *b,
                          size_t *ret_address)
{
    enum tie worst = TIE_NEVER;
    for (size_t i = 0; i < a->addresses.count; i++) {
        for (size_t j = 0; j < b->addresses.count; j++) {
            enum tie tie = addresses_tie(a->addresses.items[i], b->addresses.items[j]);
            if (tie > worst) {
                worst = tie;
                *ret_address = i;
            }
        }
    }
    return worst;
}

/* NULL: no certificate is both's; else why one could be. */
static const char *certificates_tie(const struct config_peer *a, const struct config_peer *b)
{
    bool nobody = (a->certificates.present && a->certificates.count == 0) ||
                  (b->certificates.present && b->certificates.count == 0);
    if (nobody) {
        return NULL;
    }
    if (a->ca && b->ca && strcmp(a->ca, b->ca) != 0 && !pem_overlap(a->ca, b->ca)) {
        return NULL; /* two hospitals may use the same name under roots of their own */
    }
    if (!a->certificates.present || !b->certificates.present) {
        return "one of them lists no certificates";
    }
    for (size_t i = 0; i < a->certificates.count; i++) {
        for (size_t j = 0; j < b->certificates.count; j++) {
            if (syntax_same_matcher(a->certificates.items[i], b->certificates.items[j])) {
                return "they list the same certificate";
            }
        }
    }
    return NULL;
}

static void check_pair(const struct subject *subject, int element, const struct config_peer *a,
                       const struct config_peer *b)
{
    size_t at = 0;
    enum tie tie = lists_tie(a, b, &at);
    const char *why = tie == TIE_NEVER ? NULL : certificates_tie(a, b);
    if (!why) {
        return;
    }
    if (tie == TIE_CERTAIN) {
        complain(subject, PROBLEM_ERROR, "peers", element,
                 "peers %s and %s could both match a connection from %s: %s. Give them different "
                 "addresses or certificates",
                 a->name, b->name, a->addresses.items[at], why);
    } else {
        complain(
            subject, PROBLEM_WARNING, "peers", element,
            "peers %s and %s could both match when DNS gives them one address (%s): %s. Such a "
            "connection is refused",
            a->name, b->name, a->addresses.items[at], why);
    }
}

static void check_listener(const struct subject *subject, const struct config_listener *listener)
{
    const struct config_tls *tls = config_find_tls(subject->config, listener->tls);
    const struct config_peer **peers;
    if (listener->tls && !tls) {
        return; /* reported already */
    }
    /* Each name is looked up once: in the loop over all pairs it would cost minutes for a thousand. */
    peers = memory_take(subject->config->memory, listener->peers.count * sizeof(*peers));
    if (!peers) {
        return; /* memory_failed() says so */
    }
    for (size_t i = 0; i < listener->peers.count; i++) {
        const struct config_peer *peer = peers[i] =
            config_find_peer(subject->config, listener->peers.items[i]);
        if (!peer) {
            continue;
        }
        if (peer->certificates.present) {
            check_certificates(subject, (int)i, tls, peer);
        } else {
            check_without(subject, (int)i, tls, peer);
        }
        for (size_t j = 0; j < i; j++) {
            if (peers[j] && peers[j] != peer) {
                check_pair(subject, (int)i, peers[j], peer);
            }
        }
    }
}

void check_admission(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        struct subject subject = {config, problems, config_section("listeners"), listener};
        check_listener(&subject, listener);
    }
}
