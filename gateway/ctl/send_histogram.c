#include "ctl/send_histogram.h"

#include <stddef.h>

#define SUB_COUNT (UINT64_C(1) << SEND_HISTOGRAM_SUB_BITS)

static size_t histogram_bucket(uint64_t value)
{
    if (value < SUB_COUNT)
        return (size_t)value;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(value);
    size_t octave = exponent - SEND_HISTOGRAM_SUB_BITS + 1;
    if (octave >= SEND_HISTOGRAM_OCTAVES)
        return SEND_HISTOGRAM_BUCKETS - 1;
    uint64_t within = (value >> (exponent - SEND_HISTOGRAM_SUB_BITS)) & (SUB_COUNT - 1);
    return (octave << SEND_HISTOGRAM_SUB_BITS) + (size_t)within;
}

/* The largest value that falls into the bucket. */
static uint64_t histogram_edge(size_t bucket)
{
    size_t octave = bucket >> SEND_HISTOGRAM_SUB_BITS;
    uint64_t within = bucket & (SUB_COUNT - 1);

    if (octave == 0)
        return within;
    return ((SUB_COUNT + within + 1) << (octave - 1)) - 1;
}

void send_histogram_add(struct send_histogram *histogram, int64_t ns)
{
    if (ns < 0)
        ns = 0;
    histogram->buckets[histogram_bucket((uint64_t)ns)]++;
    histogram->count++;
    if (ns > histogram->maximum_ns)
        histogram->maximum_ns = ns;
}

int64_t send_histogram_percentile(const struct send_histogram *histogram, double share)
{
    double wanted = share * (double)histogram->count;
    uint64_t seen = 0;

    if (histogram->count == 0)
        return 0;
    for (size_t i = 0; i + 1 < SEND_HISTOGRAM_BUCKETS; i++) { /* the last one has no upper edge */
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            int64_t edge = (int64_t)histogram_edge(i);
            return edge < histogram->maximum_ns ? edge : histogram->maximum_ns;
        }
    }
    return histogram->maximum_ns;
}
