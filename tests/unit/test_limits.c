/* links: admission base loop */
#include "admission/limits.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 8
#define ROUNDS 4000

static const uint8_t first[16] = {1}, second[16] = {2};

static void listener_and_address(void **state)
{
    struct limits *limits = limits_new();

    (void)state;
    assert_int_equal(limits_enter_address(limits, "adt", 3, first, 2), REASON_NONE);
    assert_int_equal(limits_enter_address(limits, "adt", 3, first, 2), REASON_NONE);
    assert_int_equal(limits_enter_address(limits, "adt", 3, first, 2),
                     REASON_CONNECTION_LIMIT_ADDRESS);
    assert_int_equal(limits_listener_connections(limits, "adt"), 2); /* nothing was taken */
    assert_int_equal(limits_enter_address(limits, "adt", 3, second, 2), REASON_NONE);
    assert_int_equal(limits_enter_address(limits, "adt", 3, second, 2),
                     REASON_CONNECTION_LIMIT_LISTENER);
    limits_leave_address(limits, "adt", first);
    assert_int_equal(limits_enter_address(limits, "adt", 3, second, 2), REASON_NONE);
    assert_int_equal(limits_enter_address(limits, "orders", 3, first, 1), REASON_NONE);
    assert_int_equal(limits_listener_connections(limits, "orders"), 1); /* counted apart */
    assert_int_equal(limits_listener_connections(limits, "nobody"), 0);
    limits_free(&limits);
    assert_null(limits);
    limits_free(&limits);
}

static void peers(void **state)
{
    struct limits *limits = limits_new();

    (void)state;
    assert_int_equal(limits_enter_peer(limits, "lab", 1), REASON_NONE);
    assert_int_equal(limits_enter_peer(limits, "lab", 1), REASON_CONNECTION_LIMIT_PEER);
    assert_int_equal(limits_enter_peer(limits, "lab", 2), REASON_NONE); /* raised by a reload */
    assert_int_equal(limits_enter_peer(limits, "labor", 1), REASON_NONE);
    assert_int_equal(limits_peer_connections(limits, "lab"), 2);
    limits_leave_peer(limits, "lab");
    limits_leave_peer(limits, "lab");
    assert_int_equal(limits_peer_connections(limits, "lab"), 0);
    assert_int_equal(limits_enter_peer(limits, "lab", 1), REASON_NONE);
    limits_free(&limits);
}

/* Many addresses, so that buckets hold several. */
static void many_addresses(void **state)
{
    struct limits *limits = limits_new();

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 5000; i++) {
            uint8_t key[16] = {0};
            memcpy(key, &i, sizeof(i));
            assert_int_equal(limits_enter_address(limits, "adt", 5000, key, 1), REASON_NONE);
        }
        for (unsigned i = 0; i < 5000; i++) {
            uint8_t key[16] = {0};
            memcpy(key, &i, sizeof(i));
            limits_leave_address(limits, "adt", key);
        }
    }
    assert_int_equal(limits_listener_connections(limits, "adt"), 0);
    limits_free(&limits);
}

/* A second's worth at once, and no more in the long run than the limit. */
static void messages_per_second(void **state)
{
    static const int rates[] = {1, 2, 3, 7, 100, 1000};

    (void)state;
    for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
        struct limits *limits = limits_new();
        int64_t now = 5000000;
        int taken = 0;
        while (limits_message_wait_ms(limits, "lab", rates[r], now) == 0) {
            taken++;
        }
        assert_int_equal(taken, rates[r]);
        for (int64_t end = now + 10000; now < end;) {
            int64_t wait = limits_message_wait_ms(limits, "lab", rates[r], now);
            assert_in_range(wait, 0, 1001);
            taken += wait == 0;
            now += wait;
        }
        assert_in_range(taken, 11 * rates[r] - rates[r] / 50 - 1, 11 * rates[r]);
        limits_free(&limits);
    }
}

static void no_rate(void **state)
{
    struct limits *limits = limits_new();

    (void)state;
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(limits_message_wait_ms(limits, "lab", 0, 1), 0);
    }
    assert_int_equal(limits_message_wait_ms(limits, "lab", 1, 1), 0);
    assert_true(limits_message_wait_ms(limits, "lab", 1, 1) > 0);
    assert_int_equal(limits_message_wait_ms(limits, "ward", 1, 1), 0); /* each peer its own */
    limits_free(&limits);
}

/* What says "wait" says long enough, and has taken nothing. */
static void waiting_is_enough(void **state)
{
    struct limits *limits = limits_new();
    int64_t now = 1, wait;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(limits_message_wait_ms(limits, "lab", 3, now), 0);
    }
    wait = limits_message_wait_ms(limits, "lab", 3, now);
    assert_in_range(wait, 333, 335);
    assert_int_equal(limits_message_wait_ms(limits, "lab", 3, now), wait);
    assert_true(limits_message_wait_ms(limits, "lab", 3, now + wait - 2) > 0);
    assert_int_equal(limits_message_wait_ms(limits, "lab", 3, now + wait), 0);
    limits_free(&limits);
}

static void buffered(void **state)
{
    struct limits *limits = limits_new();

    (void)state;
    assert_true(limits_buffered_add(limits, 100, 100));
    assert_true(limits_buffered_ok(limits, 100));
    assert_false(limits_buffered_add(limits, 1, 100)); /* counted all the same */
    assert_int_equal(limits_buffered_bytes(limits), 101);
    assert_false(limits_buffered_ok(limits, 100));
    assert_true(limits_buffered_add(limits, -1, 100));
    assert_true(limits_buffered_ok(limits, 100));
    limits_free(&limits);
}

/* ---- threads ---- */

struct storm {
    struct limits *limits;
    atomic_int inside, most, refused;
    atomic_int messages;
};

static void note_inside(struct storm *storm)
{
    int now = atomic_fetch_add(&storm->inside, 1) + 1;
    int most = atomic_load(&storm->most);

    while (now > most && !atomic_compare_exchange_weak(&storm->most, &most, now)) {
    }
}

static void *enter_and_leave(void *context)
{
    struct storm *storm = context;
    char name[24];

    for (int i = 0; i < ROUNDS; i++) {
        if (limits_enter_address(storm->limits, "adt", THREADS, first, 3) == REASON_NONE) {
            note_inside(storm);
            atomic_fetch_sub(&storm->inside, 1);
            limits_leave_address(storm->limits, "adt", first);
        } else {
            atomic_fetch_add(&storm->refused, 1);
        }
        snprintf(name, sizeof(name), "peer-%d", i % 50); /* slots made by several at once */
        if (limits_enter_peer(storm->limits, name, THREADS) == REASON_NONE) {
            limits_leave_peer(storm->limits, name);
        }
        atomic_fetch_add(&storm->messages,
                         limits_message_wait_ms(storm->limits, "lab", 1000, 7) == 0);
        (void)limits_buffered_add(storm->limits, i % 2 == 0 ? 10 : -10, 1000);
    }
    return NULL;
}

static void threads(void **state)
{
    struct storm storm = {.limits = limits_new()};
    pthread_t thread[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, enter_and_leave, &storm), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    assert_in_range(atomic_load(&storm.most), 1, 3);
    assert_int_equal(limits_listener_connections(storm.limits, "adt"), 0);
    for (int i = 0; i < 50; i++) {
        char name[24];
        snprintf(name, sizeof(name), "peer-%d", i);
        assert_int_equal(limits_peer_connections(storm.limits, name), 0);
    }
    assert_int_equal(atomic_load(&storm.messages), 1000); /* time stood still */
    assert_int_equal(limits_buffered_bytes(storm.limits), 0);
    assert_int_equal(limits_enter_address(storm.limits, "adt", 1, first, 1), REASON_NONE);
    limits_free(&storm.limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listener_and_address),
        cmocka_unit_test(peers),
        cmocka_unit_test(many_addresses),
        cmocka_unit_test(messages_per_second),
        cmocka_unit_test(no_rate),
        cmocka_unit_test(waiting_is_enough),
        cmocka_unit_test(buffered),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
