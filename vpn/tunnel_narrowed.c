/* Does a tunnel that is up carry all that is wanted? */
#include "vpn/tunnel.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS_MAXIMUM 256u /* selectors of all CHILD SAs; a tunnel with more is judged end by end */

static const struct sa_selectors *end_of(const struct sa_child *child, bool local)
{
    return local ? &child->local : &child->remote;
}

/* Of those that count and say what they carry. */
static const struct sa_child *next_child(const struct tunnel *tunnel, size_t *at)
{
    while (*at < tunnel->child_count) {
        const struct tunnel_child *child = &tunnel->children[(*at)++];
        if (tunnel_child_counts(child) && child->sa.local.count > 0 && child->sa.remote.count > 0)
            return &child->sa;
    }
    return NULL;
}

/* One with selectors that could not be read may carry anything. */
static bool is_readable(const struct tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->child_count; i++) {
        const struct tunnel_child *child = &tunnel->children[i];
        if (tunnel_child_counts(child) &&
            (child->sa.local.unreadable || child->sa.remote.unreadable))
            return false;
    }
    return true;
}

static size_t count_selectors(const struct tunnel *tunnel, bool local)
{
    const struct sa_child *child;
    size_t count = 0, at = 0;

    while ((child = next_child(tunnel, &at)) != NULL)
        count += end_of(child, local)->count;
    return count;
}

/* --- end by end --------------------------------------------------------------------------- */

/* Out of memory: nothing is said. */
static bool is_end_narrowed(const struct tunnel *tunnel, bool local)
{
    const struct tunnel_wanted *wanted = tunnel->wanted;
    const struct selector *items = local ? wanted->local : wanted->remote;
    size_t items_count = local ? wanted->local_count : wanted->remote_count, count = 0, at = 0;
    struct selector *all = calloc(count_selectors(tunnel, local) + 1, sizeof *all);
    const struct sa_child *child;
    bool narrowed = false;

    while (all != NULL && (child = next_child(tunnel, &at)) != NULL) {
        const struct sa_selectors *end = end_of(child, local);
        memcpy(all + count, end->items, end->count * sizeof *all);
        count += end->count;
    }
    selector_sort(all, count);
    for (size_t i = 0; all != NULL && i < items_count; i++)
        narrowed = narrowed || !selector_is_covered(&items[i], all, count);
    free(all);
    return narrowed;
}

/* --- pair by pair ------------------------------------------------------------------------- */

static void sooner(uint8_t next[16], const uint8_t address[16])
{
    if (memcmp(address, next, 16) < 0)
        memcpy(next, address, 16);
}

/* Does this end carry that address of the wanted one? next: where that may change, if not later than
 * it says already. */
static bool holds(const struct sa_selectors *end, const struct selector *wanted,
                  const uint8_t address[16], uint8_t next[16])
{
    bool held = false;

    for (size_t i = 0; i < end->count; i++) {
        const struct selector *each = &end->items[i];
        uint8_t behind[16];
        if (!selector_carries(each, wanted) || memcmp(each->last, address, 16) < 0)
            continue;
        if (memcmp(each->first, address, 16) > 0) {
            sooner(next, each->first);
            continue;
        }
        held = true;
        memcpy(behind, each->last, sizeof behind);
        if (selector_step(behind))
            sooner(next, behind);
    }
    return held;
}

/* Is there a way from each address of the one to each of the other? From one to the next address of
 * `local` at which other CHILD SAs begin or end. */
static bool is_pair_carried(const struct tunnel *tunnel, const struct selector *local,
                            const struct selector *remote)
{
    struct selector behind[PAIRS_MAXIMUM]; /* of the CHILD SAs that hold the address */
    uint8_t address[16], next[16];

    memcpy(next, local->first, sizeof next);
    do {
        const struct sa_child *child;
        size_t count = 0, at = 0;
        memcpy(address, next, sizeof address);
        memset(next, 0xff, sizeof next);
        while ((child = next_child(tunnel, &at)) != NULL) {
            if (!holds(&child->local, local, address, next))
                continue;
            memcpy(behind + count, child->remote.items, child->remote.count * sizeof *behind);
            count += child->remote.count;
        }
        selector_sort(behind, count);
        if (!selector_is_covered(remote, behind, count))
            return false;
    } while (memcmp(next, address, 16) > 0 && memcmp(next, local->last, 16) <= 0);
    return true;
}

static bool is_any_pair_missing(const struct tunnel *tunnel)
{
    const struct tunnel_wanted *wanted = tunnel->wanted;

    for (size_t i = 0; i < wanted->local_count; i++) {
        for (size_t k = 0; k < wanted->remote_count; k++) {
            const struct selector *local = &wanted->local[i], *remote = &wanted->remote[k];
            if (!local->dynamic && local->v6 == remote->v6 &&
                !is_pair_carried(tunnel, local, remote))
                return true;
        }
    }
    return false;
}

/* By all CHILD SAs together: some other sides make one for each pair of subnets. */
bool tunnel_is_narrowed(const struct tunnel *tunnel)
{
    size_t local = count_selectors(tunnel, true), remote = count_selectors(tunnel, false);

    if (local == 0 || remote == 0 || !is_readable(tunnel))
        return false;
    if (is_end_narrowed(tunnel, true) || is_end_narrowed(tunnel, false))
        return true;
    return local + remote <= PAIRS_MAXIMUM && is_any_pair_missing(tunnel);
}
