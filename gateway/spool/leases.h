/*
 * leases: which entries somebody holds. Memory only, so that a crash frees them all.
 *
 * A set of ids with an undo log: what a transaction did to leases (rows born leased, leases ended by
 * a verdict) is undone when it is rolled back. Linear probing, power of two, at most half full.
 * Threads: one.
 */
#ifndef MLLPGW_SPOOL_LEASES_H
#define MLLPGW_SPOOL_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lease_change {
    uint64_t id;
    bool added;
};

struct leases {
    uint64_t *slots; /* 0: free; ids start at 1 */
    size_t capacity, count;
    struct lease_change *changes;
    size_t change_count, change_capacity;
};

void leases_init(struct leases *leases);
void leases_free(struct leases *leases);

bool leases_has(const struct leases *leases, uint64_t id);
/* Adding what is there and removing what isn't does nothing. */
__attribute__((warn_unused_result)) int leases_add(struct leases *leases, uint64_t id);
void leases_remove(struct leases *leases, uint64_t id);

/* The same inside a transaction. -ENOMEM changes nothing. */
__attribute__((warn_unused_result)) int leases_transaction_add(struct leases *leases, uint64_t id);
__attribute__((warn_unused_result)) int leases_transaction_remove(struct leases *leases,
                                                                  uint64_t id);
void leases_commit(struct leases *leases);
void leases_rollback(struct leases *leases);

#endif
