/*
 * timers: deadlines in a heap, driven by whoever owns the time (a loop, or a test's hand).
 *
 * A struct timer is embedded in its owner; starting, moving and stopping one is O(log n) and
 * allocates only when the heap grows (timers_start() can't fail for a timer that is in the heap).
 * A timer may be started or stopped inside a callback, also its own.
 * Threads: the owning thread only.
 */
#ifndef MLLPGW_LOOP_TIMERS_H
#define MLLPGW_LOOP_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct timer {
    void (*fire)(struct timer *timer);
    int64_t due_ms; /* monotonic */
    size_t slot;    /* private: 1 + index in the heap, 0 = not running */
};

struct timers {
    struct timer **heap;
    size_t count, capacity;
    void (*changed)(struct timers *timers); /* the earliest deadline moved; may be NULL */
};

void timers_init(struct timers *timers, void (*changed)(struct timers *timers));
void timers_free(struct timers *timers);

/* Starts or moves. -ENOMEM. */
__attribute__((warn_unused_result)) int timers_start(struct timers *timers, struct timer *timer,
                                                     int64_t due_ms);
void timers_stop(struct timers *timers, struct timer *timer);
static inline int timer_is_running(const struct timer *timer)
{
    return timer->slot != 0;
}
/* Milliseconds until the earliest is due (0: now); -1 when there is none. */
int64_t timers_next_ms(const struct timers *timers, int64_t now_ms);
/* Fires all that are due, in order of their deadlines; at most as many as were running, so that one
 * which starts itself again at once can't hold up the loop (what is left is due at once: ask
 * timers_next_ms()). */
void timers_run(struct timers *timers, int64_t now_ms);

#endif
