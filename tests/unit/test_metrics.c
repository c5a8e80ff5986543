/* links: base */
#include "base/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct metric_family messages = {
    .name = "mllpgw_messages_total",
    .help = "Messages \\ lines\nof help.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer"},
};
static const struct metric_family depth = {
    .name = "mllpgw_depth", .help = "Depth.", .kind = METRIC_GAUGE};
static const double bounds[] = {0.005, 0.5, 2};
static const struct metric_family seconds = {
    .name = "mllpgw_seconds",
    .help = "Seconds.",
    .kind = METRIC_HISTOGRAM,
    .labels = {"route"},
    .bounds = bounds,
    .bound_count = 3,
};

static void expect_rendered(struct metrics *metrics, const char *expected)
{
    struct buffer out;

    buffer_init(&out, 100000);
    assert_int_equal(metrics_render(metrics, &out), 0);
    assert_int_equal(buffer_append_byte(&out, '\0'), 0);
    assert_string_equal(out.data, expected);
    buffer_free(&out);
}

static void counters_in_stable_order(void **state)
{
    struct metrics *metrics = metrics_new();

    (void)state;
    struct metric *b = metrics_slot(metrics, &messages, (const char *[]){"adt", "b\"\\\n"});
    struct metric *a = metrics_slot(metrics, &messages, (const char *[]){"adt", "a"});
    metric_set(metrics_slot(metrics, &depth, NULL), -7);
    assert_ptr_equal(a, metrics_slot(metrics, &messages, (const char *[]){"adt", "a"}));
    assert_ptr_not_equal(a, b);
    metric_add(a, 2);
    metric_add(a, 3);
    metric_add(b, 1);
    assert_int_equal(metric_value(a), 5);
    expect_rendered(metrics, "# HELP mllpgw_depth Depth.\n"
                             "# TYPE mllpgw_depth gauge\n"
                             "mllpgw_depth -7\n"
                             "# HELP mllpgw_messages_total Messages \\\\ lines\\nof help.\n"
                             "# TYPE mllpgw_messages_total counter\n"
                             "mllpgw_messages_total{listener=\"adt\",peer=\"a\"} 5\n"
                             "mllpgw_messages_total{listener=\"adt\",peer=\"b\\\"\\\\\\n\"} 1\n");
    metrics_free(metrics);
}

static void histograms_are_cumulative(void **state)
{
    struct metrics *metrics = metrics_new();
    struct metric *slot = metrics_slot(metrics, &seconds, (const char *[]){"r"});

    (void)state;
    metric_observe_ns(slot, 1000000);    /* 1 ms */
    metric_observe_ns(slot, 5000000);    /* the bound belongs to its bucket */
    metric_observe_ns(slot, 5000001);    /* and no more */
    metric_observe_ns(slot, 1999999999); /* below 2 s */
    metric_observe_ns(slot, 90000000000);
    expect_rendered(metrics, "# HELP mllpgw_seconds Seconds.\n"
                             "# TYPE mllpgw_seconds histogram\n"
                             "mllpgw_seconds_bucket{route=\"r\",le=\"0.005\"} 2\n"
                             "mllpgw_seconds_bucket{route=\"r\",le=\"0.5\"} 3\n"
                             "mllpgw_seconds_bucket{route=\"r\",le=\"2\"} 4\n"
                             "mllpgw_seconds_bucket{route=\"r\",le=\"+Inf\"} 5\n"
                             "mllpgw_seconds_sum{route=\"r\"} 92.011000000\n"
                             "mllpgw_seconds_count{route=\"r\"} 5\n");
    metrics_free(metrics);
}

/* What is removed is not shown; what comes back begins at 0; the others stay as they are. */
static void removed(void **state)
{
    struct metrics *metrics = metrics_new();

    (void)state;
    metric_set(metrics_slot(metrics, &seconds, (const char *[]){"r"}), 1);
    for (int i = 0; i < 3; i++) {
        const char *values[] = {"adt", (const char *[]){"a", "b", "c"}[i]};
        metric_add(metrics_slot(metrics, &messages, values), i + 1);
    }
    metric_set(metrics_slot(metrics, &depth, NULL), 7);
    metrics_remove(metrics, "route", "r");
    metrics_remove(metrics, "peer", "b");
    metrics_remove(metrics, "peer", "adt"); /* that is a listener */
    metrics_remove(metrics, "place", "a");
    metrics_remove(NULL, "peer", "a");
    expect_rendered(metrics, "# HELP mllpgw_depth Depth.\n"
                             "# TYPE mllpgw_depth gauge\n"
                             "mllpgw_depth 7\n"
                             "# HELP mllpgw_messages_total Messages \\\\ lines\\nof help.\n"
                             "# TYPE mllpgw_messages_total counter\n"
                             "mllpgw_messages_total{listener=\"adt\",peer=\"a\"} 1\n"
                             "mllpgw_messages_total{listener=\"adt\",peer=\"c\"} 3\n");
    assert_int_equal(metric_value(metrics_slot(metrics, &messages, (const char *[]){"adt", "b"})),
                     0);
    metrics_free(metrics);
}

static void one_removed(void **state)
{
    struct metrics *metrics = metrics_new();

    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *values[] = {"adt", (const char *[]){"a", "b", "c"}[i]};
        metric_add(metrics_slot(metrics, &messages, values), i + 1);
    }
    metric_set(metrics_slot(metrics, &depth, NULL), 7);
    metrics_remove_slot(metrics, &messages, (const char *[]){"adt", "b"});
    metrics_remove_slot(metrics, &messages, (const char *[]){"b", "adt"});
    metrics_remove_slot(metrics, &seconds, (const char *[]){"a"}); /* has none */
    metrics_remove_slot(NULL, &messages, (const char *[]){"adt", "a"});
    expect_rendered(metrics, "# HELP mllpgw_depth Depth.\n"
                             "# TYPE mllpgw_depth gauge\n"
                             "mllpgw_depth 7\n"
                             "# HELP mllpgw_messages_total Messages \\\\ lines\\nof help.\n"
                             "# TYPE mllpgw_messages_total counter\n"
                             "mllpgw_messages_total{listener=\"adt\",peer=\"a\"} 1\n"
                             "mllpgw_messages_total{listener=\"adt\",peer=\"c\"} 3\n");
    metrics_free(metrics);
}

static void latency_bounds_ascend(void **state)
{
    (void)state;
    for (size_t i = 1; i < 14; i++)
        assert_true(metrics_latency_bounds[i - 1] < metrics_latency_bounds[i]);
}

static void no_slot_is_no_error(void **state)
{
    (void)state;
    metric_add(NULL, 1);
    metric_set(NULL, 1);
    metric_observe_ns(NULL, 1);
    assert_int_equal(metric_value(NULL), 0);
    assert_null(metrics_slot(NULL, &depth, NULL));
    metrics_free(NULL);
}

static struct metrics *collected;

static void collect(void *context)
{
    metric_set(metrics_slot(collected, &depth, NULL), *(const int *)context);
}

static void collectors_fill_in(void **state)
{
    int value = 12;

    (void)state;
    collected = metrics_new();
    metrics_add_collector(collected, collect, &value);
    expect_rendered(collected, "# HELP mllpgw_depth Depth.\n# TYPE mllpgw_depth gauge\n"
                               "mllpgw_depth 12\n");
    metrics_free(collected);
}

static void too_long_is_said(void **state)
{
    struct metrics *metrics = metrics_new();
    struct buffer out;

    (void)state;
    metric_set(metrics_slot(metrics, &depth, NULL), 1);
    buffer_init(&out, 20);
    assert_int_equal(metrics_render(metrics, &out), -EMSGSIZE);
    buffer_free(&out);
    metrics_free(metrics);
}

static void *count_some(void *argument)
{
    struct metrics *metrics = argument;
    char name[20];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "p%d", i % 50);
        metric_add(metrics_slot(metrics, &messages, (const char *[]){"l", name}), 1);
    }
    return NULL;
}

static void threads_count_together(void **state)
{
    struct metrics *metrics = metrics_new();
    pthread_t threads[4];
    char name[20];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_some, metrics), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "p%d", i);
        assert_int_equal(
            metric_value(metrics_slot(metrics, &messages, (const char *[]){"l", name})), 80);
    }
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_in_stable_order),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(latency_bounds_ascend),
        cmocka_unit_test(no_slot_is_no_error),
        cmocka_unit_test(collectors_fill_in),
        cmocka_unit_test(too_long_is_said),
        cmocka_unit_test(threads_count_together),
        cmocka_unit_test(removed),
        cmocka_unit_test(one_removed),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
