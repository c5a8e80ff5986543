#include "config/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BITS 96

bool address_is_name(const char *text)
{
    return !strpbrk(text, ":/[]") && strspn(text, "0123456789.") != strlen(text);
}

static bool label_fits(const char *label, size_t length)
{
    if (length < 1 || length > 63 || label[0] == '-' || label[length - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)label[i]) && label[i] != '-' && label[i] != '_') {
            return false;
        }
    }
    return true;
}

static bool name_fits(const char *text)
{
    size_t length = strlen(text);
    const char *label = text;
    while (length <= 253) {
        size_t part = strcspn(label, ".");
        if (!label_fits(label, part)) {
            return false;
        }
        if (label[part] == '\0') {
            /* "10.0.0.l" is a name, "10.0.0.300" is a mistake. */
            return strspn(label, "0123456789") != part;
        }
        label += part + 1;
    }
    return false;
}

const char *address_check_name(const char *text, char ret_error[ADDRESS_ERROR_BYTES])
{
    if (name_fits(text)) {
        return NULL;
    }
    (void)snprintf(ret_error, ADDRESS_ERROR_BYTES, "\"%.80s\" is neither an address nor a DNS name",
                   text);
    return ret_error;
}

static bool parse_host(const char *text, struct address_network *ret_host)
{
    struct address_network host = {.bits = 32};
    if (inet_pton(AF_INET, text, host.bytes) == 1) {
        *ret_host = host;
        return true;
    }
    host.v6 = true;
    host.bits = 128;
    if (inet_pton(AF_INET6, text, host.bytes) == 1) {
        *ret_host = host;
        return true;
    }
    return false;
}

static void unmap(struct address_network *network)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (network->v6 && network->bits >= MAPPED_BITS && memcmp(network->bytes, mapped, 12) == 0) {
        memmove(network->bytes, network->bytes + 12, 4);
        memset(network->bytes + 4, 0, 12);
        network->v6 = false;
        network->bits = (uint8_t)(network->bits - MAPPED_BITS);
    }
}

/* Clears what the mask doesn't cover; true when there was something. */
static bool clear_host_bits(struct address_network *network)
{
    bool found = false;
    for (unsigned i = network->bits; i < (network->v6 ? 128u : 32u); i++) {
        uint8_t bit = (uint8_t)(0x80 >> (i % 8));
        found = found || (network->bytes[i / 8] & bit) != 0;
        network->bytes[i / 8] &= (uint8_t)~bit;
    }
    return found;
}

static const char *not_a_network(const char *text, char *ret_error)
{
    (void)snprintf(ret_error, ADDRESS_ERROR_BYTES,
                   "\"%.80s\" is not an address or network: write \"10.0.0.1\", \"10.0.0.0/24\" or "
                   "\"2001:db8::/32\"",
                   text);
    return ret_error;
}

static bool parse_mask(const char *text, unsigned maximum, uint8_t *ret_bits)
{
    size_t length = strlen(text);
    if (length < 1 || length > 3 || strspn(text, "0123456789") != length) {
        return false;
    }
    unsigned long bits = strtoul(text, NULL, 10);
    *ret_bits = (uint8_t)bits;
    return bits <= maximum;
}

const char *address_parse_network(const char *text, struct address_network *ret_network,
                                  char ret_error[ADDRESS_ERROR_BYTES])
{
    char host[INET6_ADDRSTRLEN], clean[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    struct address_network network;
    if (length >= sizeof host) {
        return not_a_network(text, ret_error);
    }
    memcpy(host, text, length);
    host[length] = '\0';
    if (!parse_host(host, &network) ||
        (slash && !parse_mask(slash + 1, network.bits, &network.bits))) {
        return not_a_network(text, ret_error);
    }
    if (clear_host_bits(&network)) {
        (void)inet_ntop(network.v6 ? AF_INET6 : AF_INET, network.bytes, clean, sizeof clean);
        (void)snprintf(
            ret_error, ADDRESS_ERROR_BYTES,
            "\"%s\" has bits behind its mask: write \"%s/%u\" for the network, or \"%s\" "
            "for the one address",
            text, clean, network.bits, host);
        return ret_error;
    }
    unmap(&network);
    *ret_network = network;
    return NULL;
}

static const char *not_an_endpoint(const char *text, char *ret_error)
{
    (void)snprintf(ret_error, ADDRESS_ERROR_BYTES,
                   "\"%.80s\" is not an address with a port: write \"0.0.0.0:2575\", "
                   "\"127.0.0.1:2575\" or \"[::]:2575\"",
                   text);
    return ret_error;
}

const char *address_parse_endpoint(const char *text, struct address_endpoint *ret_endpoint,
                                   char ret_error[ADDRESS_ERROR_BYTES])
{
    char host[INET6_ADDRSTRLEN];
    struct address_endpoint endpoint;
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[';
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (brackets && (length < 2 || text[length - 1] != ']')) {
        return not_an_endpoint(text, ret_error);
    }
    const char *from = text + (brackets ? 1 : 0);
    length -= brackets ? 2 : 0;
    if (!colon || length < 1 || length >= sizeof host) {
        return not_an_endpoint(text, ret_error);
    }
    memcpy(host, from, length);
    host[length] = '\0';
    size_t digits = strlen(colon + 1);
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (!parse_host(host, &endpoint.host) || endpoint.host.v6 != brackets || digits < 1 ||
        digits > 5 || strspn(colon + 1, "0123456789") != digits || port > UINT16_MAX) {
        return not_an_endpoint(text, ret_error);
    }
    unmap(&endpoint.host);
    endpoint.port = (uint16_t)port;
    *ret_endpoint = endpoint;
    return NULL;
}

bool address_holds(const struct address_network *a, const struct address_network *b)
{
    if (a->v6 != b->v6 || a->bits > b->bits) {
        return false;
    }
    struct address_network cut = *b;
    cut.bits = a->bits;
    (void)clear_host_bits(&cut);
    return memcmp(cut.bytes, a->bytes, a->v6 ? 16 : 4) == 0;
}

bool address_same(const struct address_network *a, const struct address_network *b)
{
    return a->bits == b->bits && address_holds(a, b);
}

bool address_is_private(const struct address_network *network)
{
    static const char *const ranges[] = {"10.0.0.0/8",    "172.16.0.0/12",  "192.168.0.0/16",
                                         "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
                                         "fc00::/7",      "fe80::/10",      "::1"};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        char error[ADDRESS_ERROR_BYTES];
        struct address_network range;
        if (!address_parse_network(ranges[i], &range, error) && address_holds(&range, network)) {
            return true;
        }
    }
    return false;
}
