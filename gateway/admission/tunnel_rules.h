/*
 * tunnel_rules: what a connection must have come through, as part of the admission's rules. Private to
 * admission.
 *
 * A connection has come through a tunnel when one of its CHILD SAs carries it: the remote selector holds
 * its source, and the local one of the same CHILD SA its own address, protocol and ports included; and the
 * tunnel's own remote_subnets and local_subnets do so, too: an SA that is wider than what was configured
 * lets in no more.
 * Ownership: rules own copies. Threads: read-only once made.
 */
#ifndef MLLPGW_ADMISSION_TUNNEL_RULES_H
#define MLLPGW_ADMISSION_TUNNEL_RULES_H

#include "admission/admission.h"

struct tunnel_rules {
    const char *name;              /* the configuration's */
    struct admission_child wanted; /* the configured networks; its times say nothing */
    enum reason reason;
    bool live;
    int64_t enters_ms, stays_ms;
    struct admission_child *children; /* with selectors of their own */
    size_t child_count;
};

/* known: NULL when nothing is known of the tunnel yet. 0 or -ENOMEM (with tunnel_rules_free() to be
 * called all the same). */
__attribute__((warn_unused_result)) int tunnel_rules_make(struct tunnel_rules *rules,
                                                          const struct config_tunnel *wanted,
                                                          const struct admission_tunnel *known);
void tunnel_rules_free(struct tunnel_rules *rules);

/* REASON_NONE when one of the tunnels carries it, and lets it in or (query->open) stay. NULLs among them are
 * passed over. heard_ms: the newest line of mllp-tunneld's. */
enum reason tunnel_rules_decide(const struct tunnel_rules *const *tunnels, size_t count,
                                const struct admission_query *query, int64_t heard_ms);
int64_t tunnel_rules_stays_until_ms(const struct tunnel_rules *rules, int64_t now_ms,
                                    int64_t heard_ms);

#endif
