#include "admission/limits.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SECOND (INT64_C(1000) * 1024) /* in 1/1024 ms */
#define ADDRESS_BUCKETS 1024          /* a power of two */

/* A listener or a peer; never removed: the configuration bounds how many there are. */
struct named_slot {
    struct named_slot *next;
    atomic_int connections;
    atomic_bool warned;
    atomic_int_fast64_t
        rate_full_ms; /* GCRA: when the second's worth is whole again, in 1/1024 ms */
    char name[];
};

struct address_slot {
    struct address_slot *next;
    uint8_t key[16];
    const struct named_slot *listener;
    int connections;
};

struct limits {
    pthread_mutex_t lock; /* the tables; the counters in named slots are atomics */
    _Atomic(struct named_slot *) listeners;
    _Atomic(struct named_slot *) peers;
    struct address_slot *addresses[ADDRESS_BUCKETS];
    atomic_int_fast64_t buffered_bytes;
};

struct limits *limits_new(void)
{
    struct limits *limits = calloc(1, sizeof(*limits));

    if (limits != NULL && pthread_mutex_init(&limits->lock, NULL) != 0) {
        free(limits);
        limits = NULL;
    }
    return limits;
}

static void free_named(struct named_slot *slot)
{
    while (slot != NULL) {
        struct named_slot *next = slot->next;
        free(slot);
        slot = next;
    }
}

void limits_free(struct limits **pointer)
{
    struct limits *limits = *pointer;

    *pointer = NULL;
    if (limits == NULL) {
        return;
    }
    free_named(atomic_load(&limits->listeners));
    free_named(atomic_load(&limits->peers));
    for (size_t i = 0; i < ADDRESS_BUCKETS; i++) {
        while (limits->addresses[i] != NULL) {
            struct address_slot *next = limits->addresses[i]->next;
            free(limits->addresses[i]);
            limits->addresses[i] = next;
        }
    }
    pthread_mutex_destroy(&limits->lock);
    free(limits);
}

static struct named_slot *search(struct named_slot *slot, const char *name)
{
    while (slot != NULL && strcmp(slot->name, name) != 0) {
        slot = slot->next;
    }
    return slot;
}

/* Slots are only ever added in front, so readers need no lock. */
static struct named_slot *find_named(struct limits *limits, _Atomic(struct named_slot *) *head,
                                     const char *name)
{
    struct named_slot *slot = search(atomic_load(head), name);
    size_t length = strlen(name) + 1;

    if (slot != NULL) {
        return slot;
    }
    pthread_mutex_lock(&limits->lock);
    slot = search(atomic_load(head), name);
    if (slot == NULL && (slot = calloc(1, sizeof(*slot) + length)) != NULL) {
        memcpy(slot->name, name, length);
        slot->next = atomic_load(head);
        atomic_store(head, slot);
    }
    pthread_mutex_unlock(&limits->lock);
    return slot;
}

static bool take_place(atomic_int *count, int maximum)
{
    if (atomic_fetch_add(count, 1) >= maximum) {
        atomic_fetch_sub(count, 1);
        return false;
    }
    return true;
}

static size_t address_bucket(const uint8_t key[16])
{
    /* Without a random start: the table is small and its input counted. */
    return (size_t)(hash_bytes(HASH_START, key, 16) & (ADDRESS_BUCKETS - 1));
}

static struct address_slot **find_address(struct limits *limits, const uint8_t key[16],
                                          const struct named_slot *listener)
{
    struct address_slot **slot = &limits->addresses[address_bucket(key)];

    while (*slot != NULL && ((*slot)->listener != listener || memcmp((*slot)->key, key, 16) != 0)) {
        slot = &(*slot)->next;
    }
    return slot;
}

static enum reason enter_address(struct limits *limits, const struct named_slot *listener,
                                 const uint8_t address[16], int maximum)
{
    struct address_slot **place, *slot;
    enum reason reason = REASON_NONE;

    pthread_mutex_lock(&limits->lock);
    place = find_address(limits, address, listener);
    slot = *place;
    if (slot == NULL && (slot = calloc(1, sizeof(*slot))) != NULL) {
        memcpy(slot->key, address, 16);
        slot->listener = listener;
        *place = slot;
    }
    if (slot == NULL) {
        reason = REASON_OUT_OF_MEMORY;
    } else if (slot->connections >= maximum) {
        reason = REASON_CONNECTION_LIMIT_ADDRESS;
    } else {
        slot->connections++;
    }
    pthread_mutex_unlock(&limits->lock);
    return reason;
}

enum reason limits_enter_address(struct limits *limits, const char *listener, int listener_maximum,
                                 const uint8_t address[16], int address_maximum)
{
    struct named_slot *slot = find_named(limits, &limits->listeners, listener);
    enum reason reason;

    if (slot == NULL) {
        return REASON_OUT_OF_MEMORY;
    }
    if (!take_place(&slot->connections, listener_maximum)) {
        return REASON_CONNECTION_LIMIT_LISTENER;
    }
    reason = enter_address(limits, slot, address, address_maximum);
    if (reason != REASON_NONE) {
        atomic_fetch_sub(&slot->connections, 1);
    }
    return reason;
}

void limits_leave_address(struct limits *limits, const char *listener, const uint8_t address[16])
{
    struct named_slot *named = find_named(limits, &limits->listeners, listener);
    struct address_slot **place;

    if (named == NULL) {
        return;
    }
    atomic_fetch_sub(&named->connections, 1);
    pthread_mutex_lock(&limits->lock);
    place = find_address(limits, address, named);
    if (*place != NULL && --(*place)->connections == 0) {
        struct address_slot *empty = *place;
        *place = empty->next;
        free(empty);
    }
    pthread_mutex_unlock(&limits->lock);
}

enum reason limits_enter_peer(struct limits *limits, const char *peer, int peer_maximum)
{
    struct named_slot *slot = find_named(limits, &limits->peers, peer);

    if (slot == NULL) {
        return REASON_OUT_OF_MEMORY;
    }
    return take_place(&slot->connections, peer_maximum) ? REASON_NONE
                                                        : REASON_CONNECTION_LIMIT_PEER;
}

void limits_leave_peer(struct limits *limits, const char *peer)
{
    struct named_slot *slot = find_named(limits, &limits->peers, peer);

    if (slot != NULL) {
        atomic_fetch_sub(&slot->connections, 1);
    }
}

int limits_listener_connections(struct limits *limits, const char *listener)
{
    struct named_slot *slot = search(atomic_load(&limits->listeners), listener);
    return slot == NULL ? 0 : atomic_load(&slot->connections);
}

int limits_peer_connections(struct limits *limits, const char *peer)
{
    struct named_slot *slot = search(atomic_load(&limits->peers), peer);
    return slot == NULL ? 0 : atomic_load(&slot->connections);
}

int64_t limits_message_wait_ms(struct limits *limits, const char *peer, int per_second,
                               int64_t now_ms)
{
    struct named_slot *slot;
    int64_t now = now_ms * 1024, cost, full, wanted;

    if (per_second <= 0 || (slot = find_named(limits, &limits->peers, peer)) == NULL) {
        return 0;
    }
    cost = SECOND / per_second;
    full = atomic_load(&slot->rate_full_ms);
    do {
        int64_t start = full > now ? full : now;
        wanted = start + cost;
        if (wanted - now > SECOND) { /* a second's worth is used up */
            return (wanted - now - SECOND) / 1024 + 1;
        }
    } while (!atomic_compare_exchange_weak(&slot->rate_full_ms, &full, wanted));
    return 0;
}

bool limits_first_warning(struct limits *limits, const char *peer)
{
    struct named_slot *slot = find_named(limits, &limits->peers, peer);

    return slot != NULL && !atomic_exchange(&slot->warned, true);
}

bool limits_buffered_add(struct limits *limits, int64_t bytes, int64_t maximum)
{
    return atomic_fetch_add(&limits->buffered_bytes, bytes) + bytes <= maximum;
}

bool limits_buffered_ok(struct limits *limits, int64_t maximum)
{
    return atomic_load(&limits->buffered_bytes) <= maximum;
}

int64_t limits_buffered_bytes(struct limits *limits)
{
    return atomic_load(&limits->buffered_bytes);
}
