/*
 * address: networks and endpoints as the configuration writes them.
 *
 * An IPv4-mapped IPv6 address counts as IPv4 (semantics, Admission). Pure; no look-ups.
 * Errors: NULL is well, else ret_error, one sentence for people.
 */
#ifndef MLLPGW_CONFIG_ADDRESS_H
#define MLLPGW_CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_ERROR_BYTES 256

struct address_network {
    uint8_t bytes[16]; /* network order; IPv4: the first four */
    bool v6;
    uint8_t bits; /* of the mask */
};

struct address_endpoint {
    struct address_network host; /* bits: all */
    uint16_t port;
};

/* Is it meant as a DNS name (and not as an address)? */
bool address_is_name(const char *text);
/* "lab.st-marys.example": RFC 1123, underscores allowed. */
const char *address_check_name(const char *text, char ret_error[ADDRESS_ERROR_BYTES]);
/* "10.0.0.0/24", "10.0.0.1", "2001:db8::/32". Bits behind the mask are an error. */
const char *address_parse_network(const char *text, struct address_network *ret_network,
                                  char ret_error[ADDRESS_ERROR_BYTES]);
/* "0.0.0.0:2575", "[::1]:2575". */
const char *address_parse_endpoint(const char *text, struct address_endpoint *ret_endpoint,
                                   char ret_error[ADDRESS_ERROR_BYTES]);
bool address_same(const struct address_network *a, const struct address_network *b);
/* Not routed on the Internet: RFC 1918, 6598 and 4193, link-local, loopback. */
bool address_is_private(const struct address_network *network);
/* Is b inside a? */
bool address_holds(const struct address_network *a, const struct address_network *b);

#endif
