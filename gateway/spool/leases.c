#include "spool/leases.h"

#include <errno.h>
#include <stdlib.h>

#define LEASES_SMALLEST 64

void leases_init(struct leases *leases)
{
    *leases = (struct leases){0};
}

void leases_free(struct leases *leases)
{
    free(leases->slots);
    free(leases->changes);
    leases_init(leases);
}

/* Ids are consecutive: multiplying spreads them over the high bits, which are then used. */
static size_t leases_place(const struct leases *leases, uint64_t id)
{
    return (size_t)((id * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (leases->capacity - 1);
}

static size_t leases_find(const struct leases *leases, uint64_t id)
{
    size_t place = leases_place(leases, id);

    while (leases->slots[place] != 0 && leases->slots[place] != id)
        place = (place + 1) & (leases->capacity - 1);
    return place;
}

bool leases_has(const struct leases *leases, uint64_t id)
{
    return leases->count > 0 && leases->slots[leases_find(leases, id)] == id;
}

static int leases_grow(struct leases *leases)
{
    struct leases grown = *leases;

    grown.capacity = leases->capacity == 0 ? LEASES_SMALLEST : leases->capacity * 2;
    grown.slots = calloc(grown.capacity, sizeof *grown.slots);
    if (grown.slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < leases->capacity; i++)
        if (leases->slots[i] != 0)
            grown.slots[leases_find(&grown, leases->slots[i])] = leases->slots[i];
    free(leases->slots);
    *leases = grown;
    return 0;
}

int leases_add(struct leases *leases, uint64_t id)
{
    /* Room for what a rollback adds again, so that it can't fail. */
    if (2 * (leases->count + leases->change_count + 1) > leases->capacity) {
        int result = leases_grow(leases);
        if (result < 0)
            return result;
    }
    size_t place = leases_find(leases, id);
    if (leases->slots[place] != id) {
        leases->slots[place] = id;
        leases->count++;
    }
    return 0;
}

void leases_remove(struct leases *leases, uint64_t id)
{
    if (leases->count == 0)
        return;
    size_t hole = leases_find(leases, id);
    if (leases->slots[hole] != id)
        return;
    leases->count--;
    /* Close the gap, so that no search ends too early: move back whoever is not at home. */
    size_t mask = leases->capacity - 1, next = hole;
    for (;;) {
        leases->slots[hole] = 0;
        for (;;) {
            next = (next + 1) & mask;
            if (leases->slots[next] == 0)
                return;
            size_t home = leases_place(leases, leases->slots[next]);
            if (((next - home) & mask) >= ((next - hole) & mask))
                break;
        }
        leases->slots[hole] = leases->slots[next];
        hole = next;
    }
}

static int leases_note(struct leases *leases, uint64_t id, bool added)
{
    if (leases->change_count == leases->change_capacity) {
        size_t capacity = leases->change_capacity == 0 ? 64 : leases->change_capacity * 2;
        struct lease_change *changes = realloc(leases->changes, capacity * sizeof *changes);
        if (changes == NULL)
            return -ENOMEM;
        leases->changes = changes;
        leases->change_capacity = capacity;
    }
    leases->changes[leases->change_count++] = (struct lease_change){id, added};
    return 0;
}

int leases_transaction_add(struct leases *leases, uint64_t id)
{
    if (leases_has(leases, id))
        return 0;
    int result = leases_note(leases, id, true);
    if (result < 0)
        return result;
    result = leases_add(leases, id);
    if (result < 0)
        leases->change_count--;
    return result;
}

int leases_transaction_remove(struct leases *leases, uint64_t id)
{
    if (!leases_has(leases, id))
        return 0;
    int result = leases_note(leases, id, false);
    if (result == 0)
        leases_remove(leases, id);
    return result;
}

void leases_commit(struct leases *leases)
{
    leases->change_count = 0;
}

void leases_rollback(struct leases *leases)
{
    while (leases->change_count > 0) {
        struct lease_change change = leases->changes[--leases->change_count];
        if (change.added)
            leases_remove(leases, change.id);
        else if (leases_add(leases, change.id) < 0)
            abort(); /* can't be: leases_add() kept the room */
    }
}
