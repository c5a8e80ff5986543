#include "admission/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define V1_MAXIMUM 107
#define V2_HEADER 16

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static bool starts_like(struct span data, const char *signature, size_t length)
{
    size_t compare = data.length < length ? data.length : length;
    return memcmp(data.data, signature, compare) == 0;
}

/* ---- version 1: one line of text ---- */

struct words {
    char text[V1_MAXIMUM + 1];
    char *word[6];
    size_t count;
};

static bool split_words(struct span line, struct words *ret_words)
{
    ret_words->count = 0;
    memcpy(ret_words->text, line.data, line.length);
    ret_words->text[line.length] = '\0';
    if (strlen(ret_words->text) != line.length) {
        return false; /* a NUL inside */
    }
    for (char *p = ret_words->text; p != NULL;) {
        char *space = strchr(p, ' ');
        if (ret_words->count == 6) {
            return false;
        }
        ret_words->word[ret_words->count++] = p;
        if (space != NULL) {
            *space++ = '\0';
        }
        p = space;
    }
    return true;
}

static bool parse_port(const char *text, in_port_t *ret_port)
{
    char *end;
    unsigned long port;

    if (*text < '0' || *text > '9') {
        return false;
    }
    port = strtoul(text, &end, 10);
    if (*end != '\0' || port > 65535) {
        return false;
    }
    *ret_port = htons((uint16_t)port);
    return true;
}

static bool parse_endpoint(int family, const char *address, const char *port,
                           struct sockaddr_storage *ret_endpoint)
{
    memset(ret_endpoint, 0, sizeof(*ret_endpoint));
    if (family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        if (inet_pton(AF_INET, address, &in.sin_addr) != 1 || !parse_port(port, &in.sin_port)) {
            return false;
        }
        memcpy(ret_endpoint, &in, sizeof(in));
    } else {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        if (inet_pton(AF_INET6, address, &in6.sin6_addr) != 1 ||
            !parse_port(port, &in6.sin6_port)) {
            return false;
        }
        memcpy(ret_endpoint, &in6, sizeof(in6));
    }
    return true;
}

static enum proxy_result parse_v1_line(struct span line, struct sockaddr_storage *ret_source,
                                       struct sockaddr_storage *ret_destination)
{
    struct words words;
    int family;

    /* Whatever may follow UNKNOWN is to be ignored (2.1). */
    if (line.length >= 13 && memcmp(line.data, "PROXY UNKNOWN", 13) == 0 &&
        (line.length == 13 || line.data[13] == ' ')) {
        return PROXY_LOCAL;
    }
    if (!split_words(line, &words) || words.count < 2) {
        return PROXY_INVALID;
    }
    if (strcmp(words.word[1], "TCP4") == 0) {
        family = AF_INET;
    } else if (strcmp(words.word[1], "TCP6") == 0) {
        family = AF_INET6;
    } else {
        return PROXY_INVALID;
    }
    if (words.count != 6 || !parse_endpoint(family, words.word[2], words.word[4], ret_source) ||
        !parse_endpoint(family, words.word[3], words.word[5], ret_destination)) {
        return PROXY_INVALID;
    }
    return PROXY_COMPLETE;
}

static enum proxy_result parse_v1(struct span data, struct sockaddr_storage *ret_source,
                                  struct sockaddr_storage *ret_destination, size_t *ret_used)
{
    size_t window = data.length < V1_MAXIMUM ? data.length : V1_MAXIMUM;
    const char *lf = memchr(data.data, '\n', window);
    size_t length;

    if (lf == NULL) {
        return data.length < V1_MAXIMUM ? PROXY_NEED_MORE : PROXY_INVALID;
    }
    length = (size_t)(lf - data.data);
    if (length == 0 || data.data[length - 1] != '\r') {
        return PROXY_INVALID;
    }
    *ret_used = length + 1;
    return parse_v1_line(span_of(data.data, length - 1), ret_source, ret_destination);
}

/* ---- version 2: binary ---- */

static void endpoint_ipv4(const uint8_t *address, const uint8_t *port,
                          struct sockaddr_storage *ret_endpoint)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    memcpy(&in.sin_addr, address, 4);
    memcpy(&in.sin_port, port, 2);
    memset(ret_endpoint, 0, sizeof(*ret_endpoint));
    memcpy(ret_endpoint, &in, sizeof(in));
}

static void endpoint_ipv6(const uint8_t *address, const uint8_t *port,
                          struct sockaddr_storage *ret_endpoint)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    memcpy(&in6.sin6_addr, address, 16);
    memcpy(&in6.sin6_port, port, 2);
    memset(ret_endpoint, 0, sizeof(*ret_endpoint));
    memcpy(ret_endpoint, &in6, sizeof(in6));
}

static enum proxy_result parse_v2(struct span data, struct sockaddr_storage *ret_source,
                                  struct sockaddr_storage *ret_destination, size_t *ret_used)
{
    const uint8_t *bytes = (const uint8_t *)data.data;
    const uint8_t *addresses = bytes + V2_HEADER;
    size_t length;

    if (data.length < V2_HEADER) {
        return PROXY_NEED_MORE;
    }
    length = (size_t)bytes[14] << 8 | bytes[15];
    if (bytes[12] >> 4 != 2 || (bytes[12] & 0x0f) > 1 || V2_HEADER + length > PROXY_MAXIMUM) {
        return PROXY_INVALID;
    }
    if (data.length < V2_HEADER + length) {
        return PROXY_NEED_MORE;
    }
    *ret_used = V2_HEADER + length;
    if ((bytes[12] & 0x0f) == 0) {
        return PROXY_LOCAL;
    }
    if (bytes[13] == 0x11 && length >= 12) { /* TCP over IPv4 */
        endpoint_ipv4(addresses, addresses + 8, ret_source);
        endpoint_ipv4(addresses + 4, addresses + 10, ret_destination);
        return PROXY_COMPLETE;
    }
    if (bytes[13] == 0x21 && length >= 36) { /* TCP over IPv6 */
        endpoint_ipv6(addresses, addresses + 32, ret_source);
        endpoint_ipv6(addresses + 16, addresses + 34, ret_destination);
        return PROXY_COMPLETE;
    }
    return PROXY_INVALID;
}

enum proxy_result proxy_parse(struct span data, struct sockaddr_storage *ret_source,
                              struct sockaddr_storage *ret_destination, size_t *ret_used)
{
    if (data.length == 0) {
        return PROXY_NEED_MORE;
    }
    if (starts_like(data, v2_signature, sizeof(v2_signature))) {
        return data.length < sizeof(v2_signature)
                   ? PROXY_NEED_MORE
                   : parse_v2(data, ret_source, ret_destination, ret_used);
    }
    if (starts_like(data, "PROXY ", 6)) {
        return parse_v1(data, ret_source, ret_destination, ret_used);
    }
    return PROXY_MISSING;
}
