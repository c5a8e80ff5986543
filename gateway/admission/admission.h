/*
 * admission: who may connect and send. A pure function over an immutable snapshot.
 *
 * The rules (semantics, Admission): candidates are the listener's peers with the longest prefix that
 * holds the source (IPv4-mapped counts as IPv4); the certificate must be one that such a peer lists
 * and must chain to that peer's ca; exactly one peer is left, or the connection is refused with the
 * reason. Absent or empty addresses admit nobody; `certificates = []` admits nobody; absent means
 * that none is demanded. A peer with a tunnel is admitted only while one of the tunnel's CHILD SAs (or of
 * those of the other one of the pair) carries the connection, and the tunnel is configured to; the tunnel
 * never decides which peer it is. What is known of tunnels runs out by itself, so that nobody is let in or
 * stays by rules that somebody who hangs should have replaced.
 * DNS names in addresses, tunnels: the snapshot holds what they resolved to and what was known of them; a
 * new resolution, or a tunnel's change, makes a new snapshot.
 * Ownership: snapshots are reference-counted; the configuration outlives them.
 * Threads: read-only; no state.
 */
#ifndef MLLPGW_ADMISSION_ADMISSION_H
#define MLLPGW_ADMISSION_ADMISSION_H

#include "admission/address.h"
#include "base/reason.h"
#include "base/span.h"
#include "certs/identity.h"
#include "config/config.h"
#include "vpn/selector.h"

struct admission_rules;

/* Addresses of one DNS name, as resolved last. */
struct admission_name {
    const char *name;
    uint8_t (*keys)[16]; /* address_key() form */
    size_t count;
};

#define ADMISSION_NEVER INT64_MIN
#define ADMISSION_FOREVER INT64_MAX
/* No line of mllp-tunneld's for so long: nothing is known of the tunnels. */
#define ADMISSION_SILENT_MS INT64_C(5000)

/* What a CHILD SA carries, or carried: whom it may let in before one time, and let stay before another. */
struct admission_child {
    const struct selector *local, *remote;
    size_t local_count, remote_count;
    int64_t enters_until_ms, stays_until_ms;
};
/* What is known of a tunnel (tunnel_view.h finds it out). Times are of the machine's monotonic clock. */
struct admission_tunnel {
    const char *name;
    enum reason reason; /* of those whom no child lets in */
    /* By mllp-tunneld's newest line: it is believed, whatever the children's times say, for so long after
     * that line, or the one that was heard last; then it is unknown. Not live: these are not looked at. */
    bool live;
    int64_t enters_ms, stays_ms;
    const struct admission_child *children;
    size_t child_count;
};

/* What the rules hang on besides the configuration. All of it is copied. */
struct admission_known {
    const struct admission_name *names; /* a name that is not among them admits nobody */
    size_t name_count;
    const struct admission_tunnel
        *tunnels; /* one that is not among them is unknown, and no one stays */
    size_t tunnel_count;
    int64_t heard_ms; /* mllp-tunneld's newest line */
};

/* in_force: rules of the same configuration, whose peers' ca are taken over as they were read; NULL: reads them.
 * known: NULL: nothing is. NULL with a sentence. */
struct admission_rules *admission_rules_new(const struct config *config,
                                            const struct admission_rules *in_force,
                                            const struct admission_known *known,
                                            char ret_error[512]);
struct admission_rules *admission_rules_reference(struct admission_rules *rules);
void admission_rules_release(struct admission_rules **rules);

/* What the connection's source means on a listener with proxy_from. */
enum admission_proxy {
    ADMISSION_PROXY_NONE,     /* the listener has no proxy_from: the source is the sender */
    ADMISSION_PROXY_EXPECTED, /* a PROXY header must come first */
    ADMISSION_PROXY_REFUSED,  /* not one of the proxies */
};
enum admission_proxy admission_proxy(const struct admission_rules *rules, unsigned listener,
                                     const struct sockaddr *source);

struct admission_query {
    unsigned listener;               /* index in the configuration */
    const struct sockaddr *source;   /* behind a proxy: the address that the header claims */
    const struct sockaddr *local;    /* the connection's own address; NULL: not known */
    const struct identity *identity; /* NULL: no certificate */
    bool open; /* it has been admitted before: may stay where the tunnel's sessions do */
    int64_t now_ms;
    int64_t
        heard_ms; /* mllp-tunneld's newest line that is known of; the rules may know a newer one */
};

/* Before a byte is read: could any peer of this listener come from here, to this address of ours? Its
 * certificate is not looked at. REASON_NONE or the reason. */
enum reason admission_by_address(const struct admission_rules *rules,
                                 const struct admission_query *query);

struct admission_answer {
    enum reason reason;             /* REASON_NONE: admitted */
    const struct config_peer *peer; /* of the rules' configuration; NULL when refused */
};
void admission_decide(const struct admission_rules *rules, const struct admission_query *query,
                      struct admission_answer *ret_answer);

/* When time alone makes somebody go next who may still stay at now_ms; ADMISSION_FOREVER: never. */
int64_t admission_stays_until_ms(const struct admission_rules *rules, int64_t now_ms,
                                 int64_t heard_ms);

/* MSH-4.1, or MSH-3.1^MSH-4.1, bytewise; a peer without facilities sends for any. */
bool admission_facility_allowed(const struct config_peer *peer, struct span application,
                                struct span facility);

#endif
