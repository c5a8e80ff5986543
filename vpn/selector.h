/*
 * selector: a traffic selector: which addresses, protocol and ports one end of a tunnel carries.
 *
 *   10.10.0.0/24                       a network
 *   10.10.0.1..10.10.0.9               a range, as charon prints it; also with "-"
 *   10.10.0.0/24[tcp/2575]             with protocol and port, both by number or by name
 *   10.10.0.0/24[tcp/2575-2580], [udp], [0/80], [icmp/8(0)], [tcp/OPAQUE]
 *   dynamic, dynamic[tcp/2575]         the end's own address, whatever it turns out to be
 *
 * Addresses are in 16 bytes, IPv4 as ::ffff:a.b.c.d. An IPv6 selector never holds an IPv4 address,
 * not even ::/0. Bits behind a mask are ignored, as charon does.
 * Plain data; no memory of its own; pure, but for one thing: names of protocols and ports are looked
 * up in /etc/protocols and /etc/services, from which charon took them when it printed.
 */
#ifndef MLLPGW_VPN_SELECTOR_H
#define MLLPGW_VPN_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SELECTOR_TEXT_BYTES 160

struct selector {
    uint8_t first[16], last[16];
    bool v6;
    bool dynamic;                   /* first and last say nothing */
    uint8_t protocol;               /* 0: any */
    uint16_t port_first, port_last; /* 0 to 65535: any; ICMP: type * 256 + code; 65535 to 0: none
                                       (OPAQUE: packets whose ports can't be seen) */
};

/* NULL, or what is wrong in a few words; *ret_selector is untouched then. */
const char *selector_parse(const char *text, size_t length, struct selector *ret_selector);
bool selector_is_same(const struct selector *one, const struct selector *other);
/* As charon prints it, with numbers for names. */
void selector_print(const struct selector *selector, char ret_text[SELECTOR_TEXT_BYTES]);
/* A dynamic one holds nothing: its address isn't known. */
bool selector_holds(const struct selector *selector, const uint8_t address[16], uint8_t protocol,
                    uint16_t port);
/* Does it carry the wanted one's protocol and ports, whatever the addresses? */
bool selector_carries(const struct selector *selector, const struct selector *wanted);
/* By their first addresses. */
void selector_sort(struct selector *selectors, size_t count);
/* Do these, sorted, carry together all that the wanted one asks for? A dynamic one counts as carried. */
bool selector_is_covered(const struct selector *wanted, const struct selector *installed,
                         size_t count);
/* The address behind; false after the last one there is. */
bool selector_step(uint8_t address[16]);

#endif
