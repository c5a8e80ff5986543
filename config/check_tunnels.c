/* tunneld and tunnels, each by itself: ends, credentials, proposals, times, and its pair. */
#include "config/address.h"
#include "config/internal.h"
#include "config/proposal.h"

#include <string.h>
#include <strings.h>
#include <sys/un.h>

void check_tunneld(const struct config *config, struct problems *problems)
{
    const struct config_tunneld *tunneld = &config->tunneld;
    struct subject subject = {config, problems, config_section("tunneld"), tunneld};
    const char *const sockets[][2] = {{"status_socket", tunneld->status_socket},
                                      {"vici_socket", tunneld->vici_socket}};
    size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        if (strlen(sockets[i][1]) > most) {
            complain(
                &subject, PROBLEM_ERROR, sockets[i][0], WHOLE,
                "%s is longer than a socket's name can be (%zu bytes): set it to a shorter one",
                sockets[i][1], most);
        }
    }
    if (strcmp(tunneld->status_socket, tunneld->vici_socket) == 0) {
        complain(&subject, PROBLEM_ERROR, "status_socket", WHOLE,
                 "is vici_socket, too: the gateway must never get at charon's socket");
    }
    if (tunneld->on_unknown == CONFIG_ON_UNKNOWN_CLOSE && was_given(&subject, "hold_s")) {
        complain(&subject, PROBLEM_WARNING, "hold_s", WHOLE,
                 "has no effect: on_unknown = \"close\" holds nothing");
    }
}

/* Ends */

static bool is_host(const char *text, char *ret_error)
{
    struct address_network network;
    if (address_parse_network(text, &network, ret_error)) {
        return false;
    }
    if (strchr(text, '/')) {
        (void)snprintf(ret_error, ADDRESS_ERROR_BYTES,
                       "\"%.80s\" is a network: write the one address", text);
        return false;
    }
    static const uint8_t any[16];
    if (memcmp(network.bytes, any, sizeof any) == 0) {
        (void)snprintf(ret_error, ADDRESS_ERROR_BYTES, "\"%.80s\" is no end of a tunnel", text);
        return false;
    }
    return true;
}

static void check_remote(const struct subject *subject, const struct config_tunnel *tunnel)
{
    char error[ADDRESS_ERROR_BYTES];
    if (!tunnel->remote) {
        return;
    }
    if (strcmp(tunnel->remote, CONFIG_TUNNEL_ANY) == 0) {
        if (tunnel->start != CONFIG_START_NONE) {
            complain(subject, PROBLEM_ERROR, "remote", WHOLE,
                     "\"%%any\" is nowhere to call: set start = \"none\", and let the other side "
                     "start");
        }
        if (!tunnel->remote_id) {
            complain(subject, PROBLEM_ERROR, "remote", WHOLE,
                     "\"%%any\" proves nothing: set remote_id to the identity that the other side "
                     "must have");
        }
    } else if (address_is_name(tunnel->remote)) {
        if (address_check_name(tunnel->remote, error)) {
            complain(subject, PROBLEM_ERROR, "remote", WHOLE, "%s", error);
        }
    } else if (!is_host(tunnel->remote, error)) {
        complain(subject, PROBLEM_ERROR, "remote", WHOLE, "%s", error);
    }
}

/* An address, and behind it one of these: charon makes a range or a network of it. */
static bool is_address_with(const char *id, char mark)
{
    const char *at = strchr(id, mark);
    char first[64], error[ADDRESS_ERROR_BYTES];
    struct address_network network;
    size_t length = at ? (size_t)(at - id) : sizeof first;
    if (length >= sizeof first) {
        return false;
    }
    memcpy(first, id, length);
    first[length] = '\0';
    return !address_parse_network(first, &network, error);
}

/* What charon takes for "whoever it is". */
static bool is_anybody(const char *id)
{
    static const char *const words[] = {CONFIG_TUNNEL_ANY, "%any6", "0.0.0.0", "::", "0::0"};
    size_t length = strlen(id);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(id, words[i]) == 0) {
            return true;
        }
    }
    /* "*.example", "10.0.0.0/8", "10.0.0.1-10.0.0.9" and charon's words for these stand for many;
     * so does "fqdn:^.+$", from 6.0.2; "{0}:x" is %any by its number. */
    return strchr(id, '*') || is_address_with(id, '/') || is_address_with(id, '-') ||
           id[0] == '{' || (strstr(id, ":^") && id[length - 1] == '$') ||
           strncasecmp(id, "ipv4net:", 8) == 0 || strncasecmp(id, "ipv6net:", 8) == 0 ||
           strncasecmp(id, "ipv4range:", 10) == 0 || strncasecmp(id, "ipv6range:", 10) == 0;
}

static bool has_control_character(const char *id)
{
    for (; *id; id++) {
        if ((unsigned char)*id < ' ' || *id == 0x7f) {
            return true;
        }
    }
    return false;
}

/* Identities stand in quotes in the other side's configuration. */
static void check_id(const struct subject *subject, const char *key, const char *id)
{
    if (id && strpbrk(id, "\"\\")) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "has a quote or a backslash in it, which no other side's configuration takes");
    } else if (id && has_control_character(id)) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "has a line's end or another control character in it: write the identity alone");
    } else if (id && is_anybody(id)) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "\"%s\" would let others pass for it: write the one identity", id);
    }
}

/* Behind a NAT our identity would be an address that the other side has never heard of. */
static void check_nat(const struct subject *subject, const struct config_tunnel *tunnel)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network own, other;
    if (!tunnel->local || tunnel->local_id || !tunnel->remote ||
        address_parse_network(tunnel->local, &own, error) || !address_is_private(&own)) {
        return;
    }
    if (address_parse_network(tunnel->remote, &other, error) || !address_is_private(&other)) {
        complain(subject, PROBLEM_WARNING, "local", WHOLE,
                 "%s is private and remote is not: behind a NAT set local_id to our public address "
                 "(or a name), which the other side expects",
                 tunnel->local);
    }
}

static bool is_address(const char *text)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network network;
    return !address_parse_network(text, &network, error);
}

/* With keys clouds have no identity to choose. */
static void check_cloud(const struct subject *subject, const struct config_tunnel *tunnel)
{
    bool cloud = tunnel->preset == CONFIG_PRESET_AWS || tunnel->preset == CONFIG_PRESET_GOOGLE ||
                 tunnel->preset == CONFIG_PRESET_AZURE;
    if (!cloud || !tunnel->psk_file || !tunnel->remote) {
        return;
    }
    if (!is_address(config_tunnel_remote_id(tunnel))) {
        complain(subject, PROBLEM_WARNING, tunnel->remote_id ? "remote_id" : "remote", WHOLE,
                 "AWS, Google and Azure prove their public address and nothing else: %s",
                 is_address(tunnel->remote) ? "leave remote_id out"
                                            : "set remote_id to that address");
    }
    if (tunnel->preset == CONFIG_PRESET_GOOGLE && tunnel->local_id &&
        !is_address(tunnel->local_id)) {
        complain(subject, PROBLEM_WARNING, "local_id", WHOLE,
                 "Google knows us by our public address and nothing else: set local_id to that");
    }
}

static void check_ends(const struct subject *subject, const struct config_tunnel *tunnel)
{
    char error[ADDRESS_ERROR_BYTES];
    check_remote(subject, tunnel);
    if (tunnel->local && !is_host(tunnel->local, error)) {
        complain(subject, PROBLEM_ERROR, "local", WHOLE, "%s", error);
    }
    check_nat(subject, tunnel);
    check_cloud(subject, tunnel);
    check_id(subject, "remote_id", tunnel->remote_id);
    check_id(subject, "local_id", tunnel->local_id);
}

/* Credentials */

static void check_certificate(const struct subject *subject)
{
    static const char *const together[] = {"certificate", "key", "remote_ca"};
    static const char *const ids[][2] = {
        {"remote_id", "whoever has any certificate of remote_ca would be let in: set it to a name "
                      "in the other side's certificate (subjectAltName)"},
        {"local_id", "set it to a name in our certificate (subjectAltName), which the other side "
                     "expects"}};
    const char *first = NULL;
    for (size_t i = 0; i < 3 && !first; i++) {
        first = was_given(subject, together[i]) ? together[i] : NULL;
    }
    for (size_t i = 0; i < 3; i++) {
        if (!was_given(subject, together[i])) {
            complain(subject, PROBLEM_ERROR, first, WHOLE, "needs %s as well", together[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (!was_given(subject, ids[i][0])) {
            complain(subject, PROBLEM_ERROR, first, WHOLE, "needs %s as well: %s", ids[i][0],
                     ids[i][1]);
        }
    }
}

static void check_crl(const struct subject *subject, const struct config_tunnel *tunnel, bool psk)
{
    if (tunnel->crl && psk) {
        complain(subject, PROBLEM_WARNING, "crl", WHOLE,
                 "has no effect: the other side proves itself by the key in psk_file");
    }
    if (tunnel->crl_required && !tunnel->crl) {
        complain(subject, PROBLEM_ERROR, "crl_required", WHOLE,
                 "would refuse the other side always: set crl as well");
    }
}

static void check_credentials(const struct subject *subject, const struct config_tunnel *tunnel)
{
    bool psk = was_given(subject, "psk_file");
    bool certificate = was_given(subject, "certificate") || was_given(subject, "key") ||
                       was_given(subject, "remote_ca");
    if (psk && certificate) {
        complain(subject, PROBLEM_ERROR, "psk_file", WHOLE,
                 "a certificate is set, too: the tunnel proves itself by one of the two");
    } else if (certificate) {
        check_certificate(subject);
    } else if (!psk) {
        complain(subject, PROBLEM_ERROR, NULL, WHOLE,
                 "has neither psk_file nor certificate, key and remote_ca: how would it prove "
                 "itself?");
    }
    check_crl(subject, tunnel, psk);
}

/* Proposals */

static void check_proposal_list(const struct subject *subject, const struct config_tunnel *tunnel,
                                const char *key, enum proposal_protocol protocol,
                                const struct config_strings *proposals)
{
    char error[PROPOSAL_ERROR_BYTES];
    if (was_given(subject, key) && proposals->count == 0) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "is empty: list proposals, or leave the line out for the preset's");
    }
    for (size_t i = 0; i < proposals->count; i++) {
        struct proposal proposal;
        const char *text = proposals->items[i];
        const char *problem =
            proposal_parse(text, protocol, (const char *const *)tunnel->allow_weak.items,
                           tunnel->allow_weak.count, &proposal, error);
        if (problem) {
            complain(subject, PROBLEM_ERROR, key, (int)i, "\"%.100s\": %s", text, problem);
        } else if (protocol == PROPOSAL_ESP && !proposal_next(&proposal, PROPOSAL_GROUP, NULL)) {
            complain(subject, PROBLEM_WARNING, key, (int)i,
                     "\"%.100s\" has no group: without forward secrecy one stolen key opens what "
                     "was recorded before; add ecp384 or modp2048 if the other side can",
                     text);
        }
    }
}

/* "sha1" as a whole word of a proposal. */
static bool has_word(const struct config_strings *proposals, const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i < proposals->count; i++) {
        for (const char *at = proposals->items[i]; at; at = strchr(at, '-')) {
            at += *at == '-' ? 1 : 0;
            if (strncmp(at, word, length) == 0 && (at[length] == '-' || at[length] == '\0')) {
                return true;
            }
        }
    }
    return false;
}

static void check_allow_weak(const struct subject *subject, const struct config_tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->allow_weak.count; i++) {
        const char *name = tunnel->allow_weak.items[i];
        const struct proposal_word *word = proposal_word(name);
        if (!word || !word->weak) {
            complain(subject, PROBLEM_ERROR, "allow_weak", (int)i,
                     "\"%.60s\" is no weak word of a proposal: such are 3des, sha1, modp1024",
                     name);
        } else if (has_word(&tunnel->ike_proposals, name) ||
                   has_word(&tunnel->esp_proposals, name)) {
            complain(subject, PROBLEM_WARNING, "allow_weak", (int)i,
                     "\"%s\" is in use: ask the other side for something stronger", name);
        } else {
            complain(subject, PROBLEM_WARNING, "allow_weak", (int)i,
                     "\"%s\" is in no proposal: leave it out", name);
        }
    }
}

/* Times */

static void check_times(const struct subject *subject, const struct config_tunnel *tunnel)
{
    if (tunnel->esp_lifetime_s > tunnel->ike_lifetime_s) {
        complain(subject, PROBLEM_WARNING,
                 was_given(subject, "esp_lifetime_s") ? "esp_lifetime_s" : "ike_lifetime_s", WHOLE,
                 "ESP keys would live longer (%lld s) than the IKE keys they hang on (%lld s); "
                 "AWS and others refuse that",
                 (long long)tunnel->esp_lifetime_s, (long long)tunnel->ike_lifetime_s);
    }
    if (tunnel->dpd_delay_s == 0 && was_given(subject, "dpd_delay_s")) {
        complain(subject, PROBLEM_WARNING, "dpd_delay_s", WHOLE,
                 "off: a dead other side is noticed when keys are renewed, hours later");
    }
    if (tunnel->mss > 0 && tunnel->mss < 536) {
        complain(subject, PROBLEM_WARNING, "mss", WHOLE,
                 "is less than 536, which every TCP must be able to use");
    }
    if (tunnel->keying_tries > 0 && tunnel->start == CONFIG_START_START) {
        complain(subject, PROBLEM_WARNING, "keying_tries", WHOLE,
                 "after %d attempts nobody tries again until a restart; 0 goes on for ever",
                 tunnel->keying_tries);
    }
}

/* Who rides on it */

static bool is_ridden(const struct config *config, const char *name)
{
    for (size_t i = 0; name && i < config->peer_count; i++) {
        const char *tunnel = config->peers[i].tunnel;
        if (tunnel && strcmp(tunnel, name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_used(const struct subject *subject, const struct config_tunnel *tunnel)
{
    const struct config_tunnel *pair = config_tunnel_pair(subject->config, tunnel);
    if (tunnel->name && !is_ridden(subject->config, tunnel->name) &&
        !(pair && is_ridden(subject->config, pair->name))) {
        complain(subject, PROBLEM_WARNING, NULL, WHOLE,
                 "no peer has it as its tunnel: nobody is tied to it");
    }
}

static void check_count(const struct config *config, struct problems *problems)
{
    struct subject subject = {config, problems, config_section("tunnels"),
                              &config->tunnels[CONFIG_TUNNELS_MAXIMUM]};

    complain(&subject, PROBLEM_ERROR, NULL, WHOLE,
             "there are %zu tunnels; more than %d cannot be told of: this is the first of those",
             config->tunnel_count, CONFIG_TUNNELS_MAXIMUM);
}

void check_tunnels(const struct config *config, struct problems *problems)
{
    if (config->tunnel_count > CONFIG_TUNNELS_MAXIMUM) {
        check_count(config, problems);
        return;
    }
    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct config_tunnel *tunnel = &config->tunnels[i];
        struct subject subject = {config, problems, config_section("tunnels"), tunnel};
        check_ends(&subject, tunnel);
        check_credentials(&subject, tunnel);
        check_proposal_list(&subject, tunnel, "ike_proposals", PROPOSAL_IKE,
                            &tunnel->ike_proposals);
        check_proposal_list(&subject, tunnel, "esp_proposals", PROPOSAL_ESP,
                            &tunnel->esp_proposals);
        check_allow_weak(&subject, tunnel);
        check_times(&subject, tunnel);
        check_used(&subject, tunnel);
    }
}
