/*
 * clock: the two times that this program knows.
 *
 * Deadlines and intervals use monotonic milliseconds; what is written down (rows, records, logs,
 * MSH-7) uses wall-clock milliseconds since 1970-01-01T00:00:00Z. Code that decides by time takes
 * a struct clock (or a "now" argument), so that tests can turn it by hand.
 * Threads: clock_system() may be used from any thread.
 */
#ifndef MLLPGW_BASE_CLOCK_H
#define MLLPGW_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*monotonic_ms)(const struct clock *clock);
    int64_t (*wall_ms)(const struct clock *clock);
};

/* The machine's clock. Never freed. */
const struct clock *clock_system(void);

static inline int64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock->monotonic_ms(clock);
}

static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock);
}

/* Nanoseconds of the monotonic clock, for measuring only. */
int64_t clock_monotonic_ns(void);

/* A clock that stands still until it is moved (tests, replays). */
struct clock_manual {
    struct clock clock; /* first: may be cast */
    int64_t monotonic;
    int64_t wall;
};
void clock_manual_init(struct clock_manual *manual, int64_t monotonic_ms, int64_t wall_ms);
void clock_manual_advance(struct clock_manual *manual, int64_t ms);

#endif
