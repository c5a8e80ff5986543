/*
 * send_histogram: latencies, in constant memory, exact to 1.6 %.
 *
 * 64 buckets an octave of nanoseconds (the idea is HdrHistogram's). Values above 2^42 ns (73
 * minutes) count as that; the maximum is kept exactly.
 */
#ifndef MLLPGW_CTL_SEND_HISTOGRAM_H
#define MLLPGW_CTL_SEND_HISTOGRAM_H

#include <stdint.h>

#define SEND_HISTOGRAM_SUB_BITS 6
#define SEND_HISTOGRAM_OCTAVES 37
#define SEND_HISTOGRAM_BUCKETS (SEND_HISTOGRAM_OCTAVES << SEND_HISTOGRAM_SUB_BITS)

struct send_histogram {
    uint64_t buckets[SEND_HISTOGRAM_BUCKETS];
    uint64_t count;
    int64_t maximum_ns;
};

void send_histogram_add(struct send_histogram *histogram, int64_t ns);
/* The value that a share (0 < share <= 1) of all values does not pass; 0 when there are none. */
int64_t send_histogram_percentile(const struct send_histogram *histogram, double share);

#endif
