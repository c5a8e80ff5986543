/*
 * loop: one thread with a libuv loop, a mailbox and timers.
 *
 * loop_now_ms() is the monotonic time, cached once an iteration.
 * Deferred frees: nothing is freed inside its own callback; loop_defer() frees at the end of the
 * iteration.
 * Threads: loop_new(), loop_start(), loop_stop(), loop_join(), loop_free() belong to the thread
 * that composes the program; everything else to the loop's own thread. loop_mailbox() from any.
 */
#ifndef MLLPGW_LOOP_LOOP_H
#define MLLPGW_LOOP_LOOP_H

#include "base/list.h"
#include "loop/mailbox.h"
#include "loop/timers.h"

#include <stdint.h>
#include <uv.h>

struct loop;

/* name: at most 15 characters, the thread's name. NULL when memory or file descriptors are out. */
struct loop *loop_new(const char *name);
void loop_free(struct loop **loop);

/* Starts the thread; start runs first on it (may be NULL). */
__attribute__((warn_unused_result)) int loop_start(struct loop *loop, void (*start)(void *context),
                                                   void *context);
/* Runs the loop on the calling thread instead (the main thread's loop; tests). */
void loop_run(struct loop *loop);
/* Asks the loop to end after this iteration; from any thread. Mail that comes later stays in the
 * mailbox: after loop_join() the composer may mailbox_drain() it. */
void loop_stop(struct loop *loop);
void loop_join(struct loop *loop);

uv_loop_t *loop_uv(struct loop *loop);
struct mailbox *loop_mailbox(struct loop *loop);
struct timers *loop_timers(struct loop *loop);
/* Of the iteration, which may have begun long ago for a caller behind something slow: loop_refresh(). */
int64_t loop_now_ms(const struct loop *loop);
void loop_refresh(struct loop *loop);
const struct clock *loop_clock(const struct loop *loop);

struct deferred {
    struct list_node node;
    void (*run)(struct deferred *deferred);
};
/* run is called at the end of this iteration, on the loop's thread. */
void loop_defer(struct loop *loop, struct deferred *deferred);

/* Waiting for a file descriptor. The descriptor stays the caller's; close it only after
 * loop_watch_stop(). events: UV_READABLE | UV_WRITABLE. */
struct loop_watch {
    uv_poll_t *poll; /* private */
    int events;
};
__attribute__((warn_unused_result)) int
loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd, int events,
                 void (*ready)(void *context, int events), void *context);
/* Cheap when nothing changes. */
void loop_watch_set(struct loop_watch *watch, int events);
void loop_watch_stop(struct loop_watch *watch);

#endif
