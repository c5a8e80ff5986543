#include "admission/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define IPV4_OFFSET 12 /* bytes in front of the IPv4 address in the mapped form */

static const uint8_t mapped_prefix[IPV4_OFFSET] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void key_of_ipv4(const struct in_addr *address, uint8_t ret_key[16])
{
    memcpy(ret_key, mapped_prefix, IPV4_OFFSET);
    memcpy(ret_key + IPV4_OFFSET, address, 4);
}

static bool key_is_ipv4(const uint8_t key[16])
{
    return memcmp(key, mapped_prefix, IPV4_OFFSET) == 0;
}

void address_key(const struct sockaddr *address, uint8_t ret_key[16])
{
    memset(ret_key, 0, 16);
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        key_of_ipv4(&in.sin_addr, ret_key);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        memcpy(ret_key, &in6.sin6_addr, 16);
    }
}

void address_text(const struct sockaddr *address, char ret_text[INET6_ADDRSTRLEN])
{
    uint8_t key[16];

    address_key(address, key);
    if (key_is_ipv4(key)) {
        inet_ntop(AF_INET, key + IPV4_OFFSET, ret_text, INET6_ADDRSTRLEN);
    } else {
        inet_ntop(AF_INET6, key, ret_text, INET6_ADDRSTRLEN);
    }
}

static bool parse_bits(const char *text, unsigned maximum, unsigned *ret_bits)
{
    char *end;
    unsigned long bits;

    if (*text < '0' || *text > '9') {
        return false;
    }
    bits = strtoul(text, &end, 10);
    if (*end != '\0' || bits > maximum) {
        return false;
    }
    *ret_bits = (unsigned)bits;
    return true;
}

bool address_prefix_parse(const char *text, struct address_prefix *ret_prefix)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
    struct address_prefix prefix;
    struct in_addr ipv4;
    unsigned offset = 0;

    if (length == 0 || length >= sizeof(address)) {
        return false;
    }
    memcpy(address, text, length);
    address[length] = '\0';
    if (inet_pton(AF_INET, address, &ipv4) == 1) {
        key_of_ipv4(&ipv4, prefix.key);
        offset = 8 * IPV4_OFFSET;
    } else if (inet_pton(AF_INET6, address, prefix.key) != 1) {
        return false;
    }
    prefix.bits = 128;
    if (slash != NULL) {
        unsigned bits;
        if (!parse_bits(slash + 1, 128 - offset, &bits)) {
            return false;
        }
        prefix.bits = bits + offset;
    }
    *ret_prefix = prefix;
    return true;
}

void address_prefix_of_key(const uint8_t key[16], struct address_prefix *ret_prefix)
{
    memcpy(ret_prefix->key, key, 16);
    ret_prefix->bits = 128;
}

bool address_prefix_holds(const struct address_prefix *prefix, const uint8_t key[16])
{
    unsigned whole = prefix->bits / 8;
    unsigned rest = prefix->bits % 8;
    bool prefix_is_ipv4 = prefix->bits >= 8 * IPV4_OFFSET && key_is_ipv4(prefix->key);

    if (prefix_is_ipv4 != key_is_ipv4(key)) {
        return false;
    }
    if (memcmp(prefix->key, key, whole) != 0) {
        return false;
    }
    return rest == 0 || ((prefix->key[whole] ^ key[whole]) >> (8 - rest)) == 0;
}
