#include "config/ike_identity.h"

#include "config/address.h"

#include <string.h>
#include <strings.h>

struct prefix {
    const char *text;
    enum ike_identity identity;
};

static const struct prefix prefixes[] = {
    {"ipv4:", IKE_IDENTITY_ADDRESS},   {"ipv6:", IKE_IDENTITY_ADDRESS},
    {"rfc822:", IKE_IDENTITY_EMAIL},   {"email:", IKE_IDENTITY_EMAIL},
    {"userfqdn:", IKE_IDENTITY_EMAIL}, {"fqdn:", IKE_IDENTITY_FQDN},
    {"dns:", IKE_IDENTITY_FQDN},       {"asn1dn:", IKE_IDENTITY_DN},
    {"keyid:", IKE_IDENTITY_KEY_ID},   {"@#", IKE_IDENTITY_KEY_ID},
    {"@@", IKE_IDENTITY_EMAIL},        {"@", IKE_IDENTITY_FQDN},
};

static bool parse_address(const char *text, struct address_network *ret_address)
{
    char error[ADDRESS_ERROR_BYTES];

    return strchr(text, '/') == NULL && address_parse_network(text, ret_address, error) == NULL;
}

enum ike_identity ike_identity(const char *id, const char **ret_plain)
{
    struct address_network address;

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t length = strlen(prefixes[i].text);
        if (strncasecmp(id, prefixes[i].text, length) == 0) {
            *ret_plain = id + length;
            return prefixes[i].identity;
        }
    }
    *ret_plain = id;
    if (strchr(id, '=') != NULL)
        return IKE_IDENTITY_DN;
    if (strchr(id, '@') != NULL)
        return IKE_IDENTITY_EMAIL;
    if (parse_address(id, &address))
        return IKE_IDENTITY_ADDRESS;
    return strchr(id, ':') != NULL ? IKE_IDENTITY_KEY_ID : IKE_IDENTITY_FQDN;
}

bool ike_identity_same(const char *a, const char *b)
{
    struct address_network one, other;
    const char *left, *right;
    enum ike_identity identity = ike_identity(a, &left);

    if (ike_identity(b, &right) != identity)
        return false;
    if (identity == IKE_IDENTITY_ADDRESS && parse_address(left, &one) &&
        parse_address(right, &other))
        return address_same(&one, &other);
    /* charon compares names like that, too; keys ids and distinguished names by their bytes. */
    if (identity == IKE_IDENTITY_FQDN || identity == IKE_IDENTITY_EMAIL)
        return strcasecmp(left, right) == 0;
    return strcmp(left, right) == 0;
}
