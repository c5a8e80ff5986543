/* For AWS, Google and Azure: their command lines. */
#include "ctl/worksheet.h"

#include "config/address.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define ENCRYPTION (WORKSHEET_KIND_BIT(PROPOSAL_ENCRYPTION) | WORKSHEET_KIND_BIT(PROPOSAL_AEAD))
#define INTEGRITY WORKSHEET_KIND_BIT(PROPOSAL_INTEGRITY)
#define PRF WORKSHEET_KIND_BIT(PROPOSAL_PRF)
#define GROUP WORKSHEET_KIND_BIT(PROPOSAL_GROUP)

static void print_joined(FILE *out, const struct config_strings *list, const char *between)
{
    for (size_t i = 0; i < list->count; i++)
        fprintf(out, "%s%s", i > 0 ? between : "", list->items[i]);
}

static bool has_v6(const struct config_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (strchr(list->items[i], ':') != NULL)
            return true;
    return false;
}

/* ---- AWS ---- */

static void take_text_value(FILE *out, size_t n, const char *name)
{
    fprintf(out, "%s{\"Value\": \"%s\"}", n > 0 ? ", " : "", name);
}

static void take_number_value(FILE *out, size_t n, const char *name)
{
    fprintf(out, "%s{\"Value\": %s}", n > 0 ? ", " : "", name);
}

static void aws_list(const struct worksheet *sheet, const char *key,
                     const struct proposal *proposals, size_t count, unsigned kinds)
{
    fprintf(sheet->out, ",\n      \"%s\": [", key);
    worksheet_each(sheet, proposals, count, kinds,
                   kinds == GROUP ? take_number_value : take_text_value);
    fputc(']', sheet->out);
}

#define AWS_LEAST_S 900
#define AWS_IKE_MOST_S 28800
#define AWS_ESP_MOST_S 3600
#define AWS_DPD_LEAST_S 30

static int64_t aws_ike_s(const struct config_tunnel *tunnel)
{
    return worksheet_clamped(tunnel->ike_lifetime_s, AWS_LEAST_S + 1, AWS_IKE_MOST_S);
}

/* Shorter than phase 1, AWS wants. */
static int64_t aws_esp_s(const struct config_tunnel *tunnel)
{
    int64_t shorter = aws_ike_s(tunnel) - 1;

    return worksheet_clamped(tunnel->esp_lifetime_s, AWS_LEAST_S,
                             shorter < AWS_ESP_MOST_S ? shorter : AWS_ESP_MOST_S);
}

/* key: what stands for it */
static void aws_tunnel(const struct worksheet *sheet, const char *key)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    FILE *out = sheet->out;

    fputs("    {", out);
    if (tunnel->psk_file != NULL)
        fprintf(out, "\"PreSharedKey\": \"%s\",\n     ", key);
    fprintf(out,
            " \"IKEVersions\": [{\"Value\": \"ikev2\"}],\n      \"Phase1LifetimeSeconds\": %" PRId64
            ", \"Phase2LifetimeSeconds\": %" PRId64 ",\n      \"DPDTimeoutSeconds\": %" PRId64
            ", \"DPDTimeoutAction\": \"restart\", \"StartupAction\": \"%s\"",
            aws_ike_s(tunnel), aws_esp_s(tunnel),
            worksheet_clamped(tunnel->dpd_delay_s, AWS_DPD_LEAST_S, 3600),
            tunnel->start == CONFIG_START_NONE ? "start" : "add");
    aws_list(sheet, "Phase1EncryptionAlgorithms", sheet->ike, sheet->ike_count, ENCRYPTION);
    /* Its phase 1 "integrity" is the PRF as well. */
    aws_list(sheet, "Phase1IntegrityAlgorithms", sheet->ike, sheet->ike_count, INTEGRITY | PRF);
    aws_list(sheet, "Phase1DHGroupNumbers", sheet->ike, sheet->ike_count, GROUP);
    aws_list(sheet, "Phase2EncryptionAlgorithms", sheet->esp, sheet->esp_count, ENCRYPTION);
    /* AWS wants one even for GCM, which then has no use for it. */
    struct proposal plain = sheet->esp[0];
    bool integrity = false;
    for (size_t i = 0; i < sheet->esp_count; i++)
        integrity = integrity || proposal_next(&sheet->esp[i], PROPOSAL_INTEGRITY, NULL) != NULL;
    if (integrity) {
        aws_list(sheet, "Phase2IntegrityAlgorithms", sheet->esp, sheet->esp_count, INTEGRITY);
    } else {
        plain.words[0] = proposal_word("sha256");
        plain.count = 1;
        aws_list(sheet, "Phase2IntegrityAlgorithms", &plain, 1, INTEGRITY);
    }
    aws_list(sheet, "Phase2DHGroupNumbers", sheet->esp, sheet->esp_count, GROUP);
    fputs("}", out);
}

/* "Local" is the customer gateway's side there: ours. */
static void aws_networks(const struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    bool several = tunnel->local_subnets.count > 1 || tunnel->remote_subnets.count > 1;

    fprintf(sheet->out,
            "  \"StaticRoutesOnly\": true,\n  \"LocalIpv4NetworkCidr\": \"%s\", "
            "\"RemoteIpv4NetworkCidr\": \"%s\",\n",
            several ? "0.0.0.0/0" : tunnel->local_subnets.items[0],
            several ? "0.0.0.0/0" : tunnel->remote_subnets.items[0]);
}

static void aws_notes(const struct worksheet *sheet, const struct config_tunnel *pair)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    FILE *out = sheet->out;

    if (tunnel->local_subnets.count > 1 || tunnel->remote_subnets.count > 1)
        fputs("# AWS takes one network a side: 0.0.0.0/0 lets our side choose ours out of it.\n",
              out);
    if (aws_ike_s(tunnel) != tunnel->ike_lifetime_s || aws_esp_s(tunnel) != tunnel->esp_lifetime_s)
        fprintf(out,
                "# Lifetimes: AWS allows up to %d s and %d s; ours are %" PRId64 " s and %" PRId64
                " s, which works together. Its second must be the shorter one.\n",
                AWS_IKE_MOST_S, AWS_ESP_MOST_S, tunnel->ike_lifetime_s, tunnel->esp_lifetime_s);
    if (tunnel->psk_file == NULL)
        fputs("# Certificates: the customer gateway gets --certificate-arn ARN of one from AWS "
              "Private CA.\n",
              out);
    if (pair == NULL)
        fputs("# AWS makes two tunnels. Tell us the second one's address as well: without it AWS's "
              "maintenance interrupts us.\n",
              out);
    worksheet_mss(sheet, "AWS clamps them itself, at most to");
}

#define AWS_KEY_BYTES (WORKSHEET_NAME_BYTES + 32)

/* Each tunnel of a pair has a key of its own. */
static void aws_pair(const struct worksheet *sheet, const struct config_tunnel *pair,
                     const char *key)
{
    struct worksheet other;

    worksheet_begin(&other, sheet->config, pair, sheet->kind, sheet->out);
    /* Both carry the same traffic, and AWS is asked once: the first one's proposals. */
    memcpy(other.ike, sheet->ike, sizeof other.ike);
    memcpy(other.esp, sheet->esp, sizeof other.esp);
    other.ike_count = sheet->ike_count;
    other.esp_count = sheet->esp_count;
    fputs(",\n", sheet->out);
    aws_tunnel(&other, key);
}

/* What stands for the key of the second tunnel. */
static void aws_pair_key(const struct config_tunnel *tunnel, const struct config_tunnel *pair,
                         char ret_key[AWS_KEY_BYTES])
{
    char name[WORKSHEET_NAME_BYTES];

    snprintf(ret_key, AWS_KEY_BYTES, "%s", WORKSHEET_KEY);
    if (tunnel->psk_file == NULL || pair->psk_file == NULL ||
        strcmp(tunnel->psk_file, pair->psk_file) == 0)
        return;
    worksheet_plain_name(pair->name, WORKSHEET_NAME_BYTES, name);
    for (char *c = name; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    snprintf(ret_key, AWS_KEY_BYTES, "PUT-THE-KEY-OF-%s-HERE", name);
}

bool worksheet_aws(struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    const struct config_tunnel *pair = config_tunnel_pair(sheet->config, tunnel);
    char name[WORKSHEET_NAME_BYTES], pair_key[AWS_KEY_BYTES];
    FILE *out = sheet->out;

    worksheet_heading(sheet, "# ");
    if (has_v6(&tunnel->local_subnets) || has_v6(&tunnel->remote_subnets)) {
        fputs("# IMPOSSIBLE: AWS carries IPv6 in VPN connections of their own "
              "(TunnelInsideIpVersion ipv6).\n",
              out);
        sheet->impossible = true;
    }
    if (sheet->impossible)
        return false;
    aws_notes(sheet, pair);
    if (pair != NULL) {
        aws_pair_key(tunnel, pair, pair_key);
        fprintf(out, "# The second of TunnelOptions is the tunnel %s of ours: its key is %s.\n",
                pair->name, pair_key);
    }
    worksheet_plain_name(sheet->config->gateway.name, WORKSHEET_NAME_BYTES, name);
    fprintf(out,
            "aws ec2 create-customer-gateway --type ipsec.1 --device-name %s --ip-address %s "
            "--bgp-asn 65000\n",
            name, sheet->our_address);
    fputs("cat > options.json <<'END'\n{\n", out);
    aws_networks(sheet);
    fputs("  \"TunnelOptions\": [\n", out);
    aws_tunnel(sheet, WORKSHEET_KEY);
    if (pair != NULL)
        aws_pair(sheet, pair, pair_key);
    fputs("\n  ]\n}\nEND\n", out);
    fputs("aws ec2 create-vpn-connection --type ipsec.1 --customer-gateway-id CUSTOMER-GATEWAY "
          "--vpn-gateway-id VPN-GATEWAY --options file://options.json\n",
          out);
    for (size_t i = 0; i < tunnel->local_subnets.count; i++)
        fprintf(out,
                "aws ec2 create-vpn-connection-route --vpn-connection-id VPN-CONNECTION "
                "--destination-cidr-block %s\n",
                tunnel->local_subnets.items[i]);
    return true;
}

/* ---- Google ---- */

static void take_comma(FILE *out, size_t n, const char *name)
{
    fprintf(out, "%s%s", n > 0 ? "," : "", name);
}

static void google_flag(const struct worksheet *sheet, const char *flag,
                        const struct proposal *proposals, size_t count, unsigned kinds)
{
    bool any = false;

    for (size_t i = 0; i < count && !any; i++)
        for (size_t j = 0; j < proposals[i].count; j++)
            any = any || (kinds & WORKSHEET_KIND_BIT(proposals[i].words[j]->kind)) != 0;
    if (!any)
        return; /* GCM needs no integrity, and has no flag for it */
    fprintf(sheet->out, " \\\n  %s=", flag);
    worksheet_each(sheet, proposals, count, kinds, take_comma);
}

static void google_routes(const struct worksheet *sheet, const char *name)
{
    const struct config_strings *subnets = &sheet->tunnel->local_subnets;

    for (size_t i = 0; i < subnets->count; i++)
        fprintf(sheet->out,
                "gcloud compute routes create %s-%zu --network=NETWORK --destination-range=%s "
                "--next-hop-vpn-tunnel=%s --next-hop-vpn-tunnel-region=REGION\n",
                name, i + 1, subnets->items[i], name);
}

#define GOOGLE_IKE_S 36000
#define GOOGLE_ESP_S 10800

static void google_notes(const struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    FILE *out = sheet->out;

    if (tunnel->ike_lifetime_s != GOOGLE_IKE_S || tunnel->esp_lifetime_s != GOOGLE_ESP_S)
        fprintf(out,
                "# Lifetimes are Google's own, %d s and %d s; ours are %" PRId64 " s and %" PRId64
                " s, which works together.\n",
                GOOGLE_IKE_S, GOOGLE_ESP_S, tunnel->ike_lifetime_s, tunnel->esp_lifetime_s);
    if (sheet->ike_count > 1 || sheet->esp_count > 1)
        fputs("# Google changes its mind at rekeying where it has a choice: better one cipher for "
              "each role.\n",
              out);
    fputs("# A policy-based Classic VPN tunnel: an HA VPN gateway takes routes by BGP only.\n",
          out);
    worksheet_mss(sheet, "your VMs' MTU should be 1460; clamp segments to");
    fputs("# Dead peer detection, fragmentation and MSS are Google's own.\n", out);
}

#define GOOGLE_NAME_BYTES 56 /* of 63, "vpn-" and a route's "-12" included */

/* It begins with a letter there. */
static void google_name(const char *tunnel, char ret_name[WORKSHEET_NAME_BYTES])
{
    char name[WORKSHEET_NAME_BYTES];

    worksheet_plain_name(tunnel, GOOGLE_NAME_BYTES, name);
    snprintf(ret_name, WORKSHEET_NAME_BYTES, "%s%.*s",
             isalpha((unsigned char)name[0]) ? "" : "vpn-", GOOGLE_NAME_BYTES, name);
}

bool worksheet_google(struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    char name[WORKSHEET_NAME_BYTES];
    FILE *out = sheet->out;

    worksheet_heading(sheet, "# ");
    if (tunnel->psk_file == NULL) {
        fputs("# IMPOSSIBLE: Google takes pre-shared keys only, no certificates.\n", out);
        sheet->impossible = true;
    }
    if (has_v6(&tunnel->local_subnets) || has_v6(&tunnel->remote_subnets) ||
        strchr(sheet->our_address, ':') != NULL) {
        fputs("# IMPOSSIBLE: Classic VPN, which alone takes fixed networks, has no IPv6.\n", out);
        sheet->impossible = true;
    }
    if (sheet->impossible)
        return false;
    google_notes(sheet);
    google_name(tunnel->name, name);
    fprintf(out, "# The key stands in the file " WORKSHEET_KEY ", in one line.\n");
    fprintf(out,
            "gcloud compute vpn-tunnels create %s --region=REGION --target-vpn-gateway=GATEWAY \\\n"
            "  --peer-address=%s --ike-version=2 --shared-secret=\"$(cat " WORKSHEET_KEY
            ")\" \\\n  --local-traffic-selector=",
            name, sheet->our_address);
    print_joined(out, &tunnel->remote_subnets, ",");
    fputs(" --remote-traffic-selector=", out);
    print_joined(out, &tunnel->local_subnets, ",");
    google_flag(sheet, "--phase1-encryption", sheet->ike, sheet->ike_count, ENCRYPTION);
    google_flag(sheet, "--phase1-integrity", sheet->ike, sheet->ike_count, INTEGRITY);
    google_flag(sheet, "--phase1-prf", sheet->ike, sheet->ike_count, PRF);
    google_flag(sheet, "--phase1-dh", sheet->ike, sheet->ike_count, GROUP);
    google_flag(sheet, "--phase2-encryption", sheet->esp, sheet->esp_count, ENCRYPTION);
    google_flag(sheet, "--phase2-integrity", sheet->esp, sheet->esp_count, INTEGRITY);
    google_flag(sheet, "--phase2-pfs", sheet->esp, sheet->esp_count, GROUP);
    fputc('\n', out);
    google_routes(sheet, name);
    return true;
}

/* ---- Azure ---- */

static const char *azure_word(const struct proposal *proposal, enum proposal_kind kind)
{
    const struct proposal_word *word = proposal_next(proposal, kind, NULL);

    return word == NULL ? NULL : worksheet_name(WORKSHEET_AZURE, proposal->protocol, word);
}

#define AZURE_ESP_LEAST_S 300
#define AZURE_ESP_MOST_S 172799

static int64_t azure_esp_s(const struct config_tunnel *tunnel)
{
    return worksheet_clamped(tunnel->esp_lifetime_s, AZURE_ESP_LEAST_S, AZURE_ESP_MOST_S);
}

/* The first of each: a connection has one policy. */
static void azure_policy(const struct worksheet *sheet, const char *name)
{
    const struct proposal *ike = &sheet->ike[0], *esp = &sheet->esp[0];
    const char *ike_aead = azure_word(ike, PROPOSAL_AEAD),
               *esp_aead = azure_word(esp, PROPOSAL_AEAD);
    const char *pfs = azure_word(esp, PROPOSAL_GROUP);

    fprintf(
        sheet->out,
        "az network vpn-connection ipsec-policy add --resource-group GROUP --connection-name %s "
        "\\\n  --ike-encryption %s --ike-integrity %s --dh-group %s \\\n  --ipsec-encryption %s "
        "--ipsec-integrity %s --pfs-group %s \\\n  --sa-lifetime %" PRId64
        " --sa-max-size 102400000\n",
        name, ike_aead != NULL ? ike_aead : azure_word(ike, PROPOSAL_ENCRYPTION),
        azure_word(ike, ike_aead != NULL ? PROPOSAL_PRF : PROPOSAL_INTEGRITY),
        azure_word(ike, PROPOSAL_GROUP),
        esp_aead != NULL ? esp_aead : azure_word(esp, PROPOSAL_ENCRYPTION),
        esp_aead != NULL ? esp_aead : azure_word(esp, PROPOSAL_INTEGRITY),
        pfs != NULL ? pfs : "None", azure_esp_s(sheet->tunnel));
}

#define AZURE_IKE_S 28800

bool worksheet_azure(struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    char name[WORKSHEET_NAME_BYTES];
    FILE *out = sheet->out;

    worksheet_heading(sheet, "# ");
    if (tunnel->psk_file == NULL)
        fputs("# Certificates: Azure takes them in its portal only; the rest is as here.\n", out);
    if (sheet->impossible)
        return false;
    worksheet_plain_name(tunnel->name, 60, name);
    if (sheet->ike_count > 1 || sheet->esp_count > 1)
        fputs("# A connection has one policy there: the first of our proposals.\n", out);
    if (tunnel->ike_lifetime_s != AZURE_IKE_S)
        fprintf(out,
                "# IKE keys live %d s there, which can't be set; ours %" PRId64
                " s, which works together.\n",
                AZURE_IKE_S, tunnel->ike_lifetime_s);
    if (tunnel->esp_lifetime_s != azure_esp_s(tunnel))
        fprintf(out,
                "# ESP keys live %d s to %d s there; ours %" PRId64 " s, which works together.\n",
                AZURE_ESP_LEAST_S, AZURE_ESP_MOST_S, tunnel->esp_lifetime_s);
    fputs("# Your networks are the virtual network's address space, which has to be just: ", out);
    print_joined(out, &tunnel->remote_subnets, ", ");
    fputc('\n', out);
    worksheet_mss(sheet, "clamp them to");
    if (tunnel->psk_file != NULL)
        fprintf(out, "# The key stands in the file " WORKSHEET_KEY ", in one line.\n");
    fprintf(out,
            "az network local-gateway create --resource-group GROUP --name %s "
            "--gateway-ip-address %s --local-address-prefixes ",
            name, sheet->our_address);
    print_joined(out, &tunnel->local_subnets, " ");
    fprintf(out,
            "\naz network vpn-connection create --resource-group GROUP --name %s --vnet-gateway1 "
            "GATEWAY --local-gateway2 %s%s\n",
            name, name,
            tunnel->psk_file != NULL ? " --shared-key \"$(cat " WORKSHEET_KEY ")\"" : "");
    azure_policy(sheet, name);
    fprintf(out,
            "az network vpn-connection update --resource-group GROUP --name %s "
            "--use-policy-based-traffic-selectors true",
            name);
    if (tunnel->dpd_delay_s > 0)
        fprintf(out, " --set dpdTimeoutSeconds=%" PRId64,
                worksheet_clamped(tunnel->dpd_delay_s, 9, 3600));
    fputc('\n', out);
    return true;
}
