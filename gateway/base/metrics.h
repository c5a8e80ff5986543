/*
 * metrics: counters, gauges and histograms, and their text for Prometheus.
 *
 * A slot is looked up once (by family and label values), kept by whoever counts, and then changed
 * without a lock (relaxed atomics). Slots live as long as the registry, or until metrics_remove(). Label values come from the
 * configuration and from enums only: never from a message (no control ids, no content).
 * Gauges that are cheaper to ask for than to keep are filled in by a collector when the text is made.
 * Threads: slots from any; metrics_slot() takes a lock; metrics_render() from any.
 * Source: Prometheus text exposition format 0.0.4.
 */
#ifndef MLLPGW_BASE_METRICS_H
#define MLLPGW_BASE_METRICS_H

#include "base/buffer.h"

#include <stdatomic.h>
#include <stdint.h>

struct metrics;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* A family is declared as a static constant by the module that counts. */
struct metric_family {
    const char *name; /* mllpgw_messages_total, mllpgw_acknowledge_seconds */
    const char *help;
    enum metric_kind kind;
    const char *labels[4]; /* names; NULL behind the last */
    const double *bounds;  /* histogram: upper bounds in seconds, ascending */
    size_t bound_count;    /* at most 16 */
};

struct metric {
    atomic_int_fast64_t value;       /* counter, gauge */
    atomic_int_fast64_t sum_ns;      /* histogram */
    atomic_int_fast64_t buckets[17]; /* histogram, not cumulative; the last is +Inf */
    const struct metric_family *family;
};

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* Finds or makes the slot. values: one for each label. NULL only when memory is out; all functions
 * below take a NULL slot and do nothing. */
struct metric *metrics_slot(struct metrics *metrics, const struct metric_family *family,
                            const char *const *values);

/* What they were of is no more: all slots with this value for the label of this name go, and begin at 0 if
 * they come back. Only for labels of which nobody keeps a slot. */
void metrics_remove(struct metrics *metrics, const char *label, const char *value);
/* Likewise, the one slot, if there is one. */
void metrics_remove_slot(struct metrics *metrics, const struct metric_family *family,
                         const char *const *values);

void metric_add(struct metric *slot, int64_t amount);
void metric_set(struct metric *slot, int64_t value);
void metric_observe_ns(struct metric *slot, int64_t nanoseconds);
int64_t metric_value(const struct metric *slot);

/* Called by metrics_render() on its thread, before the text is made. */
void metrics_add_collector(struct metrics *metrics, void (*collect)(void *context), void *context);

/* Appends the whole text. -ENOMEM, -EMSGSIZE. */
__attribute__((warn_unused_result)) int metrics_render(struct metrics *metrics, struct buffer *out);

/* Buckets for seconds to acknowledge and to deliver: 0.5 ms .. 60 s. */
extern const double metrics_latency_bounds[14];

#endif
