/*
 * address: IP addresses and prefixes in one form: 16 bytes, IPv4 as ::ffff:a.b.c.d.
 *
 * A prefix written in one family never holds an address of the other: "::/0" does not admit IPv4,
 * "0.0.0.0/0" does not admit IPv6.
 * Pure. Threads: any.
 */
#ifndef MLLPGW_ADMISSION_ADDRESS_H
#define MLLPGW_ADMISSION_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address_prefix {
    uint8_t key[16];
    unsigned bits; /* of the 16-byte form: an IPv4 /24 is 120 */
};

/* The same key for ::ffff:a.b.c.d and a.b.c.d; anything but IP gives all zeros. */
void address_key(const struct sockaddr *address, uint8_t ret_key[16]);
/* "10.1.2.3", "2001:db8::1": no port, no scope. */
void address_text(const struct sockaddr *address, char ret_text[INET6_ADDRSTRLEN]);

/* "10.0.0.0/24", "10.1.2.3", "2001:db8::/32": false when text is none of these (a DNS name). */
bool address_prefix_parse(const char *text, struct address_prefix *ret_prefix);
void address_prefix_of_key(const uint8_t key[16], struct address_prefix *ret_prefix);
bool address_prefix_holds(const struct address_prefix *prefix, const uint8_t key[16]);

#endif
