#include "loop/timers.h"

#include <errno.h>
#include <stdlib.h>

/* Four children a node: half the depth of a binary heap, and the children share a cache line. */
#define TIMERS_FANOUT 4

void timers_init(struct timers *timers, void (*changed)(struct timers *timers))
{
    *timers = (struct timers){.changed = changed};
}

void timers_free(struct timers *timers)
{
    for (size_t i = 0; i < timers->count; i++)
        timers->heap[i]->slot = 0;
    free(timers->heap);
    *timers = (struct timers){.changed = timers->changed};
}

static void timers_place(struct timers *timers, size_t index, struct timer *timer)
{
    timers->heap[index] = timer;
    timer->slot = index + 1;
}

static void timers_sift_up(struct timers *timers, size_t index, struct timer *timer)
{
    while (index > 0) {
        size_t parent = (index - 1) / TIMERS_FANOUT;

        if (timers->heap[parent]->due_ms <= timer->due_ms)
            break;
        timers_place(timers, index, timers->heap[parent]);
        index = parent;
    }
    timers_place(timers, index, timer);
}

static size_t timers_earliest_child(const struct timers *timers, size_t index)
{
    size_t first = index * TIMERS_FANOUT + 1, best = first;

    for (size_t i = first + 1; i < first + TIMERS_FANOUT && i < timers->count; i++) {
        if (timers->heap[i]->due_ms < timers->heap[best]->due_ms)
            best = i;
    }
    return best;
}

static void timers_sift_down(struct timers *timers, size_t index, struct timer *timer)
{
    while (index * TIMERS_FANOUT + 1 < timers->count) {
        size_t child = timers_earliest_child(timers, index);

        if (timers->heap[child]->due_ms >= timer->due_ms)
            break;
        timers_place(timers, index, timers->heap[child]);
        index = child;
    }
    timers_place(timers, index, timer);
}

static void timers_sift(struct timers *timers, size_t index, struct timer *timer)
{
    if (index > 0 && timers->heap[(index - 1) / TIMERS_FANOUT]->due_ms > timer->due_ms)
        timers_sift_up(timers, index, timer);
    else
        timers_sift_down(timers, index, timer);
}

static int timers_grow(struct timers *timers)
{
    size_t capacity = timers->capacity == 0 ? 64 : timers->capacity * 2;
    struct timer **heap = realloc(timers->heap, capacity * sizeof(*heap));

    if (heap == NULL)
        return -ENOMEM;
    timers->heap = heap;
    timers->capacity = capacity;
    return 0;
}

static void timers_notify(struct timers *timers)
{
    if (timers->changed != NULL)
        timers->changed(timers);
}

int timers_start(struct timers *timers, struct timer *timer, int64_t due_ms)
{
    size_t index = timer->slot == 0 ? timers->count : timer->slot - 1;

    if (timer->slot == 0) {
        if (timers->count == timers->capacity && timers_grow(timers) != 0)
            return -ENOMEM;
        timers->count++;
    } else if (timer->due_ms == due_ms) {
        return 0;
    }
    timer->due_ms = due_ms;
    timers_place(timers, index, timer);
    timers_sift(timers, index, timer);
    if (index == 0 || timer->slot == 1)
        timers_notify(timers);
    return 0;
}

void timers_stop(struct timers *timers, struct timer *timer)
{
    size_t index = timer->slot - 1;
    struct timer *last;

    if (timer->slot == 0)
        return;
    timer->slot = 0;
    last = timers->heap[--timers->count];
    if (last != timer)
        timers_sift(timers, index, last);
    if (index == 0)
        timers_notify(timers);
}

int64_t timers_next_ms(const struct timers *timers, int64_t now_ms)
{
    int64_t due_ms;

    if (timers->count == 0)
        return -1;
    due_ms = timers->heap[0]->due_ms;
    return due_ms <= now_ms ? 0 : due_ms - now_ms;
}

void timers_run(struct timers *timers, int64_t now_ms)
{
    /* Bounded: a timer that restarts itself at once must not keep the loop from its sockets. */
    for (size_t left = timers->count; left > 0 && timers_next_ms(timers, now_ms) == 0; left--) {
        struct timer *timer = timers->heap[0];

        timers_stop(timers, timer);
        timer->fire(timer); /* may free the timer */
    }
}
