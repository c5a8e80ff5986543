#include "spool/record_index.h"

#include <errno.h>
#include <stdlib.h>

#define RECENT_SMALLEST 1024
#define FILTER_BLOCK 64 /* bytes: one line of the processor's cache, so a question costs one miss */
#define FILTER_PROBES 6
#define BUCKET_ENTRY 10

void record_index_init(struct record_index *index)
{
    *index = (struct record_index){.recent_first = 1};
}

void record_index_free(struct record_index *index)
{
    for (size_t i = 0; i < index->run_count; i++)
        free(index->runs[i].filter);
    free(index->runs);
    free(index->recent);
    record_index_init(index);
}

/* ---- recent records ---- */

static void recent_insert(struct record_slot *slots, size_t capacity, struct record_slot slot)
{
    size_t place = (size_t)slot.key & (capacity - 1);

    while (slots[place].sequence != 0)
        place = (place + 1) & (capacity - 1);
    slots[place] = slot;
}

/* Keeps numbers of [from, to) only; also how the table grows. */
static int recent_rebuild(struct record_index *index, size_t capacity, int64_t from, int64_t to)
{
    struct record_slot *slots = calloc(capacity, sizeof *slots);
    size_t count = 0;

    if (slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < index->capacity; i++) {
        if (index->recent[i].sequence < from || index->recent[i].sequence >= to)
            continue;
        recent_insert(slots, capacity, index->recent[i]);
        count++;
    }
    free(index->recent);
    index->recent = slots;
    index->capacity = capacity;
    index->count = count;
    return 0;
}

int record_index_add(struct record_index *index, uint64_t key, int64_t sequence)
{
    if (4 * (index->count + 1) > 3 * index->capacity) {
        size_t capacity = index->capacity == 0 ? RECENT_SMALLEST : index->capacity * 2;
        int result = recent_rebuild(index, capacity, 1, INT64_MAX);
        if (result < 0)
            return result;
    }
    recent_insert(index->recent, index->capacity, (struct record_slot){key, sequence});
    index->count++;
    return 0;
}

void record_index_forget(struct record_index *index, int64_t from)
{
    /* A rollback: rare. Without memory they stay, and lead to records that don't exist. */
    if (index->count > 0 && recent_rebuild(index, index->capacity, 1, from) < 0)
        return;
}

int record_index_recent(const struct record_index *index, uint64_t key,
                        int (*each)(void *context, int64_t sequence), void *context)
{
    int result = 0;

    if (index->count == 0)
        return 0;
    for (size_t place = (size_t)key & (index->capacity - 1);
         index->recent[place].sequence != 0 && result == 0;
         place = (place + 1) & (index->capacity - 1))
        if (index->recent[place].key == key)
            result = each(context, index->recent[place].sequence);
    return result;
}

/* ---- filters ---- */

/* Which block: of the key mixed, since its bits as they are choose the place within. */
static size_t filter_block(uint64_t key)
{
    uint64_t mixed = (key * UINT64_C(0x9E3779B97F4A7C15)) >> 32;

    return (size_t)(mixed % (RECORD_FILTER_BYTES / FILTER_BLOCK)) * FILTER_BLOCK;
}

static unsigned filter_bit(uint64_t key, unsigned probe)
{
    return (unsigned)(key >> (9 * probe)) & (FILTER_BLOCK * 8 - 1);
}

static void filter_add(uint8_t *filter, uint64_t key)
{
    uint8_t *block = filter + filter_block(key);

    for (unsigned i = 0; i < FILTER_PROBES; i++) {
        unsigned bit = filter_bit(key, i);
        block[bit / 8] = (uint8_t)(block[bit / 8] | 1u << bit % 8);
    }
}

bool record_run_may_hold(const struct record_run *run, uint64_t key)
{
    const uint8_t *block = run->filter + filter_block(key);

    for (unsigned i = 0; i < FILTER_PROBES; i++) {
        unsigned bit = filter_bit(key, i);
        if ((block[bit / 8] & 1u << bit % 8) == 0)
            return false;
    }
    return true;
}

/* ---- runs ---- */

static int bucket_append(struct buffer *bucket, uint64_t key, uint16_t offset)
{
    uint8_t entry[BUCKET_ENTRY];

    memcpy(entry, &key, sizeof key);
    memcpy(entry + sizeof key, &offset, sizeof offset);
    return buffer_append(bucket, entry, sizeof entry);
}

int record_index_build(const struct record_index *index, int64_t end, struct record_run *ret_run,
                       struct buffer buckets[RECORD_BUCKETS])
{
    struct record_run run = {index->recent_first, end - 1, calloc(1, RECORD_FILTER_BYTES)};

    if (run.filter == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < index->capacity; i++) {
        struct record_slot slot = index->recent[i];
        if (slot.sequence < run.first || slot.sequence > run.last)
            continue;
        filter_add(run.filter, slot.key);
        if (bucket_append(&buckets[record_bucket_of(slot.key)], slot.key,
                          (uint16_t)(slot.sequence - run.first)) < 0) {
            free(run.filter);
            return -ENOMEM;
        }
    }
    *ret_run = run;
    return 0;
}

int record_index_adopt(struct record_index *index, struct record_run run)
{
    if (index->run_count == index->run_capacity) {
        size_t capacity = index->run_capacity == 0 ? 16 : index->run_capacity * 2;
        struct record_run *runs = realloc(index->runs, capacity * sizeof *runs);
        if (runs == NULL) {
            free(run.filter);
            return -ENOMEM;
        }
        index->runs = runs;
        index->run_capacity = capacity;
    }
    index->runs[index->run_count++] = run;
    index->recent_first = run.last + 1;
    /* Without memory for a smaller table the old one goes on; it then finds some twice. */
    if (index->count > 0)
        (void)!recent_rebuild(index, index->capacity, index->recent_first, INT64_MAX);
    return 0;
}

int record_bucket_search(struct span bucket, const struct record_run *run, uint64_t key,
                         int (*each)(void *context, int64_t sequence), void *context)
{
    int result = 0;

    for (size_t at = 0; at + BUCKET_ENTRY <= bucket.length && result == 0; at += BUCKET_ENTRY) {
        uint16_t offset;
        if (memcmp(bucket.data + at, &key, sizeof key) != 0)
            continue;
        memcpy(&offset, bucket.data + at + sizeof key, sizeof offset);
        result = each(context, run->first + offset);
    }
    return result;
}

void record_index_drop_first(struct record_index *index)
{
    if (index->run_count == 0)
        return;
    free(index->runs[0].filter);
    index->run_count--;
    memmove(index->runs, index->runs + 1, index->run_count * sizeof *index->runs);
}
