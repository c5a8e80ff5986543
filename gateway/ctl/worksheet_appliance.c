/* For FortiGate and Cisco ASA: their command lines. */
#include "ctl/worksheet.h"

#include <inttypes.h>
#include <string.h>

#define GROUP WORKSHEET_KIND_BIT(PROPOSAL_GROUP)

static void take_spaced(FILE *out, size_t n, const char *name)
{
    (void)n;
    fprintf(out, " %s", name);
}

/* "aes256gcm-prfsha384 aes256-sha256": each cipher with each of its hashes. ESP's GCM stands alone. */
static void fortigate_proposals(const struct worksheet *sheet, const struct proposal *proposals,
                                size_t count)
{
    FILE *out = sheet->out;

    fputs("        set proposal", out);
    for (size_t i = 0; i < count; i++) {
        const struct proposal *each = &proposals[i];
        bool aead = proposal_next(each, PROPOSAL_AEAD, NULL) != NULL;
        enum proposal_kind ciphers = aead ? PROPOSAL_AEAD : PROPOSAL_ENCRYPTION;
        enum proposal_kind hashes = aead ? PROPOSAL_PRF : PROPOSAL_INTEGRITY;
        for (const struct proposal_word *c = proposal_next(each, ciphers, NULL); c != NULL;
             c = proposal_next(each, ciphers, c)) {
            const char *cipher = worksheet_name(sheet->kind, each->protocol, c);
            const struct proposal_word *h = proposal_next(each, hashes, NULL);
            if (h == NULL)
                fprintf(out, " %s", cipher);
            for (; h != NULL; h = proposal_next(each, hashes, h))
                fprintf(out, " %s-%s", cipher, worksheet_name(sheet->kind, each->protocol, h));
        }
    }
    fputs("\n        set dhgrp", out);
    if (worksheet_each(sheet, proposals, count, GROUP, take_spaced) == 0)
        fputs(" 14", out); /* without PFS it says nothing, but wants to be there */
    fputc('\n', out);
}

#define FORTIGATE_LEAST_S 120
#define FORTIGATE_MOST_S 172800

static int64_t fortigate_s(int64_t lifetime_s)
{
    return worksheet_clamped(lifetime_s, FORTIGATE_LEAST_S, FORTIGATE_MOST_S);
}

/* Its "auto" would send the address of its interface, or a name as it likes. */
static void fortigate_identity(const struct worksheet *sheet)
{
    static const char *const types[] = {
        [IKE_IDENTITY_ADDRESS] = "address", [IKE_IDENTITY_FQDN] = "fqdn",
        [IKE_IDENTITY_EMAIL] = "user-fqdn", [IKE_IDENTITY_KEY_ID] = "keyid",
        [IKE_IDENTITY_DN] = "asn1dn",
    };
    const char *plain;
    enum ike_identity identity = ike_identity(sheet->your_id, &plain);

    if (!worksheet_proves_address(sheet))
        fprintf(sheet->out, "        set localid-type %s\n        set localid \"%s\"\n",
                types[identity], plain);
}

static void fortigate_phase1(const struct worksheet *sheet, const char *name)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    bool v6 = strchr(sheet->our_address, ':') != NULL;
    FILE *out = sheet->out;

    fprintf(out,
            "config vpn ipsec phase1-interface\n    edit \"%s\"\n"
            "        set interface \"WAN-INTERFACE\"\n        set ike-version 2\n%s"
            "        set remote-gw%s %s\n        set net-device disable\n",
            name, v6 ? "        set ip-version 6\n" : "", v6 ? "6" : "", sheet->our_address);
    if (tunnel->psk_file != NULL)
        fprintf(out, "        set peertype any\n        set psksecret " WORKSHEET_KEY "\n");
    else
        fprintf(out,
                "        set authmethod signature\n        set certificate \"YOUR-CERTIFICATE\"\n"
                "        set peertype peer\n        set peer \"PEER-WITH-OUR-CA-AND-CN\"\n");
    fortigate_identity(sheet);
    fortigate_proposals(sheet, sheet->ike, sheet->ike_count);
    fprintf(out, "        set keylife %" PRId64 "\n", fortigate_s(tunnel->ike_lifetime_s));
    if (tunnel->dpd_delay_s > 0)
        fprintf(out, "        set dpd on-idle\n        set dpd-retryinterval %" PRId64 "\n",
                tunnel->dpd_delay_s);
    fputs("    next\nend\n", out);
}

static bool has_group(const struct proposal *proposals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (proposal_next(&proposals[i], PROPOSAL_GROUP, NULL) != NULL)
            return true;
    return false;
}

static void fortigate_networks(FILE *out, const char *ours, const char *yours)
{
    char text[80];
    bool v6 = strchr(ours, ':') != NULL;

    if (v6)
        fputs("        set src-addr-type subnet6\n        set dst-addr-type subnet6\n", out);
    fprintf(out, "        set src-subnet%s %s\n", v6 ? "6" : "", worksheet_masked(yours, text));
    fprintf(out, "        set dst-subnet%s %s\n", v6 ? "6" : "", worksheet_masked(ours, text));
}

/* One for each pair of networks. */
static void fortigate_phase2(const struct worksheet *sheet, const char *name)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    const struct config_strings *yours = &tunnel->remote_subnets, *ours = &tunnel->local_subnets;
    FILE *out = sheet->out;
    size_t number = 0;

    fputs("config vpn ipsec phase2-interface\n", out);
    for (size_t i = 0; i < yours->count * ours->count; i++) {
        const char *your = yours->items[i / ours->count], *our = ours->items[i % ours->count];
        if ((strchr(your, ':') == NULL) != (strchr(our, ':') == NULL))
            continue; /* IPv4 and IPv6 don't talk */
        fprintf(out, "    edit \"%s-%zu\"\n        set phase1name \"%s\"\n", name, ++number, name);
        fortigate_proposals(sheet, sheet->esp, sheet->esp_count);
        fprintf(out, "        set pfs %s\n        set keylifeseconds %" PRId64 "\n",
                has_group(sheet->esp, sheet->esp_count) ? "enable" : "disable",
                fortigate_s(tunnel->esp_lifetime_s));
        fputs("        set auto-negotiate enable\n", out);
        fortigate_networks(out, our, your);
        fputs("    next\n", out);
    }
    fputs("end\n", out);
}

static void fortigate_routes(const struct worksheet *sheet, const char *name)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    FILE *out = sheet->out;
    char text[80];

    for (size_t i = 0; i < tunnel->local_subnets.count; i++) {
        const char *subnet = tunnel->local_subnets.items[i];
        fprintf(out,
                "config router static%s\n    edit 0\n        set dst %s\n        set device "
                "\"%s\"\n    next\nend\n",
                strchr(subnet, ':') != NULL ? "6" : "", worksheet_masked(subnet, text), name);
    }
    fputs("# Then a firewall policy from your networks' interface to this one, without NAT", out);
    if (tunnel->mss > 0)
        fprintf(out, ", with\n#   set tcp-mss-sender %d\n#   set tcp-mss-receiver %d", tunnel->mss,
                tunnel->mss);
    fputc('\n', out);
}

#define FORTIGATE_NAME_BYTES 12 /* of 15 that an interface's name may have: room for "-NN" */

/* "HMAC_SHA2_256_128" and "PRF_HMAC_SHA2_256" */
static bool is_prf_of(const struct proposal_word *prf, const struct proposal_word *hash)
{
    const char *name = prf->charon + strlen("PRF_");

    return strncmp(hash->charon, name, strlen(name)) == 0;
}

/* Its proposals cannot say it: there the hash is the PRF, too. */
static bool has_own_prf(const struct proposal *proposal)
{
    const struct proposal_word *hash = proposal_next(proposal, PROPOSAL_INTEGRITY, NULL);

    for (; hash != NULL; hash = proposal_next(proposal, PROPOSAL_INTEGRITY, hash)) {
        const struct proposal_word *prf = proposal_next(proposal, PROPOSAL_PRF, NULL);
        while (prf != NULL && !is_prf_of(prf, hash))
            prf = proposal_next(proposal, PROPOSAL_PRF, prf);
        if (prf == NULL)
            return true;
    }
    return false;
}

static void fortigate_notes(const struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    FILE *out = sheet->out;

    for (size_t i = 0; i < sheet->ike_count; i++) {
        if (!has_own_prf(&sheet->ike[i]))
            continue;
        fputs("# IKE ", out);
        for (size_t j = 0; j < sheet->ike[i].count; j++)
            fprintf(out, "%s%s", j > 0 ? "-" : "", sheet->ike[i].words[j]->name);
        fputs(": FortiGate's PRF is always the hash; leave the PRF out on our side.\n", out);
    }
    if (tunnel->ike_lifetime_s != fortigate_s(tunnel->ike_lifetime_s) ||
        tunnel->esp_lifetime_s != fortigate_s(tunnel->esp_lifetime_s))
        fprintf(out,
                "# Lifetimes: FortiGate allows %d s to %d s; ours are %" PRId64 " s and %" PRId64
                " s, which works together.\n",
                FORTIGATE_LEAST_S, FORTIGATE_MOST_S, tunnel->ike_lifetime_s,
                tunnel->esp_lifetime_s);
}

bool worksheet_fortigate(struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    char name[WORKSHEET_NAME_BYTES];

    worksheet_heading(sheet, "# ");
    fortigate_notes(sheet);
    if (sheet->impossible)
        return false;
    worksheet_plain_name(tunnel->name, FORTIGATE_NAME_BYTES, name);
    fortigate_phase1(sheet, name);
    fortigate_phase2(sheet, name);
    fortigate_routes(sheet, name);
    return true;
}

/* ---- Cisco ASA ---- */

static void asa_words(const struct worksheet *sheet, const struct proposal *proposal,
                      const char *command, enum proposal_kind kind, const char *otherwise)
{
    const struct proposal_word *word = proposal_next(proposal, kind, NULL);

    fprintf(sheet->out, " %s", command);
    if (word == NULL)
        fprintf(sheet->out, " %s", otherwise);
    for (; word != NULL; word = proposal_next(proposal, kind, word))
        fprintf(sheet->out, " %s", worksheet_name(sheet->kind, proposal->protocol, word));
    fputc('\n', sheet->out);
}

static enum proposal_kind cipher_kind(const struct proposal *proposal)
{
    return proposal_next(proposal, PROPOSAL_AEAD, NULL) != NULL ? PROPOSAL_AEAD
                                                                : PROPOSAL_ENCRYPTION;
}

#define ASA_LEAST_S 120
#define ASA_DPD_LEAST_S 10
#define ASA_DPD_MOST_S 3600

static int64_t asa_s(int64_t lifetime_s)
{
    return lifetime_s < ASA_LEAST_S ? ASA_LEAST_S : lifetime_s;
}

static void asa_policies(const struct worksheet *sheet)
{
    for (size_t i = 0; i < sheet->ike_count; i++) {
        const struct proposal *each = &sheet->ike[i];
        fprintf(sheet->out, "crypto ikev2 policy %zu\n", 10 + i);
        asa_words(sheet, each, "encryption", cipher_kind(each), "");
        asa_words(sheet, each, "integrity", PROPOSAL_INTEGRITY, "null");
        asa_words(sheet, each, "group", PROPOSAL_GROUP, "");
        asa_words(sheet, each, "prf", PROPOSAL_PRF, "");
        fprintf(sheet->out, " lifetime seconds %" PRId64 "\n",
                asa_s(sheet->tunnel->ike_lifetime_s));
    }
    fputs("crypto ikev2 enable OUTSIDE\n", sheet->out);
    for (size_t i = 0; i < sheet->esp_count; i++) {
        const struct proposal *each = &sheet->esp[i];
        fprintf(sheet->out, "crypto ipsec ikev2 ipsec-proposal %s-%zu\n", sheet->tunnel->name,
                i + 1);
        asa_words(sheet, each, "protocol esp encryption", cipher_kind(each), "");
        asa_words(sheet, each, "protocol esp integrity", PROPOSAL_INTEGRITY, "null");
    }
}

static void asa_networks(const struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    const struct config_strings *yours = &tunnel->remote_subnets, *ours = &tunnel->local_subnets;
    char from[80], to[80];

    for (size_t i = 0; i < yours->count; i++)
        for (size_t j = 0; j < ours->count; j++)
            if ((strchr(yours->items[i], ':') == NULL) == (strchr(ours->items[j], ':') == NULL))
                fprintf(sheet->out, "access-list %s extended permit ip %s %s\n", tunnel->name,
                        worksheet_masked(yours->items[i], from),
                        worksheet_masked(ours->items[j], to));
}

static void asa_peer(const struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    FILE *out = sheet->out;
    const char *peer = sheet->our_address;

    fprintf(out, "tunnel-group %s type ipsec-l2l\ntunnel-group %s ipsec-attributes\n", peer, peer);
    if (tunnel->psk_file != NULL)
        fputs(" ikev2 remote-authentication pre-shared-key " WORKSHEET_KEY "\n"
              " ikev2 local-authentication pre-shared-key " WORKSHEET_KEY "\n",
              out);
    else
        fputs(" ikev2 remote-authentication certificate\n"
              " ikev2 local-authentication certificate YOUR-TRUSTPOINT\n",
              out);
    if (tunnel->dpd_delay_s > 0)
        fprintf(out, " isakmp keepalive threshold %" PRId64 " retry 2\n",
                worksheet_clamped(tunnel->dpd_delay_s, ASA_DPD_LEAST_S, ASA_DPD_MOST_S));
}

static void asa_map(const struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    const struct proposal_word *pfs = proposal_next(&sheet->esp[0], PROPOSAL_GROUP, NULL);
    static const char map[] = "crypto map OUTSIDE-MAP 10";
    FILE *out = sheet->out;

    fprintf(out, "%s match address %s\n%s set peer %s\n%s set ikev2 ipsec-proposal", map,
            tunnel->name, map, sheet->our_address, map);
    for (size_t i = 0; i < sheet->esp_count; i++)
        fprintf(out, " %s-%zu", tunnel->name, i + 1);
    fputc('\n', out);
    if (pfs != NULL)
        fprintf(out, "%s set pfs group%s\n", map, worksheet_name(sheet->kind, PROPOSAL_ESP, pfs));
    fprintf(out,
            "%s set security-association lifetime seconds %" PRId64
            "\n%s set security-association lifetime kilobytes unlimited\n"
            "crypto map OUTSIDE-MAP interface OUTSIDE\n",
            map, asa_s(tunnel->esp_lifetime_s), map);
}

/* One for all its tunnels; by default its address with a key, its certificate's name with one. */
static void asa_identity(struct worksheet *sheet)
{
    const char *plain;
    enum ike_identity identity = ike_identity(sheet->your_id, &plain);
    bool psk = sheet->tunnel->psk_file != NULL;
    FILE *out = sheet->out;

    if ((psk && worksheet_proves_address(sheet)) || (!psk && identity == IKE_IDENTITY_DN))
        return;
    if (identity == IKE_IDENTITY_EMAIL || identity == IKE_IDENTITY_DN ||
        (identity == IKE_IDENTITY_ADDRESS && !worksheet_proves_address(sheet))) {
        fprintf(out,
                "! IMPOSSIBLE: ASA cannot prove to be \"%s\": agree on its interface's address or "
                "its host name.\n",
                sheet->your_id);
        sheet->impossible = true;
        return;
    }
    fputs(
        "! \"crypto isakmp identity\" holds for all tunnels of an ASA. Where others need another, "
        "let us expect your address.\n",
        out);
    if (identity == IKE_IDENTITY_ADDRESS)
        fputs("crypto isakmp identity address\n", out);
    else if (identity == IKE_IDENTITY_FQDN)
        fprintf(out,
                "! hostname and domain-name together have to be %s.\n"
                "crypto isakmp identity hostname\n",
                plain);
    else
        fprintf(out, "crypto isakmp identity key-id %s\n", plain);
}

bool worksheet_asa(struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    FILE *out = sheet->out;

    worksheet_heading(sheet, "! ");
    if (sheet->impossible)
        return false;
    fprintf(out, "! Take policy and map numbers that are free. Identity: %s expects \"%s\".\n",
            sheet->config->gateway.name, sheet->your_id);
    asa_identity(sheet);
    if (sheet->impossible)
        return false;
    asa_policies(sheet);
    asa_networks(sheet);
    asa_peer(sheet);
    asa_map(sheet);
    if (tunnel->mss > 0)
        fprintf(out, "sysopt connection tcpmss %d\n", tunnel->mss);
    fputs("! No NAT between these networks: exempt them (nat ... source static ... destination "
          "static ...).\n",
          out);
    return true;
}
