#include "admission/tunnel_ways.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool all_among(const struct selector *items, size_t count, const struct selector *others,
                      size_t other_count)
{
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t k = 0; k < other_count && !found; k++) {
            found = selector_is_same(&items[i], &others[k]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool same_selectors(const struct selector *items, size_t count,
                           const struct selector *others, size_t other_count)
{
    return all_among(items, count, others, other_count) &&
           all_among(others, other_count, items, count);
}

static bool is_way_of(const struct tunnel_way *way, const struct status_child *child)
{
    return same_selectors(way->local, way->local_count, child->local, child->local_count) &&
           same_selectors(way->remote, way->remote_count, child->remote, child->remote_count);
}

static void free_way(struct tunnel_way *way)
{
    free(way->local);
    free(way->remote);
}

static void remove_at(struct tunnel_ways *ways, size_t index)
{
    free_way(&ways->items[index]);
    ways->count--;
    memmove(&ways->items[index], &ways->items[index + 1],
            (ways->count - index) * sizeof(*ways->items));
    ways->changes++;
}

/* There are never more CHILD SAs than half of the maximum, so that somebody has gone. */
static void make_room(struct tunnel_ways *ways)
{
    size_t longest = 0;

    for (size_t i = 1; i < ways->count; i++) {
        if (ways->items[i].gone_ms < ways->items[longest].gone_ms) {
            longest = i;
        }
    }
    remove_at(ways, longest);
}

static struct selector *copy_of(const struct selector *selectors, size_t count)
{
    struct selector *copy = calloc(count + 1, sizeof(*copy));

    if (copy != NULL && count > 0) {
        memcpy(copy, selectors, count * sizeof(*copy));
    }
    return copy;
}

static int add(struct tunnel_ways *ways, const struct selector *local, size_t local_count,
               const struct selector *remote, size_t remote_count, int64_t gone_ms)
{
    struct tunnel_way way = {copy_of(local, local_count), copy_of(remote, remote_count),
                             local_count, remote_count, gone_ms};
    struct tunnel_way *grown = NULL;

    if (ways->count >= TUNNEL_WAYS_MAXIMUM) {
        make_room(ways);
    }
    if (way.local != NULL && way.remote != NULL) {
        grown = realloc(ways->items, (ways->count + 1) * sizeof(*grown));
    }
    if (grown == NULL) {
        free_way(&way);
        return -ENOMEM;
    }
    ways->items = grown;
    grown[ways->count++] = way;
    ways->changes++;
    return 0;
}

static struct tunnel_way *find(struct tunnel_ways *ways, const struct status_child *child)
{
    for (size_t i = 0; i < ways->count; i++) {
        if (is_way_of(&ways->items[i], child)) {
            return &ways->items[i];
        }
    }
    return NULL;
}

static bool is_among(const struct tunnel_way *way, const struct status_child *children,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_way_of(way, &children[i])) {
            return true;
        }
    }
    return false;
}

int tunnel_ways_take(struct tunnel_ways *ways, const struct status_child *children, size_t count,
                     int64_t now_ms)
{
    int error = 0;

    for (size_t i = 0; i < ways->count; i++) {
        struct tunnel_way *way = &ways->items[i];
        if (way->gone_ms == TUNNEL_WAY_THERE && !is_among(way, children, count)) {
            way->gone_ms = now_ms;
        }
    }
    for (size_t i = 0; i < count && error == 0; i++) {
        struct tunnel_way *way = find(ways, &children[i]);
        if (way != NULL) {
            way->gone_ms = TUNNEL_WAY_THERE;
        } else {
            error = add(ways, children[i].local, children[i].local_count, children[i].remote,
                        children[i].remote_count, TUNNEL_WAY_THERE);
        }
    }
    return error;
}

void tunnel_ways_end(struct tunnel_ways *ways, int64_t gone_ms)
{
    for (size_t i = 0; i < ways->count; i++) {
        if (ways->items[i].gone_ms == TUNNEL_WAY_THERE) {
            ways->items[i].gone_ms = gone_ms;
        }
    }
}

void tunnel_ways_drop(struct tunnel_ways *ways, int64_t gone_ms)
{
    for (size_t i = ways->count; i > 0; i--) {
        int64_t at_ms = ways->items[i - 1].gone_ms;
        if (at_ms != TUNNEL_WAY_THERE && at_ms <= gone_ms) {
            remove_at(ways, i - 1);
        }
    }
}

int tunnel_ways_copy(struct tunnel_ways *to, const struct tunnel_ways *from)
{
    int error = 0;

    for (size_t i = 0; i < from->count && error == 0; i++) {
        const struct tunnel_way *way = &from->items[i];
        error = add(to, way->local, way->local_count, way->remote, way->remote_count, way->gone_ms);
    }
    return error;
}

void tunnel_ways_free(struct tunnel_ways *ways)
{
    for (size_t i = 0; i < ways->count; i++) {
        free_way(&ways->items[i]);
    }
    free(ways->items);
    *ways = (struct tunnel_ways){0};
}
