/*
 * record_index: where the record of a digest is, without an index on random digests.
 *
 * Records are written in order of time, which costs next to nothing; a B-tree keyed by digests would
 * touch a page of its own for each (measured: 14 to 28 microseconds of CPU a record, against 1.3).
 * So the newest ones are found through a hash table in memory, and whenever RECORD_RUN numbers have
 * gathered they become a run: small buckets on disk, by a byte of the digest, and in memory a
 * filter that says "certainly not here" for all but 1 in 300 of the others. A digest is first looked
 * for in the table, then in the bucket of each run whose filter says perhaps, newest run first.
 * What is found is a sequence number only: whoever asks compares the record's own digest, since
 * eight bytes are compared here and removed records stay in the index.
 *
 * Memory: 1 MB and 64 KB for each RECORD_RUN records of the window.
 * Ownership: runs and tables belong to the index. Threads: one. No I/O: records.c does that.
 */
#ifndef MLLPGW_SPOOL_RECORD_INDEX_H
#define MLLPGW_SPOOL_RECORD_INDEX_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_RUN 32768
#define RECORD_BUCKETS 256
#define RECORD_FILTER_BYTES 65536 /* 16 bits a record */

struct record_run {
    int64_t first, last; /* sequence numbers; last - first < 65536 */
    uint8_t *filter;     /* RECORD_FILTER_BYTES */
};

struct record_slot {
    uint64_t key;
    int64_t sequence; /* 0: free */
};

struct record_index {
    struct record_slot *recent;
    size_t capacity, count;
    int64_t recent_first; /* recent holds sequence numbers from here on */
    struct record_run *runs;
    size_t run_count, run_capacity;
};

/* The digest is keyed, so its first bytes are as good as any hash. */
static inline uint64_t record_key(const uint8_t digest[32])
{
    uint64_t key;

    memcpy(&key, digest, sizeof key);
    return key;
}

void record_index_init(struct record_index *index);
void record_index_free(struct record_index *index);

/* -ENOMEM. */
__attribute__((warn_unused_result)) int record_index_add(struct record_index *index, uint64_t key,
                                                         int64_t sequence);
/* Undoes additions: sequence numbers from `from` on are forgotten. */
void record_index_forget(struct record_index *index, int64_t from);
/* Calls each recent candidate until one returns non-zero, which is returned. */
int record_index_recent(const struct record_index *index, uint64_t key,
                        int (*each)(void *context, int64_t sequence), void *context);
bool record_run_may_hold(const struct record_run *run, uint64_t key);

/* The recent ones before `end` as a run: its filter (malloc'd) and its buckets. Changes nothing.
 * -ENOMEM leaves the buckets to be freed by the caller. */
__attribute__((warn_unused_result)) int record_index_build(const struct record_index *index,
                                                           int64_t end, struct record_run *ret_run,
                                                           struct buffer buckets[RECORD_BUCKETS]);
/* The run counts from now on, and its records are recent no longer. Takes over run->filter, also
 * when it returns -ENOMEM. */
__attribute__((warn_unused_result)) int record_index_adopt(struct record_index *index,
                                                           struct record_run run);
/* Which bucket of a run a key is in; calls each candidate there until one returns non-zero. */
static inline unsigned record_bucket_of(uint64_t key)
{
    return (unsigned)(key >> 56);
}
int record_bucket_search(struct span bucket, const struct record_run *run, uint64_t key,
                         int (*each)(void *context, int64_t sequence), void *context);
/* Drops the oldest run. */
void record_index_drop_first(struct record_index *index);

#endif
