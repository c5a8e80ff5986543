#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t clock_read_ns(clockid_t which)
{
    struct timespec now;

    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t clock_system_monotonic(const struct clock *clock)
{
    (void)clock;
    return clock_read_ns(CLOCK_MONOTONIC) / 1000000;
}

static int64_t clock_system_wall(const struct clock *clock)
{
    (void)clock;
    return clock_read_ns(CLOCK_REALTIME) / 1000000;
}

const struct clock *clock_system(void)
{
    static const struct clock machine = {clock_system_monotonic, clock_system_wall};

    return &machine;
}

int64_t clock_monotonic_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

static const struct clock_manual *clock_manual_of(const struct clock *clock)
{
    return (const struct clock_manual *)(const void *)((const char *)clock -
                                                       offsetof(struct clock_manual, clock));
}

static int64_t clock_manual_monotonic(const struct clock *clock)
{
    return clock_manual_of(clock)->monotonic;
}

static int64_t clock_manual_wall(const struct clock *clock)
{
    return clock_manual_of(clock)->wall;
}

void clock_manual_init(struct clock_manual *manual, int64_t monotonic_ms, int64_t wall_ms)
{
    manual->clock = (struct clock){clock_manual_monotonic, clock_manual_wall};
    manual->monotonic = monotonic_ms;
    manual->wall = wall_ms;
}

void clock_manual_advance(struct clock_manual *manual, int64_t ms)
{
    manual->monotonic += ms;
    manual->wall += ms;
}
