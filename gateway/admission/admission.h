/*
 * admission: who may connect and send. A pure function over an immutable snapshot.
 *
 * The rules (semantics, Admission): candidates are the listener's peers with the longest prefix that
 * holds the source (IPv4-mapped counts as IPv4); the certificate must be one that such a peer lists
 * and must chain to that peer's ca; exactly one peer is left, or the connection is refused with the
 * reason. Absent or empty addresses admit nobody; `certificates = []` admits nobody; absent means
 * that none is demanded.
 * DNS names in addresses: the snapshot holds what they resolved to (admission_rules_new's resolver
 * table); a new resolution makes a new snapshot.
 * Ownership: snapshots are reference-counted. Threads: read-only; no state.
 */
#ifndef MLLPGW_ADMISSION_ADMISSION_H
#define MLLPGW_ADMISSION_ADMISSION_H

#include "base/reason.h"
#include "base/span.h"
#include "certs/identity.h"
#include "config/config.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct admission_rules;

/* Addresses of one DNS name, as resolved last. */
struct admission_name {
    const char *name;
    struct sockaddr_storage *addresses;
    size_t count;
};

/* NULL with a sentence. names may be empty: names without an entry admit nobody. */
struct admission_rules *admission_rules_new(const struct config *config,
                                            const struct admission_name *names, size_t name_count,
                                            char ret_error[512]);
struct admission_rules *admission_rules_reference(struct admission_rules *rules);
void admission_rules_release(struct admission_rules **rules);

/* Before a byte is read: could any peer of this listener come from here? REASON_NONE or the reason. */
enum reason admission_by_address(const struct admission_rules *rules, const char *listener,
                                 const struct sockaddr *source);

struct admission_query {
    const char *listener;
    const struct sockaddr *source;    /* behind a proxy: the address that the header claims */
    const struct sockaddr *local;     /* the connection's own address (for tunnels, later) */
    const struct identity *identity;  /* NULL: no certificate */
};
struct admission_answer {
    enum reason reason;              /* REASON_NONE: admitted */
    const struct config_peer *peer;  /* of the rules' configuration; NULL when refused */
    unsigned peer_index;
};
void admission_decide(const struct admission_rules *rules, const struct admission_query *query,
                      struct admission_answer *ret_answer);

/* MSH-4.1, or MSH-3.1^MSH-4.1, bytewise; a peer without facilities sends for any. */
bool admission_facility_allowed(const struct config_peer *peer, struct span application,
                                struct span facility);

/* The same plain address for ::ffff:a.b.c.d and a.b.c.d. ret_key: 16 bytes IPv6 form. */
void admission_address_key(const struct sockaddr *address, uint8_t ret_key[16]);
/* "10.1.2.3", "2001:db8::1" (no port). */
void admission_address_text(const struct sockaddr *address, char ret_text[INET6_ADDRSTRLEN]);

#endif
