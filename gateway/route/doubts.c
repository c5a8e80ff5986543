#include "route/doubts.h"

#include <stdlib.h>
#include <string.h>

struct doubt {
    struct list_node in_order, in_bucket;
    uint8_t id[MESSAGE_STABLE_ID_BYTES];
};

void doubts_init(struct doubts *doubts)
{
    *doubts = (struct doubts){0};
    list_init(&doubts->order);
}

static void doubt_free(struct doubts *doubts, struct doubt *old)
{
    list_remove(&old->in_order);
    list_remove(&old->in_bucket);
    doubts->count--;
    free(old);
}

void doubts_free(struct doubts *doubts)
{
    LIST_FOREACH_SAFE(node, next, &doubts->order)
        doubt_free(doubts, LIST_ENTRY(node, struct doubt, in_order));
    free(doubts->buckets);
    doubts->buckets = NULL;
}

/* The ids are keyed digests: nobody chooses a bucket. */
static struct list_node *doubts_bucket(const struct doubts *doubts, const uint8_t *id)
{
    return &doubts->buckets[(id[0] | (size_t)id[1] << 8) % DOUBTS_BUCKETS];
}

static struct doubt *doubts_find(const struct doubts *doubts, const uint8_t *id)
{
    if (doubts->count == 0)
        return NULL;
    LIST_FOREACH_SAFE(node, next, doubts_bucket(doubts, id)) {
        struct doubt *doubt = LIST_ENTRY(node, struct doubt, in_bucket);

        if (memcmp(doubt->id, id, sizeof(doubt->id)) == 0)
            return doubt;
    }
    return NULL;
}

static bool doubts_make_buckets(struct doubts *doubts)
{
    if (doubts->buckets != NULL)
        return true;
    doubts->buckets = calloc(DOUBTS_BUCKETS, sizeof(*doubts->buckets));
    for (size_t i = 0; doubts->buckets != NULL && i < DOUBTS_BUCKETS; i++)
        list_init(&doubts->buckets[i]);
    return doubts->buckets != NULL;
}

void doubts_add(struct doubts *doubts, const uint8_t *id)
{
    struct doubt *doubt = doubts_find(doubts, id);

    if (doubt != NULL) {
        list_remove(&doubt->in_order);
        list_append(&doubts->order, &doubt->in_order);
        return;
    }
    doubt = calloc(1, sizeof(*doubt));
    if (doubt == NULL || !doubts_make_buckets(doubts)) {
        free(doubt);
        return;
    }
    memcpy(doubt->id, id, sizeof(doubt->id));
    list_append(&doubts->order, &doubt->in_order);
    list_append(doubts_bucket(doubts, id), &doubt->in_bucket);
    if (++doubts->count > DOUBTS_MAXIMUM)
        doubt_free(doubts, LIST_ENTRY(doubts->order.next, struct doubt, in_order));
}

void doubts_remove(struct doubts *doubts, const uint8_t *id)
{
    struct doubt *doubt = doubts_find(doubts, id);

    if (doubt != NULL)
        doubt_free(doubts, doubt);
}

bool doubts_has(const struct doubts *doubts, const uint8_t *id)
{
    return doubts_find(doubts, id) != NULL;
}
