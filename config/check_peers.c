/* peers, each by itself: what it may be recognised by. */
#include "config/address.h"
#include "config/internal.h"

#include <string.h>

static bool used(const struct config *config, const struct config_peer *peer)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_strings *peers = &config->listeners[i].peers;
        for (size_t j = 0; j < peers->count; j++) {
            if (peer->name && strcmp(peers->items[j], peer->name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* True when there is a DNS name among them. */
static bool check_addresses(const struct subject *subject, const struct config_peer *peer)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network network;
    bool names = false;
    for (size_t i = 0; i < peer->addresses.count; i++) {
        const char *text = peer->addresses.items[i];
        bool name = address_is_name(text);
        const char *wrong =
            name ? address_check_name(text, error) : address_parse_network(text, &network, error);
        names = names || name;
        if (wrong) {
            complain(subject, PROBLEM_ERROR, "addresses", (int)i, "%s", wrong);
        } else if (!name && network.bits == 0 && !peer->certificates.present && !peer->tunnel) {
            complain(subject, PROBLEM_WARNING, "addresses", (int)i,
                     "\"%s\" without certificates: anybody may send in this peer's name", text);
        }
    }
    return names;
}

static void check_proofs(const struct subject *subject, const struct config_peer *peer)
{
    char error[SYNTAX_BYTES];
    bool names = check_addresses(subject, peer);
    if (names && !peer->certificates.present && !peer->tunnel) {
        complain(subject, PROBLEM_ERROR, "addresses", WHOLE,
                 "DNS can be forged and is never the only proof: add certificates or a tunnel, or "
                 "write the addresses themselves");
    }
    if (!peer->addresses.present || (peer->addresses.count == 0)) {
        complain(subject, PROBLEM_WARNING, "addresses", WHOLE,
                 "%s: nobody is admitted (write \"0.0.0.0/0\" and \"::/0\" to admit any address)",
                 peer->addresses.present ? "is empty" : "is missing");
    }
    if (peer->certificates.present && peer->certificates.count == 0) {
        complain(subject, PROBLEM_WARNING, "certificates", WHOLE,
                 "is empty: nobody is admitted (leave the line out to demand none)");
    }
    for (size_t i = 0; i < peer->certificates.count; i++) {
        if (syntax_matcher(peer->certificates.items[i], error)) {
            complain(subject, PROBLEM_ERROR, "certificates", (int)i, "%s", error);
        }
    }
}

static void check_facilities(const struct subject *subject, const struct config_peer *peer)
{
    char error[SYNTAX_BYTES];
    if (peer->facilities.present && peer->facilities.count == 0) {
        complain(subject, PROBLEM_ERROR, "facilities", WHOLE,
                 "is empty: list them, or leave the line out to accept any");
    }
    for (size_t i = 0; i < peer->facilities.count; i++) {
        if (syntax_facility(peer->facilities.items[i], error)) {
            complain(subject, PROBLEM_ERROR, "facilities", (int)i, "\"%.80s\" %s",
                     peer->facilities.items[i], error);
        }
    }
}

void check_peers(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config->peer_count; i++) {
        const struct config_peer *peer = &config->peers[i];
        struct subject subject = {config, problems, config_section("peers"), peer};
        check_proofs(&subject, peer);
        check_facilities(&subject, peer);
        if (!used(config, peer)) {
            complain(&subject, PROBLEM_WARNING, NULL, WHOLE, "no listener admits it");
        }
    }
}
