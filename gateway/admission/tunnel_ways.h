/*
 * tunnel_ways: what a tunnel's CHILD SAs carry, and what those carried that went. Private to tunnel_view.
 *
 * A way is what a CHILD SA carries at its two ends, whichever SA that is: a rekey leaves it as it is, and so
 * do two SAs that carry the same. One whose SAs have gone is kept, with the time when it went, until
 * tunnel_ways_drop().
 * Pure. Ownership: ways have selectors of their own. Threads: none of its own.
 */
#ifndef MLLPGW_ADMISSION_TUNNEL_WAYS_H
#define MLLPGW_ADMISSION_TUNNEL_WAYS_H

#include "vpn/status.h"

/* Those there and those gone; over it the one that has been gone for longest is dropped. */
#define TUNNEL_WAYS_MAXIMUM ((size_t)2 * STATUS_CHILDREN_MAXIMUM)
#define TUNNEL_WAY_THERE INT64_MAX

struct tunnel_way {
    struct selector *local, *remote;
    size_t local_count, remote_count;
    int64_t gone_ms; /* or TUNNEL_WAY_THERE */
};

struct tunnel_ways {
    struct tunnel_way *items;
    size_t count;
    unsigned changes; /* counts up when one is added or dropped */
};

/* These CHILD SAs are there now; the others have gone just now. -ENOMEM: some may be missing. */
__attribute__((warn_unused_result)) int tunnel_ways_take(struct tunnel_ways *ways,
                                                         const struct status_child *children,
                                                         size_t count, int64_t now_ms);
/* All that are there have gone. */
void tunnel_ways_end(struct tunnel_ways *ways, int64_t gone_ms);
/* Forgets those that went then or before. */
void tunnel_ways_drop(struct tunnel_ways *ways, int64_t gone_ms);
/* to: empty. -ENOMEM: some may be missing. */
__attribute__((warn_unused_result)) int tunnel_ways_copy(struct tunnel_ways *to,
                                                         const struct tunnel_ways *from);
void tunnel_ways_free(struct tunnel_ways *ways);

#endif
