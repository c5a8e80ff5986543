/* For strongSwan: /etc/swanctl/conf.d/NAME.conf. */
#include "ctl/worksheet.h"

#include <inttypes.h>
#include <string.h>

static void print_list(FILE *out, const char *key, const struct config_strings *list)
{
    fprintf(out, "%s = ", key);
    for (size_t i = 0; i < list->count; i++)
        fprintf(out, "%s%s", i > 0 ? "," : "", list->items[i]);
    fputc('\n', out);
}

static void print_auth(const struct worksheet *sheet, const char *side, const char *id,
                       const char *certificate)
{
    FILE *out = sheet->out;

    fprintf(out, "        %s {\n", side);
    fprintf(out, "            auth = %s\n", certificate != NULL ? "pubkey" : "psk");
    if (certificate != NULL)
        fprintf(out, "            %s\n", certificate);
    fprintf(out, "            id = \"%s\"\n        }\n", id);
}

static void print_child(const struct worksheet *sheet, const char *name)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    FILE *out = sheet->out;

    fprintf(out, "        children {\n            %s {\n", name);
    print_list(out, "                local_ts", &tunnel->remote_subnets);
    print_list(out, "                remote_ts", &tunnel->local_subnets);
    print_list(out, "                esp_proposals", &tunnel->esp_proposals);
    fprintf(out, "                rekey_time = %" PRId64 "s\n",
            config_rekey_s(tunnel->esp_lifetime_s));
    fprintf(out, "                life_time = %" PRId64 "s\n", tunnel->esp_lifetime_s);
    if (tunnel->dpd_delay_s > 0)
        fputs("                dpd_action = restart\n", out);
    /* Where we start, a trap on the other side keeps two from being set up at once. */
    fprintf(out, "                start_action = %s\n",
            tunnel->start == CONFIG_START_NONE ? "start" : "trap");
    fputs("            }\n        }\n", out);
}

static void print_secret(const struct worksheet *sheet, const char *name)
{
    fprintf(
        sheet->out,
        "secrets {\n    ike-%s {\n        # Ours alone: with yours beside it, every other partner's key would pass "
        "for ours.\n        id-1 = \"%s\"\n        secret = \"" WORKSHEET_KEY "\"\n    }\n}\n",
        name, sheet->our_id);
}

bool worksheet_swanctl(struct worksheet *sheet)
{
    const struct config_tunnel *tunnel = sheet->tunnel;
    bool psk = tunnel->psk_file != NULL;
    char name[WORKSHEET_NAME_BYTES];
    FILE *out = sheet->out;

    worksheet_heading(sheet, "# ");
    worksheet_plain_name(tunnel->name, WORKSHEET_NAME_BYTES, name);
    fprintf(out, "connections {\n    %s {\n        version = 2\n        mobike = no\n", name);
    fprintf(out, "        local_addrs = %s\n",
            strcmp(tunnel->remote, CONFIG_TUNNEL_ANY) == 0 ? CONFIG_TUNNEL_ANY
                                                           : sheet->your_address);
    fprintf(out, "        remote_addrs = %s\n", sheet->our_address);
    print_list(out, "        proposals", &tunnel->ike_proposals);
    fprintf(out, "        rekey_time = %" PRId64 "s\n", config_rekey_s(tunnel->ike_lifetime_s));
    fprintf(out, "        over_time = %" PRId64 "s\n",
            tunnel->ike_lifetime_s - config_rekey_s(tunnel->ike_lifetime_s));
    if (tunnel->dpd_delay_s > 0)
        fprintf(out, "        dpd_delay = %" PRId64 "s\n", tunnel->dpd_delay_s);
    fputs("        keyingtries = 0\n", out);
    print_auth(sheet, "local", sheet->your_id, psk ? NULL : "certs = YOUR-CERTIFICATE.pem");
    print_auth(sheet, "remote", sheet->our_id,
               psk ? NULL : "cacerts = ROOT-OF-OUR-CERTIFICATE.pem");
    print_child(sheet, name);
    fputs("    }\n}\n", out);
    if (psk)
        print_secret(sheet, name);
    if (tunnel->mss > 0)
        fprintf(
            out,
            "# TCP segments, on the router that the tunnel ends at:\n"
            "#   nft add rule inet FILTER FORWARD tcp flags syn tcp option maxseg size set %d\n",
            tunnel->mss);
    return !sheet->impossible;
}
