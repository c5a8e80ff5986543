#include "vpn/selector.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BYTES 12
#define PORT_LAST 65535
#define HL7_PORT 2575

static const uint8_t mapped[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

/* --- parsing ------------------------------------------------------------------------------ */

/* A decimal number, digits only. */
static bool parse_number(const char *text, unsigned maximum, unsigned *ret_number)
{
    unsigned number = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (unsigned)(*text - '0');
        if (number > maximum)
            return false;
    }
    *ret_number = number;
    return true;
}

static bool parse_address(const char *text, uint8_t ret_address[16], bool *ret_v6)
{
    uint8_t address[16];

    if (inet_pton(AF_INET, text, address + MAPPED_BYTES) == 1) {
        memcpy(address, mapped, MAPPED_BYTES);
        *ret_v6 = false;
    } else if (inet_pton(AF_INET6, text, address) == 1) {
        *ret_v6 = true;
    } else {
        return false;
    }
    memcpy(ret_address, address, sizeof address);
    return true;
}

static void apply_mask(struct selector *selector, unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = bits <= i * 8 ? 0 : bits - i * 8 >= 8 ? 8 : bits - i * 8;
        uint8_t host = (uint8_t)(0xff >> kept);
        selector->first[i] &= (uint8_t)~host;
        selector->last[i] = selector->first[i] | host;
    }
}

static const char *parse_network(char *text, struct selector *selector)
{
    char *slash = strchr(text, '/');
    unsigned bits = 0;

    if (slash != NULL)
        *slash = '\0';
    if (!parse_address(text, selector->first, &selector->v6))
        return "not an address";
    if (slash == NULL)
        bits = 128;
    else if (!parse_number(slash + 1, selector->v6 ? 128 : 32, &bits))
        return "the mask is not a number of bits that fits";
    else if (!selector->v6)
        bits += 8 * MAPPED_BYTES;
    apply_mask(selector, bits);
    return NULL;
}

static const char *parse_range(char *text, char *separator, size_t length,
                               struct selector *selector)
{
    bool v6;

    *separator = '\0';
    if (!parse_address(text, selector->first, &selector->v6) ||
        !parse_address(separator + length, selector->last, &v6))
        return "a range of something other than addresses";
    if (v6 != selector->v6)
        return "a range from IPv4 to IPv6";
    if (memcmp(selector->first, selector->last, 16) > 0)
        return "a range that ends before it begins";
    return NULL;
}

static const char *parse_addresses(char *text, struct selector *selector)
{
    char *separator = strstr(text, "..");

    if (strcmp(text, "dynamic") == 0) {
        selector->dynamic = true;
        return NULL;
    }
    if (separator != NULL)
        return parse_range(text, separator, 2, selector);
    separator = strchr(text, '-');
    if (separator != NULL)
        return parse_range(text, separator, 1, selector);
    return parse_network(text, selector);
}

static bool parse_protocol(const char *text, uint8_t *ret_protocol)
{
    struct protoent entry, *found = NULL;
    char memory[1024];
    unsigned number;

    if (strcmp(text, "tcp") == 0)
        number = IPPROTO_TCP; /* a container may have no /etc/protocols */
    else if (strcmp(text, "udp") == 0)
        number = IPPROTO_UDP;
    else if (*text == '\0' || strcmp(text, "any") == 0)
        number = 0;
    else if (strcmp(text, "icmp") == 0)
        number = IPPROTO_ICMP;
    else if (strcmp(text, "ipv6-icmp") == 0)
        number = IPPROTO_ICMPV6;
    else if (!parse_number(text, 255, &number)) {
        if (getprotobyname_r(text, &entry, memory, sizeof memory, &found) != 0 || found == NULL)
            return false;
        number = (unsigned)entry.p_proto & 255u;
    }
    *ret_protocol = (uint8_t)number;
    return true;
}

static bool is_icmp(uint8_t protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* "8", "8(5)": type and code. The text may be a piece of a range, and stays as it is. */
static bool parse_icmp(const char *text, uint16_t *ret_port)
{
    char copy[16], *open, *end;
    unsigned type, code = 0;

    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return false;
    open = strchr(copy, '(');
    if (open != NULL) {
        end = open + strlen(open) - 1;
        if (*end != ')')
            return false;
        *open = *end = '\0';
        if (!parse_number(open + 1, 255, &code))
            return false;
    }
    if (!parse_number(copy, 255, &type))
        return false;
    *ret_port = (uint16_t)(type << 8 | code);
    return true;
}

static bool parse_port(const char *text, uint8_t protocol, uint16_t *ret_port)
{
    struct servent entry, *found = NULL;
    char memory[1024];
    unsigned number;

    if (is_icmp(protocol))
        return parse_icmp(text, ret_port);
    if (strcmp(text, "hl7") == 0) {
        number = HL7_PORT; /* charon's /etc/services may have it where ours has not */
    } else if (!parse_number(text, PORT_LAST, &number)) {
        const char *kind = protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : NULL;
        if (getservbyname_r(text, kind, &entry, memory, sizeof memory, &found) != 0 ||
            found == NULL)
            return false;
        number = ntohs((uint16_t)entry.s_port);
    }
    *ret_port = (uint16_t)number;
    return true;
}

static const char *parse_ports(char *text, struct selector *selector)
{
    char *dash = strchr(text, '-');

    if (strcasecmp(text, "opaque") == 0) {
        selector->port_first = PORT_LAST;
        selector->port_last = 0;
        return NULL;
    }
    /* A service's name may have a dash too. */
    if (parse_port(text, selector->protocol, &selector->port_first)) {
        selector->port_last = selector->port_first;
        return NULL;
    }
    if (dash == NULL)
        return "not a port";
    *dash = '\0';
    if (!parse_port(text, selector->protocol, &selector->port_first) ||
        !parse_port(dash + 1, selector->protocol, &selector->port_last))
        return "not a range of ports";
    return selector->port_first > selector->port_last ? "ports that end before they begin" : NULL;
}

/* What stands in the brackets. */
static const char *parse_traffic(char *text, struct selector *selector)
{
    size_t length = strlen(text);
    char *slash;

    if (length == 0 || text[length - 1] != ']')
        return "the closing bracket is missing";
    text[length - 1] = '\0';
    slash = strchr(text, '/');
    if (slash != NULL)
        *slash = '\0';
    if (!parse_protocol(text, &selector->protocol))
        return "not a protocol";
    return slash != NULL ? parse_ports(slash + 1, selector) : NULL;
}

const char *selector_parse(const char *text, size_t length, struct selector *ret_selector)
{
    struct selector selector = {.port_last = PORT_LAST};
    char copy[SELECTOR_TEXT_BYTES], *bracket;
    const char *problem;

    if (length == 0)
        return "empty";
    if (length >= sizeof copy || memchr(text, '\0', length) != NULL)
        return "not a traffic selector";
    memcpy(copy, text, length);
    copy[length] = '\0';
    bracket = strchr(copy, '[');
    if (bracket != NULL) {
        *bracket = '\0';
        problem = parse_traffic(bracket + 1, &selector);
        if (problem != NULL)
            return problem;
    }
    problem = parse_addresses(copy, &selector);
    if (problem == NULL)
        *ret_selector = selector;
    return problem;
}

/* --- printing ----------------------------------------------------------------------------- */

static void print_address(const uint8_t address[16], bool v6, char ret_text[INET6_ADDRSTRLEN])
{
    if (inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? address : address + MAPPED_BYTES, ret_text,
                  INET6_ADDRSTRLEN) == NULL)
        ret_text[0] = '\0';
}

/* The mask's bits, or -1 when the range is no network. */
static int mask_of(const struct selector *selector)
{
    struct selector network = *selector;
    int bits = 0;

    while (bits < 128 &&
           ((selector->first[bits / 8] ^ selector->last[bits / 8]) & (0x80 >> (bits % 8))) == 0)
        bits++;
    apply_mask(&network, (unsigned)bits);
    if (memcmp(network.first, selector->first, 16) != 0 ||
        memcmp(network.last, selector->last, 16) != 0)
        return -1;
    return selector->v6 ? bits : bits - 8 * MAPPED_BYTES;
}

static void print_addresses(const struct selector *selector, char *ret_text, size_t size)
{
    char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];
    int bits = mask_of(selector);

    print_address(selector->first, selector->v6, first);
    print_address(selector->last, selector->v6, last);
    if (selector->dynamic)
        snprintf(ret_text, size, "dynamic");
    else if (bits >= 0)
        snprintf(ret_text, size, "%s/%d", first, bits);
    else
        snprintf(ret_text, size, "%s..%s", first, last);
}

static void print_port(const struct selector *selector, uint16_t port, char *ret_text, size_t size)
{
    unsigned type = port >> 8, code = port & 255;

    if (!is_icmp(selector->protocol))
        snprintf(ret_text, size, "%u", port);
    else if (code == 0)
        snprintf(ret_text, size, "%u", type);
    else
        snprintf(ret_text, size, "%u(%u)", type, code);
}

static void print_ports(const struct selector *selector, char *ret_text, size_t size)
{
    char first[16], last[16];

    print_port(selector, selector->port_first, first, sizeof first);
    print_port(selector, selector->port_last, last, sizeof last);
    if (selector->port_first == 0 && selector->port_last == PORT_LAST)
        ret_text[0] = '\0';
    else if (selector->port_first > selector->port_last)
        snprintf(ret_text, size, "/OPAQUE");
    else if (selector->port_first == selector->port_last)
        snprintf(ret_text, size, "/%s", first);
    else
        snprintf(ret_text, size, "/%s-%s", first, last);
}

static void print_protocol(uint8_t protocol, char *ret_text, size_t size)
{
    switch (protocol) {
    case IPPROTO_TCP:
        snprintf(ret_text, size, "tcp");
        break;
    case IPPROTO_UDP:
        snprintf(ret_text, size, "udp");
        break;
    default:
        snprintf(ret_text, size, "%u", protocol);
    }
}

void selector_print(const struct selector *selector, char ret_text[SELECTOR_TEXT_BYTES])
{
    char addresses[2 * INET6_ADDRSTRLEN + 4], protocol[8], ports[40];

    print_addresses(selector, addresses, sizeof addresses);
    print_protocol(selector->protocol, protocol, sizeof protocol);
    print_ports(selector, ports, sizeof ports);
    if (selector->protocol == 0 && ports[0] == '\0')
        snprintf(ret_text, SELECTOR_TEXT_BYTES, "%s", addresses);
    else
        snprintf(ret_text, SELECTOR_TEXT_BYTES, "%s[%s%s]", addresses, protocol, ports);
}

/* --- deciding ----------------------------------------------------------------------------- */

static bool in_range(const struct selector *selector, const uint8_t address[16])
{
    return memcmp(selector->first, address, 16) <= 0 && memcmp(address, selector->last, 16) <= 0;
}

bool selector_holds(const struct selector *selector, const uint8_t address[16], uint8_t protocol,
                    uint16_t port)
{
    bool v6 = memcmp(address, mapped, MAPPED_BYTES) != 0;

    return !selector->dynamic && selector->v6 == v6 && in_range(selector, address) &&
           (selector->protocol == 0 || selector->protocol == protocol) &&
           selector->port_first <= port && port <= selector->port_last;
}

bool selector_is_same(const struct selector *one, const struct selector *other)
{
    return memcmp(one->first, other->first, 16) == 0 && memcmp(one->last, other->last, 16) == 0 &&
           one->v6 == other->v6 && one->dynamic == other->dynamic &&
           one->protocol == other->protocol && one->port_first == other->port_first &&
           one->port_last == other->port_last;
}

bool selector_carries(const struct selector *selector, const struct selector *wanted)
{
    bool any_port = selector->port_first == 0 && selector->port_last == PORT_LAST;

    return !selector->dynamic && selector->v6 == wanted->v6 &&
           (selector->protocol == 0 || selector->protocol == wanted->protocol) &&
           (any_port ||
            (selector->port_first == wanted->port_first &&
             selector->port_last == wanted->port_last) ||
            (wanted->port_first <= wanted->port_last &&
             selector->port_first <= wanted->port_first &&
             wanted->port_last <= selector->port_last));
}

bool selector_step(uint8_t address[16])
{
    for (unsigned i = 16; i-- > 0;) {
        if (++address[i] != 0)
            return true;
    }
    return false;
}

static int by_first(const void *a, const void *b)
{
    const struct selector *left = a, *right = b;
    return memcmp(left->first, right->first, sizeof left->first);
}

void selector_sort(struct selector *selectors, size_t count)
{
    if (count > 1)
        qsort(selectors, count, sizeof *selectors, by_first);
}

bool selector_is_covered(const struct selector *wanted, const struct selector *installed,
                         size_t count)
{
    uint8_t missing[16]; /* the first address that nothing carries yet */

    if (wanted->dynamic)
        return true;
    memcpy(missing, wanted->first, sizeof missing);
    /* What was passed over ends before, or begins behind: as they are sorted, so do all further ones. */
    for (size_t i = 0; i < count; i++) {
        const struct selector *each = &installed[i];
        if (!selector_carries(each, wanted) || !in_range(each, missing))
            continue;
        memcpy(missing, each->last, sizeof missing);
        if (memcmp(missing, wanted->last, 16) >= 0 || !selector_step(missing))
            return true;
    }
    return false;
}
