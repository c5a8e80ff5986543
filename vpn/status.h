/*
 * status: the status document: how the tunnels are, as mllp-tunneld tells the gateway. One line of
 * JSON, at most STATUS_LINE_MAXIMUM bytes with its newline; vpn/README.md describes its fields.
 *
 * Spans and ages only, but for at_ms: it is for whoever reads on the same machine, who may come to a line
 * long after it was written. Ages count from then, or, for a reader elsewhere, from when the line came.
 * When a certificate runs out is the only date, as that is what the certificate says.
 * What tells of other processes (identities, alerts) is written as printable ASCII, other bytes as
 * "?". The reader passes over fields that it does not know, and takes nothing of a line in which one
 * that it knows has a wrong type or is out of bounds.
 * Pure. Ownership: status_free() gives back what status_read() made. Threads: none of its own.
 */
#ifndef MLLPGW_VPN_STATUS_H
#define MLLPGW_VPN_STATUS_H

#include "vpn/tunnels.h"

#define STATUS_VERSION 1
#define STATUS_LINE_MAXIMUM ((size_t)1 << 20)
#define STATUS_TUNNELS_MAXIMUM ((size_t)CONFIG_TUNNELS_MAXIMUM)
/* What is more than this is not written: admission then lets in less, never more. */
#define STATUS_CHILDREN_MAXIMUM 64u /* of a tunnel */
#define STATUS_SELECTORS_MAXIMUM SA_SELECTORS_MAXIMUM
#define STATUS_WARNINGS_MAXIMUM 16u
#define STATUS_NAME_BYTES 65 /* of a tunnel */
#define STATUS_TEXT_BYTES SA_TEXT_BYTES
#define STATUS_NOT_SAID SA_NOT_SAID

#define STATUS_DATE_MAXIMUM INT64_C(253402300799) /* the end of the year 9999 */

/* Its fields for tunnel.h's ends. */
extern const char *const status_end_keys[TUNNEL_ENDS];

/* A CHILD SA that carries traffic now. */
struct status_child {
    uint64_t uniqueid;
    struct selector *local, *remote;
    size_t local_count, remote_count;
    char cipher[PROPOSAL_TEXT_BYTES];
    int64_t rekey_in_s; /* or STATUS_NOT_SAID, as with all ages and spans */
};

struct status_ike {
    unsigned version; /* 0: there is no IKE SA */
    char cipher[PROPOSAL_TEXT_BYTES];
    char remote_host[STATUS_TEXT_BYTES], local_host[STATUS_TEXT_BYTES];
    char remote_id[STATUS_TEXT_BYTES], local_id[STATUS_TEXT_BYTES];
    int64_t established_s, rekey_in_s;
};

struct status_tunnel {
    char name[STATUS_NAME_BYTES];
    char settings[SETTINGS_DIGEST_BYTES]; /* that mllp-tunneld runs it with; empty: not said */
    enum tunnel_state state;
    int64_t in_state_ms;
    struct status_ike ike;
    struct status_child *children;
    size_t child_count;
    /* Sums over all CHILD SAs that ever were. */
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
    int64_t last_in_s, last_out_s; /* ago */
    uint64_t rekeys, flaps;
    char alert[ALERT_TEXT_BYTES]; /* empty: none yet */
    int64_t alert_s;
    int64_t ends_s[TUNNEL_ENDS]; /* since 1970; or STATUS_NOT_SAID */
    char (*warnings)[STATUS_TEXT_BYTES];
    size_t warning_count;
};

struct status {
    uint64_t sequence; /* counts up with each line of one mllp-tunneld */
    int64_t at_ms;     /* when it was made, by the machine's monotonic clock; or STATUS_NOT_SAID */
    bool connected;    /* to charon; false: the tunnels' states say nothing */
    char charon_version[STATUS_TEXT_BYTES];
    struct status_tunnel *tunnels;
    size_t count;
};

/* What a line says besides the tunnels. */
struct status_head {
    uint64_t sequence;
    bool connected;
    const char *charon_version; /* NULL: not known */
};

/* The line, its newline and a zero behind it; *ret_line is for free(). Where it would be too long the
 * tunnels with thousands of selectors lose some of them (admission then lets in less), then all lose what
 * admission does not go by (a warning says so), then those with many selectors some. 0, -ENOMEM, or
 * -EMSGSIZE when it is too long even so. now_ms: of the tunnels' clock, and of the machine's monotonic one
 * for at_ms to be true. */
__attribute__((warn_unused_result)) int status_write(const struct status_head *head,
                                                     const struct tunnels *tunnels, int64_t now_ms,
                                                     char **ret_line, size_t *ret_length);

/* line: with or without its newline. 0; -EBADMSG with what is wrong in words; -ENOMEM. */
__attribute__((warn_unused_result)) int status_read(const char *line, size_t length,
                                                    struct status *ret_status, char ret_error[160]);
void status_free(struct status *status);
/* NULL: it says nothing of it. */
const struct status_tunnel *status_find(const struct status *status, const char *name);

#endif
