/* What all worksheets share, and the one in words. */
#include "ctl/worksheet.h"

#include "config/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

const char *const worksheet_kind_names[WORKSHEET_KINDS] = {
    [WORKSHEET_WORDS] = "words", [WORKSHEET_SWANCTL] = "swanctl",
    [WORKSHEET_AWS] = "aws",     [WORKSHEET_GOOGLE] = "google",
    [WORKSHEET_AZURE] = "azure", [WORKSHEET_FORTIGATE] = "fortigate",
    [WORKSHEET_ASA] = "asa",
};

/* ---- preparation ---- */

static bool is_any(const char *address)
{
    return strcmp(address, CONFIG_TUNNEL_ANY) == 0;
}

static bool is_address(const char *text, bool *ret_private)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network network;

    if (text == NULL || address_parse_network(text, &network, error) != NULL)
        return false;
    *ret_private = address_is_private(&network);
    return true;
}

/* The public address, where a NAT is between and we know it; NULL: only they or we can find out. */
static const char *our_public_address(const struct config_tunnel *tunnel)
{
    bool own_private = false, other_private = false, id_private = false;

    if (is_address(tunnel->local_id, &id_private))
        return tunnel->local_id;
    if (!is_address(tunnel->local, &own_private))
        return NULL;
    bool other_known = is_address(tunnel->remote, &other_private);
    return own_private && !(other_known && other_private) ? NULL : tunnel->local;
}

void worksheet_begin(struct worksheet *sheet, const struct config *config,
                     const struct config_tunnel *tunnel, enum worksheet_kind kind, FILE *out)
{
    *sheet = (struct worksheet){.config = config, .tunnel = tunnel, .kind = kind, .out = out};
    snprintf(sheet->our_placeholder, sizeof sheet->our_placeholder, "ADDRESS-OF-%s",
             config->gateway.name);
    for (char *c = sheet->our_placeholder; *c != '\0'; c++)
        *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '-';
    sheet->your_address = is_any(tunnel->remote) ? "YOUR-ADDRESS" : tunnel->remote;
    sheet->our_address = our_public_address(tunnel);
    if (sheet->our_address == NULL)
        sheet->our_address = sheet->our_placeholder;
    sheet->your_id = tunnel->remote_id != NULL ? tunnel->remote_id : sheet->your_address;
    sheet->our_id = tunnel->local_id != NULL ? tunnel->local_id
                    : tunnel->local != NULL  ? tunnel->local
                                             : sheet->our_address;
}

static void take_proposals(struct worksheet *sheet, const char *mark,
                           enum proposal_protocol protocol, const struct config_strings *from,
                           struct proposal *proposals, size_t *count)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    const char *ike = protocol == PROPOSAL_IKE ? "IKE" : "ESP";

    for (size_t i = 0; i < from->count; i++) {
        char error[PROPOSAL_ERROR_BYTES];
        struct proposal proposal;
        if (proposal_parse(from->items[i], protocol, (const char *const *)tunnel->allow_weak.items,
                           tunnel->allow_weak.count, &proposal, error) != NULL)
            continue; /* a configuration with errors has no worksheet */
        const char *misfit = worksheet_misfit(sheet->kind, &proposal);
        if (misfit != NULL)
            fprintf(sheet->out, "%sLeft out: %s %s: %s has no word for %s.\n", mark, ike,
                    from->items[i], worksheet_kind_names[sheet->kind], misfit);
        else if (*count == WORKSHEET_PROPOSALS)
            fprintf(sheet->out, "%sLeft out: %s %s: too many.\n", mark, ike, from->items[i]);
        else
            proposals[(*count)++] = proposal;
    }
    if (*count == 0) {
        fprintf(sheet->out,
                "%sIMPOSSIBLE: none of our %s proposals is left; others have to be "
                "agreed on.\n",
                mark, ike);
        sheet->impossible = true;
    }
}

void worksheet_heading(struct worksheet *sheet, const char *mark)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    const char *us = sheet->config->gateway.name;

    fprintf(sheet->out, "%sTunnel %s to %s, as your side sets it up%s%s.\n", mark, tunnel->name, us,
            sheet->kind == WORKSHEET_WORDS ? "" : ": ",
            sheet->kind == WORKSHEET_WORDS ? "" : worksheet_kind_names[sheet->kind]);
    fprintf(sheet->out, "%sWords in capitals are yours to fill in.\n", mark);
    if (tunnel->psk_file != NULL)
        fprintf(sheet->out,
                "%s%s: whoever runs %s has the pre-shared key. Let them tell it to you; never by "
                "e-mail.\n",
                mark, WORKSHEET_KEY, us);
    take_proposals(sheet, mark, PROPOSAL_IKE, &tunnel->ike_proposals, sheet->ike,
                   &sheet->ike_count);
    take_proposals(sheet, mark, PROPOSAL_ESP, &tunnel->esp_proposals, sheet->esp,
                   &sheet->esp_count);
}

void worksheet_mss(const struct worksheet *sheet, const char *text)
{
    if (sheet->tunnel->mss > 0)
        fprintf(sheet->out, "# TCP segments: %s %d bytes.\n", text, sheet->tunnel->mss);
}

bool worksheet_proves_address(const struct worksheet *sheet)
{
    const char *plain, *remote = sheet->tunnel->remote;

    return ike_identity(sheet->your_id, &plain) == IKE_IDENTITY_ADDRESS &&
           (is_any(remote) || ike_identity_same(plain, remote));
}

int64_t worksheet_clamped(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

const char *worksheet_masked(const char *subnet, char ret_text[80])
{
    char error[ADDRESS_ERROR_BYTES], host[INET6_ADDRSTRLEN], mask[INET_ADDRSTRLEN];
    struct address_network network;

    if (address_parse_network(subnet, &network, error) != NULL || network.v6) {
        snprintf(ret_text, 80, "%s", subnet);
        return ret_text;
    }
    uint32_t bits = htonl(network.bits == 0 ? 0 : ~UINT32_C(0) << (32 - network.bits));
    inet_ntop(AF_INET, network.bytes, host, sizeof host);
    inet_ntop(AF_INET, &bits, mask, sizeof mask);
    snprintf(ret_text, 80, "%s %s", host, mask);
    return ret_text;
}

/* ---- in words ---- */

static void print_subnets(FILE *out, const char *whose, const struct config_strings *subnets)
{
    fprintf(out, "  %-20s", whose);
    for (size_t i = 0; i < subnets->count; i++)
        fprintf(out, "%s%s", i > 0 ? ", " : "", subnets->items[i]);
    fputc('\n', out);
}

static void print_proposals(FILE *out, const struct proposal *proposals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct proposal *each = &proposals[i];
        fprintf(out, "  %zu. ", i + 1);
        for (size_t j = 0; j < each->count; j++)
            fprintf(out, "%s%s", j > 0 ? ", " : "",
                    worksheet_name(WORKSHEET_WORDS, each->protocol, each->words[j]));
        fputc('\n', out);
    }
}

/* "TCP port 2575" of the listeners whose peers come through it. */
static void print_ports(const struct worksheet *sheet)
{
    const struct config *config = sheet->config;
    const struct config_tunnel *pair = config_tunnel_pair(config, sheet->tunnel);

    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        bool rides = false;
        for (size_t j = 0; j < listener->peers.count && !rides; j++) {
            const struct config_peer *peer = config_find_peer(config, listener->peers.items[j]);
            rides = peer != NULL && peer->tunnel != NULL &&
                    (strcmp(peer->tunnel, sheet->tunnel->name) == 0 ||
                     (pair != NULL && strcmp(peer->tunnel, pair->name) == 0));
        }
        if (rides)
            fprintf(sheet->out, "  %-20sHL7 over MLLP%s to %s in our networks, TCP\n", "it carries",
                    listener->tls != NULL ? " with TLS" : "", listener->address);
    }
}

static void print_identity(FILE *out, const char *whose, const char *id)
{
    static const char *const types[] = {
        [IKE_IDENTITY_ADDRESS] = "",
        [IKE_IDENTITY_FQDN] = " (FQDN)",
        [IKE_IDENTITY_EMAIL] = " (user FQDN)",
        [IKE_IDENTITY_KEY_ID] = " (key id)",
        [IKE_IDENTITY_DN] = " (distinguished name)",
    };
    const char *plain;
    enum ike_identity identity = ike_identity(id, &plain);

    fprintf(out, "  %-20s%s%s\n", whose, plain, types[identity]);
}

static void print_ends(const struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    FILE *out = sheet->out;

    fputs("\nEnds\n", out);
    fprintf(out, "  %-20s%s\n", "your address",
            is_any(tunnel->remote) ? "any; you call us" : tunnel->remote);
    fprintf(out, "  %-20s%s\n", "our address", sheet->our_address);
    print_identity(out, "your identity", sheet->your_id);
    print_identity(out, "our identity", sheet->our_id);
    if (tunnel->psk_file != NULL) {
        fprintf(out, "  %-20spre-shared key: " WORKSHEET_KEY "\n", "proof");
    } else {
        fprintf(out, "  %-20scertificates (RSA or ECDSA signatures)\n", "proof");
        fprintf(out, "  %-20sone with your identity as subjectAltName, from the CA we trust\n",
                "your certificate");
        fprintf(out, "  %-20sask us for the root that ours comes from, and trust that one\n",
                "our certificate");
    }
    fprintf(out, "  %-20s%s\n", "who sets it up",
            tunnel->start == CONFIG_START_START  ? "we do, at once; you may, too"
            : tunnel->start == CONFIG_START_TRAP ? "whoever has something to send"
                                                 : "you do; we wait");
    fprintf(out, "  %-20sUDP 500 and 4500, and ESP (IP protocol 50), both ways between the ends\n",
            "your firewall");
}

void worksheet_words(struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    const struct config_tunnel *pair = config_tunnel_pair(sheet->config, tunnel);
    FILE *out = sheet->out;

    worksheet_heading(sheet, "");
    print_ends(sheet);
    fputs("\nNetworks (traffic selectors, proxy ids), just these on both sides\n", out);
    print_subnets(out, "your networks", &tunnel->remote_subnets);
    print_subnets(out, "our networks", &tunnel->local_subnets);
    print_ports(sheet);
    fputs("\nIKE (phase 1): IKEv2, any of these, the first we like best\n", out);
    print_proposals(out, sheet->ike, sheet->ike_count);
    fprintf(out, "  %-20s%" PRId64 " s\n", "lifetime", tunnel->ike_lifetime_s);
    fputs("\nESP (phase 2): tunnel mode; the DH group is for perfect forward secrecy\n", out);
    print_proposals(out, sheet->esp, sheet->esp_count);
    fprintf(out, "  %-20s%" PRId64 " s, no limit of bytes\n", "lifetime", tunnel->esp_lifetime_s);
    fputs("\nAnd\n", out);
    if (tunnel->dpd_delay_s > 0)
        fprintf(out, "  %-20safter %" PRId64 " s of silence, then set up again\n",
                "dead peer detection", tunnel->dpd_delay_s);
    if (tunnel->mss > 0)
        fprintf(out, "  %-20sclamp TCP segments to %d bytes\n", "MSS", tunnel->mss);
    if (pair != NULL)
        fprintf(out, "  %-20s%s: the second tunnel to the same networks, with a sheet of its own\n",
                "pair", pair->name);
}

/* ---- */

bool worksheet_print(const struct config *config, const struct config_tunnel *tunnel,
                     enum worksheet_kind kind, FILE *out)
{
    static bool (*const printers[WORKSHEET_KINDS])(struct worksheet *) = {
        [WORKSHEET_SWANCTL] = worksheet_swanctl,     [WORKSHEET_AWS] = worksheet_aws,
        [WORKSHEET_GOOGLE] = worksheet_google,       [WORKSHEET_AZURE] = worksheet_azure,
        [WORKSHEET_FORTIGATE] = worksheet_fortigate, [WORKSHEET_ASA] = worksheet_asa,
    };
    struct worksheet sheet;

    worksheet_begin(&sheet, config, tunnel, kind, out);
    if (printers[kind] != NULL)
        return printers[kind](&sheet);
    worksheet_words(&sheet);
    return true;
}
