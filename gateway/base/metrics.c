#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define METRICS_LABELS 4
#define METRICS_BUCKETS 17
#define METRICS_LINE 64 /* slots start on lines of their own: workers count without false sharing */

struct metrics_slot {
    struct metric metric; /* first: what callers hold */
    char *values[METRICS_LABELS];
};

struct metrics_group {
    const struct metric_family *family;
    struct metrics_slot **slots; /* ordered by label values */
    size_t count;
};

struct metrics_collector {
    void (*collect)(void *context);
    void *context;
};

struct metrics {
    pthread_mutex_t lock;
    struct metrics_group **groups; /* ordered by name */
    size_t group_count;
    struct metrics_collector *collectors;
    size_t collector_count;
};

const double metrics_latency_bounds[14] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                           0.1,    0.25,  0.5,    1,     5,    20,    60};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics != NULL)
        pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

static void metrics_slot_free(struct metrics_slot *slot)
{
    if (slot == NULL)
        return;
    for (size_t i = 0; i < METRICS_LABELS; i++)
        free(slot->values[i]);
    free(slot);
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    for (size_t g = 0; g < metrics->group_count; g++) {
        struct metrics_group *group = metrics->groups[g];
        for (size_t s = 0; s < group->count; s++)
            metrics_slot_free(group->slots[s]);
        free(group->slots);
        free(group);
    }
    free(metrics->groups);
    free(metrics->collectors);
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static size_t metrics_label_count(const struct metric_family *family)
{
    size_t count = 0;

    while (count < METRICS_LABELS && family->labels[count] != NULL)
        count++;
    return count;
}

/* Puts item at place in an array of pointers. The array is grown by one: this happens when
 * something is seen for the first time, never while counting. */
static int metrics_insert(void *array, size_t *count, size_t place, void *item)
{
    void **items;

    memcpy(&items, array, sizeof items);
    void **grown = realloc(items, (*count + 1) * sizeof *grown);
    if (grown == NULL)
        return -1;
    memmove(grown + place + 1, grown + place, (*count - place) * sizeof *grown);
    grown[place] = item;
    memcpy(array, &grown, sizeof grown);
    (*count)++;
    return 0;
}

static struct metrics_group *metrics_group_get(struct metrics *metrics,
                                               const struct metric_family *family)
{
    size_t low = 0, high = metrics->group_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(metrics->groups[middle]->family->name, family->name);
        if (order == 0)
            return metrics->groups[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }

    struct metrics_group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return NULL;
    group->family = family;
    if (metrics_insert(&metrics->groups, &metrics->group_count, low, group) < 0) {
        free(group);
        return NULL;
    }
    return group;
}

static int metrics_values_order(char *const *have, const char *const *want, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int order = strcmp(have[i], want[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

static struct metrics_slot *metrics_slot_new(const struct metric_family *family,
                                             const char *const *values, size_t count)
{
    size_t bytes =
        (sizeof(struct metrics_slot) + METRICS_LINE - 1) / METRICS_LINE * (size_t)METRICS_LINE;
    struct metrics_slot *slot = aligned_alloc(METRICS_LINE, bytes);
    if (slot == NULL)
        return NULL;
    memset(slot, 0, sizeof *slot);
    atomic_init(&slot->metric.value, 0);
    atomic_init(&slot->metric.sum_ns, 0);
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        atomic_init(&slot->metric.buckets[i], 0);
    slot->metric.family = family;
    for (size_t i = 0; i < count; i++) {
        slot->values[i] = strdup(values[i]); /* never NULL: a label has a value */
        if (slot->values[i] == NULL) {
            metrics_slot_free(slot);
            return NULL;
        }
    }
    return slot;
}

static struct metrics_slot *metrics_group_slot(struct metrics_group *group,
                                               const char *const *values)
{
    size_t labels = metrics_label_count(group->family);
    size_t low = 0, high = group->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = metrics_values_order(group->slots[middle]->values, values, labels);
        if (order == 0)
            return group->slots[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }

    struct metrics_slot *slot = metrics_slot_new(group->family, values, labels);
    if (slot != NULL && metrics_insert(&group->slots, &group->count, low, slot) < 0) {
        metrics_slot_free(slot);
        return NULL;
    }
    return slot;
}

struct metric *metrics_slot(struct metrics *metrics, const struct metric_family *family,
                            const char *const *values)
{
    if (metrics == NULL)
        return NULL;

    pthread_mutex_lock(&metrics->lock);
    struct metrics_group *group = metrics_group_get(metrics, family);
    struct metrics_slot *slot = group == NULL ? NULL : metrics_group_slot(group, values);
    pthread_mutex_unlock(&metrics->lock);
    return slot == NULL ? NULL : &slot->metric;
}

static void metrics_group_remove(struct metrics_group *group, const char *label, const char *value)
{
    size_t labels = metrics_label_count(group->family), at = 0, kept = 0;

    while (at < labels && strcmp(group->family->labels[at], label) != 0)
        at++;
    for (size_t i = 0; i < group->count && at < labels; i++) {
        if (strcmp(group->slots[i]->values[at], value) == 0)
            metrics_slot_free(group->slots[i]);
        else
            group->slots[kept++] = group->slots[i];
    }
    if (at < labels)
        group->count = kept;
}

void metrics_remove(struct metrics *metrics, const char *label, const char *value)
{
    if (metrics == NULL)
        return;
    pthread_mutex_lock(&metrics->lock);
    for (size_t g = 0; g < metrics->group_count; g++)
        metrics_group_remove(metrics->groups[g], label, value);
    pthread_mutex_unlock(&metrics->lock);
}

static void metrics_group_remove_slot(struct metrics_group *group, const char *const *values)
{
    size_t labels = metrics_label_count(group->family), kept = 0;

    for (size_t i = 0; i < group->count; i++) {
        if (metrics_values_order(group->slots[i]->values, values, labels) == 0)
            metrics_slot_free(group->slots[i]);
        else
            group->slots[kept++] = group->slots[i];
    }
    group->count = kept;
}

void metrics_remove_slot(struct metrics *metrics, const struct metric_family *family,
                         const char *const *values)
{
    if (metrics == NULL)
        return;
    pthread_mutex_lock(&metrics->lock);
    for (size_t g = 0; g < metrics->group_count; g++) {
        if (metrics->groups[g]->family == family)
            metrics_group_remove_slot(metrics->groups[g], values);
    }
    pthread_mutex_unlock(&metrics->lock);
}

void metric_add(struct metric *slot, int64_t amount)
{
    if (slot != NULL)
        atomic_fetch_add_explicit(&slot->value, amount, memory_order_relaxed);
}

void metric_set(struct metric *slot, int64_t value)
{
    if (slot != NULL)
        atomic_store_explicit(&slot->value, value, memory_order_relaxed);
}

void metric_observe_ns(struct metric *slot, int64_t nanoseconds)
{
    if (slot == NULL)
        return;

    const struct metric_family *family = slot->family;
    size_t bucket = 0;
    while (bucket < family->bound_count && bucket < METRICS_BUCKETS - 1 &&
           (double)nanoseconds > family->bounds[bucket] * 1e9)
        bucket++;
    if (bucket == family->bound_count)
        bucket = METRICS_BUCKETS - 1;
    atomic_fetch_add_explicit(&slot->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->sum_ns, nanoseconds, memory_order_relaxed);
}

int64_t metric_value(const struct metric *slot)
{
    return slot == NULL ? 0 : atomic_load_explicit(&slot->value, memory_order_relaxed);
}

void metrics_add_collector(struct metrics *metrics, void (*collect)(void *context), void *context)
{
    if (metrics == NULL)
        return;

    pthread_mutex_lock(&metrics->lock);
    struct metrics_collector *grown =
        realloc(metrics->collectors, (metrics->collector_count + 1) * sizeof *metrics->collectors);
    if (grown != NULL) {
        grown[metrics->collector_count++] = (struct metrics_collector){collect, context};
        metrics->collectors = grown;
    }
    pthread_mutex_unlock(&metrics->lock);
}

/* A collector looks slots up, which takes the lock: it is called without. */
static void metrics_collect(struct metrics *metrics)
{
    for (size_t i = 0;; i++) {
        pthread_mutex_lock(&metrics->lock);
        bool more = i < metrics->collector_count;
        struct metrics_collector collector =
            more ? metrics->collectors[i] : (struct metrics_collector){NULL, NULL};
        pthread_mutex_unlock(&metrics->lock);
        if (!more)
            return;
        collector.collect(collector.context);
    }
}

/* HELP escapes backslash and line feed; a label value escapes the quote too. */
static int metrics_append_escaped(struct buffer *out, const char *text, bool quote)
{
    int result = 0;

    for (; *text != '\0' && result == 0; text++) {
        if (*text == '\\')
            result = buffer_append_string(out, "\\\\");
        else if (*text == '\n')
            result = buffer_append_string(out, "\\n");
        else if (*text == '"' && quote)
            result = buffer_append_string(out, "\\\"");
        else
            result = buffer_append_byte(out, *text);
    }
    return result;
}

/* {a="x",b="y",le="0.5"}; nothing at all without labels. le may be NULL. */
static int metrics_append_labels(struct buffer *out, const struct metrics_slot *slot,
                                 const char *le)
{
    const struct metric_family *family = slot->metric.family;
    size_t count = metrics_label_count(family);
    const char *before = "{";
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++) {
        result = buffer_append_format(out, "%s%s=\"", before, family->labels[i]);
        if (result == 0)
            result = metrics_append_escaped(out, slot->values[i], true);
        if (result == 0)
            result = buffer_append_byte(out, '"');
        before = ",";
    }
    if (le != NULL && result == 0) {
        result = buffer_append_format(out, "%sle=\"%s\"", before, le);
        before = ",";
    }
    if (*before == ',' && result == 0)
        result = buffer_append_byte(out, '}');
    return result;
}

static int metrics_append_line(struct buffer *out, const struct metrics_slot *slot,
                               const char *suffix, const char *le, int64_t value)
{
    int result = buffer_append_format(out, "%s%s", slot->metric.family->name, suffix);

    if (result == 0)
        result = metrics_append_labels(out, slot, le);
    if (result == 0)
        result = buffer_append_format(out, " %lld\n", (long long)value);
    return result;
}

static int metrics_append_sum(struct buffer *out, const struct metrics_slot *slot)
{
    long long sum = (long long)atomic_load_explicit(&slot->metric.sum_ns, memory_order_relaxed);
    const char *sign = sum < 0 ? "-" : "";
    unsigned long long size = sum < 0 ? 0ULL - (unsigned long long)sum : (unsigned long long)sum;
    int result = buffer_append_format(out, "%s_sum", slot->metric.family->name);

    if (result == 0)
        result = metrics_append_labels(out, slot, NULL);
    if (result == 0)
        result = buffer_append_format(out, " %s%llu.%09llu\n", sign, size / 1000000000u,
                                      size % 1000000000u);
    return result;
}

/* Each bucket is read once and _count is their total, so that a scrape always adds up. */
static int metrics_append_histogram(struct buffer *out, const struct metrics_slot *slot)
{
    const struct metric_family *family = slot->metric.family;
    int64_t total = 0;
    int result = 0;
    char le[32];

    for (size_t i = 0; i < family->bound_count && i < METRICS_BUCKETS - 1 && result == 0; i++) {
        total += atomic_load_explicit(&slot->metric.buckets[i], memory_order_relaxed);
        snprintf(le, sizeof le, "%.9g", family->bounds[i]);
        result = metrics_append_line(out, slot, "_bucket", le, total);
    }
    total += atomic_load_explicit(&slot->metric.buckets[METRICS_BUCKETS - 1], memory_order_relaxed);
    if (result == 0)
        result = metrics_append_line(out, slot, "_bucket", "+Inf", total);
    if (result == 0)
        result = metrics_append_sum(out, slot);
    if (result == 0)
        result = metrics_append_line(out, slot, "_count", NULL, total);
    return result;
}

static int metrics_append_group(struct buffer *out, const struct metrics_group *group)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const struct metric_family *family = group->family;

    int result = buffer_append_format(out, "# HELP %s ", family->name);
    if (result == 0)
        result = metrics_append_escaped(out, family->help, false);
    if (result == 0)
        result = buffer_append_format(out, "\n# TYPE %s %s\n", family->name, kinds[family->kind]);
    for (size_t i = 0; i < group->count && result == 0; i++) {
        if (family->kind == METRIC_HISTOGRAM)
            result = metrics_append_histogram(out, group->slots[i]);
        else
            result = metrics_append_line(out, group->slots[i], "", NULL,
                                         metric_value(&group->slots[i]->metric));
    }
    return result;
}

int metrics_render(struct metrics *metrics, struct buffer *out)
{
    metrics_collect(metrics);

    int result = 0;
    pthread_mutex_lock(&metrics->lock);
    for (size_t g = 0; g < metrics->group_count && result == 0; g++)
        if (metrics->groups[g]->count > 0)
            result = metrics_append_group(out, metrics->groups[g]);
    pthread_mutex_unlock(&metrics->lock);
    return result;
}
