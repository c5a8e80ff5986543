/* What an identity is: the other side has to be told its type, which charon makes out of the text. */
#include "ctl/worksheet.h"

#include "config/address.h"

#include <string.h>
#include <strings.h>

struct prefix {
    const char *text;
    enum worksheet_identity identity;
};

/* charon's, without those that check refuses. */
static const struct prefix prefixes[] = {
    {"ipv4:", WORKSHEET_ADDRESS}, {"ipv6:", WORKSHEET_ADDRESS},   {"rfc822:", WORKSHEET_EMAIL},
    {"email:", WORKSHEET_EMAIL},  {"userfqdn:", WORKSHEET_EMAIL}, {"fqdn:", WORKSHEET_FQDN},
    {"dns:", WORKSHEET_FQDN},     {"asn1dn:", WORKSHEET_DN},      {"keyid:", WORKSHEET_KEY_ID},
    {"@#", WORKSHEET_KEY_ID},     {"@@", WORKSHEET_EMAIL},        {"@", WORKSHEET_FQDN},
};

static bool is_address(const char *text)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network network;

    return strchr(text, '/') == NULL && address_parse_network(text, &network, error) == NULL;
}

enum worksheet_identity worksheet_identity(const char *id, const char **ret_plain)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t length = strlen(prefixes[i].text);
        if (strncasecmp(id, prefixes[i].text, length) == 0) {
            *ret_plain = id + length;
            return prefixes[i].identity;
        }
    }
    *ret_plain = id;
    if (strchr(id, '=') != NULL)
        return WORKSHEET_DN;
    if (strchr(id, '@') != NULL)
        return WORKSHEET_EMAIL;
    if (is_address(id))
        return WORKSHEET_ADDRESS;
    return strchr(id, ':') != NULL ? WORKSHEET_KEY_ID : WORKSHEET_FQDN;
}

bool worksheet_proves_address(const struct worksheet *sheet)
{
    const char *plain, *remote = sheet->tunnel->remote;

    return worksheet_identity(sheet->your_id, &plain) == WORKSHEET_ADDRESS &&
           (strcmp(plain, remote) == 0 || strcmp(remote, CONFIG_TUNNEL_ANY) == 0);
}
